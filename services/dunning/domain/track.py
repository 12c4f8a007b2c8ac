"""The life of a case, the same in all three services: how it opens, goes on, closes and is followed (rules 7 to 13).

A service derives its track from `Track` and says only what each of these means for retries, notices or the account.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from dunning.domain import ids, terminated
from dunning.domain.book import Attempt, in_order
from dunning.domain.calendar import earlier
from dunning.domain.case import Case
from dunning.domain.decision import Decision, MoneyMoved
from dunning.domain.events import (
    ErrandReport,
    Input,
    NextStep,
    NoticeResult,
    PaymentFailed,
    PaymentSucceeded,
    Signal,
    StageChanged,
    TimerDue,
)
from dunning.domain.pauses import MARKING, Mark, next_start, note, starts_at
from dunning.domain.policy import Policies, Policy
from dunning.domain.turn import A, Closing, Turn
from dunning.domain.words import AccountStage, Reason
from dunning.domain.words import Track as TrackName

C = TypeVar("C", bound=Case)

CHANGE_TYPE = "dunning.stage.changed.v1"
BEFORE_EVERYTHING = datetime.min.replace(tzinfo=UTC)


class Track(Generic[A, C]):
    """What the three services share. Hooks are called with the case already changed, in the order of the rules."""

    name: TrackName
    facts_kept: tuple[str, ...] = ("timezone", "country")
    has_conditions = False  # whether it walks the ladder, whose rungs may have conditions on the account (rule 38)

    def __init__(
        self, policies: Callable[[], Policies], start: Callable[[], datetime] = lambda: BEFORE_EVERYTHING
    ) -> None:
        """`policies` gives those in force now: a reload swaps them between two inputs, never within one. What failed
        before `start`, which never moves, opens no case (rule 43)."""
        self.policies = policies
        self.start = start

    # --- what a service adds ----------------------------------------------------------------------------------------

    def new_case(self, invoice_id: str) -> C:
        """An empty case of this service's kind."""
        raise NotImplementedError

    def carry(self, former: C, case: C) -> None:
        """What peers said of a case before its failure was read, kept with the invoice until it opens."""

    def opened(self, turn: Turn[A], case: C) -> None:
        """A case opened; its attempts are in its book."""

    def failed_again(self, turn: Turn[A], case: C, attempt: Attempt, event: PaymentFailed) -> None:
        """A further failure of an open case was entered."""

    def came_late(self, turn: Turn[A], case: C, event: PaymentFailed) -> None:
        """A failure that was paid, voided or terminated before it was read, or before the start: it changes no case."""

    def ignored(self, turn: Turn[A], case: C, event: PaymentFailed) -> None:
        """A failure that a policy wants to be ignored; `case` is not open."""

    def amount_changed(self, turn: Turn[A], case: C, event: PaymentSucceeded | Signal) -> None:
        """A partial payment or an adjustment of an open case; what is owed may have changed."""

    def closed(self, turn: Turn[A], case: C, closing: Closing) -> None:
        """A case closed; publish how the track ends."""

    def handed_over(self, turn: Turn[A], old: C, new: C, *, inherits: bool) -> None:
        """`new` follows `old` with its later failures (rule 7); with `inherits`, what `old` did counts as done."""

    def reinstated(self, turn: Turn[A], case: C, at: datetime) -> None:
        """The account was reinstated while this case is open (rule 37). A case that opens afterwards has no stage to
        leave; which rungs the reinstatement passes is looked up (`holds.first_ahead`)."""

    def halted(self, turn: Turn[A], case: C) -> None:
        """A pause, a dispute or an extension became known, or one began or ended just now (rule 27)."""

    def lifted(self, turn: Turn[A], case: C) -> None:
        """The termination that closed this case was lifted; the case itself stays closed (rule 37)."""

    def resumed(self, turn: Turn[A], case: C) -> None:
        """The termination that had stopped this open case's ladder was lifted or undone."""

    def erased(self, turn: Turn[A]) -> None:
        """The account was erased. Its shared facts are gone already; what a service keeps beside them goes here."""

    def signalled(self, turn: Turn[A], event: Signal) -> None:
        """A signal that is not about the life of cases."""

    def heard(self, turn: Turn[A], event: StageChanged | NoticeResult | ErrandReport) -> None:
        """News of a peer service, or of an errand."""

    def woken(self, turn: Turn[A], case: C) -> None:
        """Something of this case may be due now."""

    def wake_at(self, account: A, case: C, now: datetime) -> datetime | None:
        """The earliest instant at which something of this case is to be done."""
        raise NotImplementedError

    def concluded(self, turn: Turn[A]) -> None:
        """The input is worked in: the account as a whole may have news."""

    # --- the shared life of cases -----------------------------------------------------------------------------------

    def decide(self, account: A, event: Input, now: datetime) -> Decision:
        """Work one input in (the service's `decide`). Changes the account, unless the input is rejected."""
        turn = Turn(account, now, event)
        account.reckoned = None
        match event:
            case PaymentFailed():
                self._failed(turn, event)
            case PaymentSucceeded():
                self._succeeded(turn, event)
            case Signal():
                self._signal(turn, event)
            case TimerDue():
                self._timer(turn, event)
            case _:
                self.heard(turn, event)
        if turn.decision.rejected is None:
            self.concluded(turn)
            self._reckon(turn)
        return turn.decision

    def policy_of(self, case: C) -> Policy:
        """The version that the case pinned."""
        assert case.policy is not None, "an open case has a policy"
        return self.policies().pinned(case.policy)

    def _reckon(self, turn: Turn[A]) -> None:
        """When to wake what the input touched, and what may now go on that waited for its conditions (rule 38)."""
        account, now = turn.account, turn.now
        account.reckoned = None
        for invoice_id in turn.touched:
            case = account.cases[invoice_id]
            case.plan_wake(earlier(self._earliest(account, case, now), self._missed_start(turn, case)), now)
        for case in account.cases.values() if self.has_conditions else ():
            if case.open and case.invoice_id not in turn.touched and self.policy_of(case).conditions:
                at = self._earliest(account, case, now)
                if at != case.next_at:
                    turn.touch(case)
                    case.plan_wake(at, now)

    @staticmethod
    def _missed_start(turn: Turn[A], case: C) -> datetime | None:
        """When a pause began whose timer is due and did not fire yet: other news that comes just then must not put it
        off, for what is open has to be revoked (rule 14)."""
        cause, due_at = turn.cause, case.next_at
        fires = isinstance(cause, TimerDue) and cause.invoice_id == case.invoice_id
        if fires or due_at is None or due_at > turn.now or not case.open or not case.book.marks:
            return None
        return due_at if starts_at(case.book.marks, due_at) else None

    def _earliest(self, account: A, case: C, now: datetime) -> datetime | None:
        """When to wake a case: also at the beginning of a pause that was announced for later (rule 27)."""
        pause_at = next_start(case.book.marks, now) if case.open and case.book.marks else None
        return earlier(self.wake_at(account, case, now), pause_at)

    def _case_of(self, account: A, invoice_id: str) -> C:
        found = account.cases.get(invoice_id)
        return found if found is not None else self.new_case(invoice_id)

    def learn(self, turn: Turn[A], event: PaymentFailed | PaymentSucceeded, at: datetime) -> None:
        """Facts in payment events count as of the event's time (rule 12)."""
        if turn.account.facts.learn_customer(event.customer, at, self.facts_kept):
            turn.account.changed = True

    def method_key_of(self, case: C, event: PaymentFailed) -> str:  # noqa: ARG002
        """Identity of what a failure was charged with; empty where that is not known."""
        return event.payment_method.key if event.payment_method else ""

    def _failed(self, turn: Turn[A], event: PaymentFailed, *, again: bool = False) -> None:
        """`again`: what was read while the invoice was terminated; its facts are known."""
        account = turn.account
        case = self._case_of(account, event.invoice_id)
        book = case.book
        if book.currency and book.currency != event.currency:
            turn.decision.rejected = "other_currency"
            return
        policy = None
        before_start = event.failed_at < self.start()
        settled = before_start or book.is_settled(event.failed_at)
        if not settled and not case.open:
            country = account.facts.peek("country", event.customer, event.failed_at)
            policy = self.policies().choose(event, country)
            if policy is None:
                turn.decision.rejected = "no_policy"
                return
        if not again:
            self.learn(turn, event, event.failed_at)
        if policy is not None and policy.ignore:
            turn.count("ignored_by_policy")
            self.ignored(turn, case, event)
            return
        book.currency = event.currency
        turn.touch(case)
        if settled:
            book.highest_attempt = max(book.highest_attempt, event.attempt_number)
            turn.count("failure_before_start" if before_start else "late_failure")
            if not before_start and book.may_count_later(event.failed_at):
                terminated.keep(book, event)
            self.came_late(turn, case, event)
            return
        attempt = Attempt.of(event, self.method_key_of(case, event))
        if policy is not None:
            self._open(turn, case, policy, attempt)
        else:
            book.add(attempt)
            self.failed_again(turn, case, attempt, event)

    def _open(self, turn: Turn[A], former: C, policy: Policy, attempt: Attempt) -> None:
        case = self._successor(turn, former)
        self._pin(turn, case, policy)
        case.book.attempts = []
        case.book.add(attempt)
        self.opened(turn, case)
        self._terminate_as_heard(turn, case)

    @staticmethod
    def _pin(turn: Turn[A], case: C, policy: Policy) -> None:
        """What stays with a case from its opening on (rule 13)."""
        facts, cause = turn.account.facts, turn.cause
        said, at = (cause.customer, cause.failed_at) if isinstance(cause, PaymentFailed) else (None, turn.now)
        case.policy = policy.ref  # by what the failure itself says, also where an erasure was read before it (rule 8)
        case.zone = policy.zone_for(facts.peek("timezone", said, at)).key
        case.country = facts.peek("country", said, at) or ""

    def _successor(self, turn: Turn[A], former: C) -> C:
        """The invoice's next case, with the same book."""
        case = self.new_case(former.invoice_id)
        case.book = former.book
        case.number = case.book.next_number
        case.case_id = ids.case_id(turn.account.account_id, case.invoice_id, case.number)
        case.open = True
        case.opened_at = turn.now
        for mark in turn.account.facts.pauses:  # a pause of the account holds cases that open during it too (rule 27)
            note(case.book.marks, mark)
        self.carry(former, case)
        turn.touch(case)
        return case

    def _succeeded(self, turn: Turn[A], event: PaymentSucceeded) -> None:
        case = self._case_of(turn.account, event.invoice_id)
        if case.book.currency and case.book.currency != event.currency:
            turn.decision.rejected = "other_currency"
            return
        case.book.currency = event.currency
        case.book.highest_attempt = max(case.book.highest_attempt, event.attempt_number or 0)
        self.learn(turn, event, event.succeeded_at)
        turn.touch(case)
        if event.amount_remaining_minor == 0:
            self._paid(turn, case, event.succeeded_at, event)
        else:
            self._part_paid(turn, case, event.succeeded_at, event.amount_remaining_minor, event)

    def _part_paid(
        self, turn: Turn[A], case: C, at: datetime, remaining_minor: int, event: PaymentSucceeded | Signal
    ) -> None:
        before = case.book.amount_minor
        case.book.note_remaining(at, remaining_minor)
        if case.open:
            paid = before - case.book.amount_minor
            if paid > 0 and isinstance(event, PaymentSucceeded):
                turn.decision.money.append(MoneyMoved("recovered", case.book.currency, paid, None))
            self.amount_changed(turn, case, event)

    def _paid(self, turn: Turn[A], case: C, at: datetime, event: PaymentSucceeded | Signal) -> None:
        """A full payment at an instant closes what failed up to it; what failed later is the next case's (rule 7)."""
        book = case.book
        unpaid = book.lifted_in_vain(at)
        if unpaid is not None:
            self._count_again(turn, case, unpaid)
            return
        had_failures_before = not book.attempts or book.first.failed_at <= at
        undone = had_failures_before and self._undo_termination(turn, case, at)
        if not (case.open or undone):
            book.settle(at)
            self._hear_of_the_unseen(turn, case)
            return
        amount_minor = book.amount_minor
        later = list(book.settle(at))
        inherits = bool(later) and not had_failures_before
        self._close(turn, case, Closing(at, Reason.PAID, True, amount_minor, bool(later), inherits, event))
        if later:
            self._hand_over(turn, case, later, inherits=inherits)
        if undone:
            self._enter_waiting(turn, case)

    def _count_again(self, turn: Turn[A], case: C, unpaid: list[Attempt]) -> None:
        """Failures that a reinstatement had settled, which closed nothing: they open the next case or belong to it."""
        if unpaid and case.open:
            case.book.attempts = sorted([*unpaid, *case.book.attempts], key=in_order)
            self.halted(turn, case)  # its dates have moved
        elif unpaid:
            self._hand_over(turn, case, unpaid, inherits=False)
        self._enter_waiting(turn, case)

    def _hand_over(self, turn: Turn[A], old: C, later: list[Attempt], *, inherits: bool) -> None:
        new = self._successor(turn, old)
        assert old.policy is not None, "only a case that opened is followed"
        policies = self.policies()
        self._pin(
            turn, new, policies.following(old.policy, later[0].failed_at) if not inherits else self.policy_of(old)
        )
        new.book.attempts = later
        if inherits:
            new.zone, new.country = old.zone, old.country
            new.former_ids = [*old.former_ids, old.case_id]
            new.next_rung, new.shift = old.next_rung, old.shift
        self.handed_over(turn, old, new, inherits=inherits)
        self._terminate_as_heard(turn, new)

    def _close(self, turn: Turn[A], case: C, closing: Closing) -> None:
        case.open = False
        case.closed_reason = closing.reason
        kind = "recovered" if closing.by_money else "lost"
        seconds = (turn.now - case.opened_at).total_seconds() if case.opened_at else None
        if not closing.inherited:
            turn.decision.money.append(MoneyMoved(kind, case.book.currency, closing.amount_minor, seconds))
        turn.touch(case)
        self.closed(turn, case, closing)

    def _signal(self, turn: Turn[A], event: Signal) -> None:
        match event.kind:
            case "invoice.voided":
                self._ended(turn, event, Reason.VOIDED)
            case "case.closed":
                self._ended(turn, event, event.reason or "closed")
            case "invoice.adjusted":
                self._adjusted(turn, event)
            case "account.reinstated":
                self._reinstated(turn, event.at)
            case kind if kind in MARKING:
                self._marked(turn, event)
            case "account.erased":
                self._erased(turn, event.at)
            case _:
                self.signalled(turn, event)

    def _erased(self, turn: Turn[A], at: datetime) -> None:
        turn.account.facts.erase(at)
        turn.account.changed = True
        for case in list(turn.account.cases.values()):
            if terminated.forget_customer(case.book, at):
                turn.touch(case)
        self.erased(turn)

    def _marked(self, turn: Turn[A], event: Signal) -> None:
        """Pauses, disputes and extensions are kept with the invoice, also where it has no case yet (rule 27)."""
        account, mark = turn.account, Mark.of(event)
        if event.invoice_id is not None:
            cases = [self._case_of(account, event.invoice_id)]
        else:
            account.changed |= note(account.facts.pauses, mark)
            cases = list(account.cases.values())
        for case in cases:
            if note(case.book.marks, mark):
                turn.touch(case)
                if case.case_id:
                    self.halted(turn, case)

    def _ended(self, turn: Turn[A], event: Signal, reason: str) -> None:
        """A void or write-off: nothing of this invoice opens again (rule 10)."""
        case = self._case_of(turn.account, event.invoice_id or "")
        turn.touch(case)
        book = case.book
        undone = self._undo_termination(turn, case, event.at)
        book.ended = book.ended or reason
        book.ended_at = min(book.ended_at or event.at, event.at)
        if case.open or undone:
            self._close(turn, case, Closing(event.at, reason, False, book.amount_minor, event=event))
        self._hear_of_the_unseen(turn, case)

    def _undo_termination(self, turn: Turn[A], case: C, closed_at: datetime) -> bool:
        """Only a closing dated before it undoes a termination (rule 37); says whether there is a case to close anew."""
        terminated_at = case.book.terminated_at
        if terminated_at is None or closed_at >= terminated_at:
            return False
        case.book.terminated_at = None
        self._resume_ladders(turn)
        return bool(case.case_id)

    def _resume_ladders(self, turn: Turn[A]) -> None:
        """The other cases' ladders had stopped while the account was terminated, or stop now."""
        is_terminated = turn.account.is_terminated
        for other in list(turn.account.open_cases()):
            turn.touch(other)
            if not is_terminated:
                self.resumed(turn, other)

    def _adjusted(self, turn: Turn[A], event: Signal) -> None:
        case = self._case_of(turn.account, event.invoice_id or "")
        turn.touch(case)
        if event.amount_remaining_minor == 0:
            self._paid(turn, case, event.at, event)
        elif event.amount_remaining_minor is not None:
            self._part_paid(turn, case, event.at, event.amount_remaining_minor, event)

    def _reinstated(self, turn: Turn[A], at: datetime) -> None:
        account = turn.account
        account.changed |= account.facts.reinstate(at)
        for case in [known for _, known in sorted(account.cases.items())]:
            terminated_at = case.book.terminated_at
            if terminated_at is not None and terminated_at <= at:
                self._lift_termination(turn, case, at)
            elif case.open:
                turn.touch(case)
                self.reinstated(turn, case, at)

    def _lift_termination(self, turn: Turn[A], case: C, at: datetime) -> None:
        later = list(case.book.lift(at))  # of a case whose termination was heard after these
        turn.touch(case)
        self.lifted(turn, case)
        if later:
            self._hand_over(turn, case, later, inherits=False)
        self._resume_ladders(turn)
        self._enter_waiting(turn, case)

    def _enter_waiting(self, turn: Turn[A], case: C) -> None:
        """What was read while the invoice was terminated, and is later than what ended that."""
        for event in terminated.take(case.book):
            self._failed(Turn(turn.account, turn.now, event, turn.decision, turn.touched), event, again=True)
            turn.decision.rejected = None  # no policy takes it by now; that is no fault of the input at hand

    def terminate(self, turn: Turn[A], case: C, at: datetime, amount_minor: int) -> None:
        """A termination closes its case; the invoice opens none until the account is reinstated (rule 37)."""
        case.book.terminated_at = at
        turn.touch(case)
        if case.open:
            self._close(turn, case, Closing(at, AccountStage.TERMINATED, False, amount_minor, terminated=True))
        reinstated_at = turn.account.facts.reinstated_from(at)
        if reinstated_at is not None:  # the reinstatement was read before
            self._lift_termination(turn, case, reinstated_at)
        self._resume_ladders(turn)

    def hear_termination(self, turn: Turn[A], event: StageChanged) -> None:
        """Account enforcement terminated a case. What it undoes itself, by an earlier payment, is passed over here."""
        self._hear_of(turn, self._case_of(turn.account, event.invoice_id), event.case_id, event.effective_at)

    def _hear_of(self, turn: Turn[A], case: C, case_id: str, at: datetime) -> None:
        """Where the money that closed the case came later, that was no closing of its own: the termination stands until
        the account is reinstated, and what failed meanwhile opened no case, whatever did here (rules 8 and 37)."""
        book, number = case.book, self._number_of(turn, case, case_id)
        if number is None:
            terminated.hear_of(book, case_id, at)
            turn.touch(case)
        elif self._is_over(turn, case, number, at):
            turn.count("termination_of_a_closed_case")
        else:
            self.terminate(turn, case, at, book.amount_minor)

    @staticmethod
    def _number_of(turn: Turn[A], case: C, case_id: str) -> int | None:
        """Of a case of this invoice up to the present one; None for one that is still to come here. After a void none
        comes, so the next one is known as well."""
        if case.goes_by(case_id):
            return case.number
        book = case.book
        numbers = range(1, 1 + max(case.number, book.next_number if book.ended else book.closings))
        return next((n for n in numbers if case_id == ids.case_id(turn.account.account_id, case.invoice_id, n)), None)

    @staticmethod
    def _is_over(turn: Turn[A], case: C, number: int, terminated_at: datetime) -> bool:
        """Whether a termination says nothing any more: undone by a payment or void of before it, or lifted."""
        book = case.book
        if book.ended and (book.ended_at is None or book.ended_at < terminated_at):
            return True
        if number > book.closings:
            return False
        closed_at = book.closed_at(number)
        lifted_at = turn.account.facts.reinstated_from(terminated_at)
        return closed_at is None or closed_at < terminated_at or closed_at == lifted_at

    def _hear_of_the_unseen(self, turn: Turn[A], case: C) -> None:
        """Terminations that were heard of cases which money or a void closed before any failure of theirs was read."""
        for case_id, at in list(case.book.heard_of.items()):
            if self._number_of(turn, case, case_id) is not None:
                del case.book.heard_of[case_id]
                self._hear_of(turn, case, case_id, at)

    def _terminate_as_heard(self, turn: Turn[A], case: C) -> None:
        """Account enforcement terminated this case before it opened here."""
        at = case.book.heard_of.pop(case.case_id, None)
        if at is not None:
            self.terminate(turn, case, at, case.book.amount_minor)

    def _timer(self, turn: Turn[A], event: TimerDue) -> None:
        case = turn.account.cases.get(event.invoice_id)
        is_due = case is not None and (event.released or (case.due is not None and case.due <= turn.now))
        if case is None or not is_due:
            turn.count("timer_without_purpose")
            return
        turn.touch(case)
        if case.book.marks:
            self.halted(turn, case)
        self.woken(turn, case)

    def move(
        self,
        turn: Turn[A],
        case: C,
        to_stage: str,
        reason: str,
        *,
        upcoming: NextStep | None = None,
        amount_minor: int | None = None,
        **details: Any,
    ) -> None:
        """Publish a transition of this service's track and remember the stage."""
        assert case.policy is not None, "only a case that opened moves"
        case.sequence += 1
        turn.decision.events.append(
            StageChanged(
                event_id=ids.event_id(CHANGE_TYPE, case.case_id, str(self.name), case.sequence),
                sequence=case.sequence,
                causation_id=turn.cause_id,
                case_id=case.case_id,
                account_id=turn.account.account_id,
                invoice_id=case.invoice_id,
                track=str(self.name),
                from_stage=case.stage,
                to_stage=str(to_stage),
                reason=str(reason),
                effective_at=turn.now,
                policy=case.policy,
                next=upcoming,
                amount_minor=case.book.amount_minor if amount_minor is None else amount_minor,
                currency=case.book.currency,
                details={key: value for key, value in details.items() if value is not None} if details else details,
                traceparent=turn.traceparent,
            )
        )
        case.stage = str(to_stage)
        turn.touch(case)
