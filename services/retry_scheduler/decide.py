"""Whether, when and with what to charge again: the retry track (rules 14 to 22)."""

from datetime import datetime

from dunning.domain import ids
from dunning.domain.book import Attempt
from dunning.domain.events import (
    ErrandReport,
    NoticeResult,
    PaymentFailed,
    PaymentSucceeded,
    RetryRequested,
    Signal,
    StageChanged,
)
from dunning.domain.events import NextStep as Upcoming
from dunning.domain.track import Closing, Track, Turn
from dunning.domain.words import AccountStage, DeclineClass, Reason, RetryStage
from dunning.domain.words import Track as TrackName
from retry_scheduler.case import Asked, Mark, Plan, Request, RetryAccount, RetryCase, RetryKind
from retry_scheduler.next_step import (
    GiveUp,
    RetryAt,
    WaitForCustomer,
    first_allowed,
    last_attempt,
    next_step,
    not_after,
    window_end,
)

RETRY_REQUESTED = "dunning.retry.requested.v1"
RetryTurn = Turn[RetryAccount]


class RetryTrack(Track[RetryAccount, RetryCase]):
    """The retry scheduler's side of a case."""

    name = TrackName.RETRY

    def new_case(self, invoice_id: str) -> RetryCase:
        """An empty case."""
        return RetryCase(invoice_id)

    # --- facts ------------------------------------------------------------------------------------------------------

    def learn(self, turn: RetryTurn, event: PaymentFailed | PaymentSucceeded, at: datetime) -> None:
        """Payments also say what was charged. An echo of what we asked to charge is as old as our request."""
        super().learn(turn, event, at)
        case = turn.account.cases.get(event.invoice_id)
        request = case.request if case else None
        method = event.payment_method
        if request and method and method.key == request.method_key and answers(request, event):
            at = min(at, request.not_before)
        if turn.account.facts.learn_method(method, at):
            turn.account.changed = True

    # --- failures ---------------------------------------------------------------------------------------------------

    def opened(self, turn: RetryTurn, case: RetryCase) -> None:
        """The first failure gives the plan, unless there is nothing to charge (rule 21)."""
        attempt = case.book.first
        signal_at = turn.account.method_signal_at
        case.urged = signal_at is not None and signal_at > attempt.failed_at
        self._bar(turn, attempt)
        self._plan(turn, case, attempt.decline_class)

    def failed_again(self, turn: RetryTurn, case: RetryCase, attempt: Attempt, event: PaymentFailed) -> None:
        """An answer to our request, one that came too late, or somebody else's attempt (rule 15)."""
        request = case.request
        if request and event.failed_at >= request.not_after and event.failed_at > request.not_before:
            self._time_out(turn, case, request)
            request = None
        if request and answers(request, event):
            attempt.method_key = event.payment_method.key if event.payment_method else request.method_key
            attempt.overdue = False  # whatever code it names, a charge was tried: the next distance counts from it
            case.request = None
        else:
            attempt.late = is_ours(case, event)
        self._bar(turn, attempt)
        if case.request is None:
            self._plan(turn, case, attempt.decline_class)

    def _bar(self, turn: RetryTurn, attempt: Attempt) -> None:
        """A method that was declined hard is charged in no case of the account any more (rule 18)."""
        account = turn.account
        if attempt.decline_class is not DeclineClass.HARD or attempt.method_key in account.barred:
            return
        account.barred.append(attempt.method_key)
        account.changed = True
        for other in list(account.open_cases()):
            if other.stage == RetryStage.SCHEDULED:
                self._plan(turn, other, Reason.HARD_DECLINED)

    def _plan(self, turn: RetryTurn, case: RetryCase, reason: str) -> None:
        """Bring the stage in line with what follows now. A finished track stays finished unless it is urged on."""
        policy = self.policy_of(case)
        if policy.retries is None or case.request is not None or last_attempt(case) is None:
            return
        if case.is_finished and not case.urged:
            return
        step = next_step(turn.account, case, policy, turn.now)
        turn.touch(case)
        match step:
            case RetryAt():
                case.plan = Plan(step.at, step.kind)
                self._enter(turn, case, RetryStage.SCHEDULED, reason, Upcoming(RetryStage.REQUESTED, step.at))
            case WaitForCustomer():
                case.plan = None
                self._enter(turn, case, RetryStage.WAITING_FOR_CUSTOMER, step.reason)
            case GiveUp():
                case.plan = None
                self._enter(turn, case, RetryStage.EXHAUSTED, step.reason)

    def _enter(
        self, turn: RetryTurn, case: RetryCase, stage: RetryStage, reason: str, upcoming: Upcoming | None = None
    ) -> None:
        if case.stage != stage:
            self.move(turn, case, stage, reason, upcoming=upcoming)

    # --- requests ---------------------------------------------------------------------------------------------------

    def woken(self, turn: RetryTurn, case: RetryCase) -> None:
        """A request ran out, or a planned retry is due."""
        if not case.open:
            return
        if case.request is not None and case.request.not_after <= turn.now:
            self._time_out(turn, case, case.request)
            self._plan(turn, case, DeclineClass.TECHNICAL)
        elif case.plan is not None and case.plan.at <= turn.now:
            self._charge_if_allowed(turn, case, case.plan)

    def _time_out(self, turn: RetryTurn, case: RetryCase, request: Request) -> None:
        """Unanswered when its time has passed: a technical failure at that instant (rule 14)."""
        case.request = None
        case.mark = Mark(request.not_after, DeclineClass.TECHNICAL)
        turn.count("request_timed_out")

    def _charge_if_allowed(self, turn: RetryTurn, case: RetryCase, plan: Plan) -> None:
        """Look again at what may have changed since it was planned: hours and window, when the timer came late."""
        retries = self.policy_of(case).retries
        assert retries is not None, "a plan comes from a policy with retries"
        if plan.kind is not RetryKind.EXTRA:
            at, end = first_allowed(turn.now, case, retries), window_end(case, retries)
            if end is not None and at > end:
                case.plan = None
                self._enter(turn, case, RetryStage.EXHAUSTED, Reason.RETRIES_EXHAUSTED)
                return
            if at > turn.now:
                case.plan = Plan(at, plan.kind)
                return
        self._request(turn, case, plan.kind, not_after(case, retries, plan.kind, self._type(turn), turn.now))

    @staticmethod
    def _type(turn: RetryTurn) -> str | None:
        method = turn.account.facts.method
        return method.type if method else None

    def _request(self, turn: RetryTurn, case: RetryCase, kind: RetryKind, until: datetime) -> None:
        account, book = turn.account, case.book
        number = book.highest_attempt + 1
        payment_id = book.attempts[-1].payment_id
        reference = ids.retry_id(case.case_id, number)
        case.request = Request(reference, number, payment_id, turn.now, until, account.facts.method_key, kind)
        case.plan = None
        book.highest_attempt = number
        case.requested.append(Asked(reference, payment_id, number))
        match kind:
            case RetryKind.PLANNED:
                case.planned_used += 1
            case RetryKind.TECHNICAL:
                case.technical_used += 1
            case RetryKind.EXTRA:
                case.urged = False
        self.move(turn, case, RetryStage.REQUESTED, kind, upcoming=None, retry_id=reference)
        case.requests += 1
        last = last_attempt(case)
        turn.decision.events.append(
            RetryRequested(
                event_id=ids.event_id(RETRY_REQUESTED, case.case_id, case.requests),
                sequence=case.requests,
                causation_id=turn.cause_id,
                retry_id=reference,
                case_id=case.case_id,
                account_id=account.account_id,
                invoice_id=case.invoice_id,
                payment_id=payment_id,
                amount_minor=book.amount_minor,
                currency=book.currency,
                payment_method_id=account.facts.method.id if account.facts.method else None,
                attempt_number=number,
                not_before=turn.now,
                not_after=until,
                reason=str(kind),
                decline_class=str(last.decline_class if last else DeclineClass.UNKNOWN),
                traceparent=turn.traceparent,
            )
        )

    # --- money and endings ------------------------------------------------------------------------------------------

    def amount_changed(self, turn: RetryTurn, case: RetryCase, event: PaymentSucceeded | Signal) -> None:
        """A part of the money that answers our request counts like an attempt: on at the next distance (rule 15)."""
        request = case.request
        if request and isinstance(event, PaymentSucceeded) and answers(request, event):
            case.request = None
            case.mark = Mark(event.succeeded_at, DeclineClass.SOFT)
            self._plan(turn, case, "partially_paid")

    def closed(self, turn: RetryTurn, case: RetryCase, closing: Closing) -> None:
        """Money moves every stage but `none` to `recovered`; other endings cancel what is unfinished (rule 22)."""
        event = closing.event
        ours = isinstance(event, PaymentSucceeded) and (
            is_ours(case, event) or (case.request is not None and answers(case.request, event))
        )
        if not closing.handed_over:
            case.request = None
        case.plan = None
        kept = case.request.retry_id if case.request else None
        if closing.by_money and case.stage != RetryStage.NONE:
            reason = Reason.PAID if ours else Reason.PAID_ELSEWHERE
            self.move(turn, case, RetryStage.RECOVERED, reason, amount_minor=closing.amount_minor, handed_over=kept)
        elif not closing.by_money and case.stage != RetryStage.NONE and not case.is_finished:
            self.move(turn, case, RetryStage.CANCELLED, closing.reason, amount_minor=closing.amount_minor)

    def handed_over(self, turn: RetryTurn, old: RetryCase, new: RetryCase, *, inherits: bool) -> None:
        """The next case goes on with the later failures and the open request, which is not made twice (rule 7)."""
        new.request, old.request = old.request, None
        new.urged = old.urged
        new.requested = list(old.requested)
        if inherits:
            new.planned_used, new.technical_used, new.mark = old.planned_used, old.technical_used, old.mark
        elif new.request is not None:
            new.planned_used = int(new.request.kind is RetryKind.PLANNED)
            new.technical_used = int(new.request.kind is RetryKind.TECHNICAL)
        if new.request is None:
            self._plan(turn, new, new.book.attempts[-1].decline_class)
            return
        reason = new.book.attempts[-1].decline_class
        self.move(turn, new, RetryStage.SCHEDULED, reason)
        self.move(turn, new, RetryStage.REQUESTED, new.request.kind, retry_id=new.request.retry_id)

    # --- signals and peers ------------------------------------------------------------------------------------------

    def signalled(self, turn: RetryTurn, event: Signal) -> None:
        """A new payment method, or an operator's order to charge now (rule 18)."""
        account = turn.account
        match event.kind:
            case "customer.updated":
                account.changed |= account.facts.learn_customer(event.customer, event.at, self.facts_kept)
            case "payment_method.updated" if event.payment_method and event.payment_method.key not in account.barred:
                if account.facts.learn_method(event.payment_method, event.at):
                    account.changed = True
                    account.method_signal_at = event.at
                    for case in list(account.open_cases()):
                        self._urge(turn, case, "payment_method_updated")
            case "retry.now":
                named = account.cases.get(event.invoice_id or "")
                if named is not None and named.open and account.facts.method_key not in account.barred:
                    self._urge(turn, named, "retry_now")
            case _:
                turn.count("signal_without_effect")

    def _urge(self, turn: RetryTurn, case: RetryCase, reason: str) -> None:
        if case.stage == RetryStage.NONE:  # nothing was ever charged: `payment_overdue`, or no retries in the policy
            return
        turn.touch(case)
        case.urged = True
        self._plan(turn, case, reason)

    def heard(self, turn: RetryTurn, event: StageChanged | NoticeResult | ErrandReport) -> None:
        """Account enforcement terminated a case: what is unfinished here is cancelled (rule 37)."""
        if isinstance(event, StageChanged) and event.to_stage == AccountStage.TERMINATED:
            self.hear_termination(turn, event)

    def wake_at(self, account: RetryAccount, case: RetryCase, now: datetime) -> datetime | None:  # noqa: ARG002
        """When the open request runs out, or the planned retry is due."""
        if not case.open:
            return None
        if case.request is not None:
            return case.request.not_after
        return case.plan.at if case.plan is not None else None


def answers(request: Request, event: PaymentFailed | PaymentSucceeded) -> bool:
    """Whether an event answers this request (rule 15): by `retry_id`, or else by payment and attempt number."""
    if event.retry_id is not None:
        return event.retry_id == request.retry_id
    same = event.payment_id == request.payment_id and event.attempt_number == request.attempt_number
    return same and event.initiated_by != "customer"


def is_ours(case: RetryCase, event: PaymentFailed | PaymentSucceeded) -> bool:
    """Whether an event answers any request that was made for this case, or for one it goes on from."""
    if event.retry_id is not None:
        return any(asked.retry_id == event.retry_id for asked in case.requested)
    if event.initiated_by == "customer":
        return False
    key = (event.payment_id, event.attempt_number)
    return any((asked.payment_id, asked.attempt_number) == key for asked in case.requested)
