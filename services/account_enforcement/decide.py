"""What an account may still do: the account track, and the worst open case's status (rules 23 to 25, 35 to 37)."""

from collections.abc import Callable
from datetime import datetime

from account_enforcement.case import (
    DELIVERIES_MAX,
    HEARD,
    UNDELIVERED,
    AccountCase,
    AccountTurn,
    Delivery,
    EnforcedAccount,
)
from account_enforcement.noted import OF_AN_INVOICE, OF_THE_ACCOUNT, note_newest
from account_enforcement.status import publish_status
from account_enforcement.unreachable import newest_addresses, note_addresses, unreachable_at, warnings_of
from account_enforcement.walk import next_account_rung, next_stop, rungs_ahead
from account_enforcement.warned import stale_at, warned_at
from dunning.domain.case import Shift
from dunning.domain.events import (
    Customer,
    ErrandReport,
    NextStep,
    NoticeResult,
    PaymentFailed,
    PaymentSucceeded,
    Signal,
    StageChanged,
)
from dunning.domain.holds import opens_at
from dunning.domain.policy import LATE, Policies, Policy, Rung
from dunning.domain.track import BEFORE_EVERYTHING, Track
from dunning.domain.turn import Closing
from dunning.domain.words import AccountStage, Outcome, Reason
from dunning.domain.words import Track as TrackName


def everybody(account_id: str) -> bool:  # noqa: ARG001
    """May be restricted: no brake is on."""
    return True


class AccountTrack(Track[EnforcedAccount, AccountCase]):
    """Account enforcement's side of a case."""

    name = TrackName.ACCOUNT
    has_conditions = True

    def __init__(
        self,
        policies: Callable[[], Policies],
        start: Callable[[], datetime] = lambda: BEFORE_EVERYTHING,
        may_restrict: Callable[[str], bool] = everybody,
    ) -> None:
        """`may_restrict` is what the brake says of an account, in the transaction at hand (rule 45)."""
        super().__init__(policies, start)
        self.may_restrict = may_restrict

    def new_case(self, invoice_id: str) -> AccountCase:
        """An empty case."""
        return AccountCase(invoice_id, stage=AccountStage.ACTIVE.value)

    def carry(self, former: AccountCase, case: AccountCase) -> None:
        """Deliveries that were heard of before the failure was read: of this case, and of one that comes after it."""
        own = case.case_id
        case.deliveries = [one for one in former.deliveries if one.case_id == own or not former.goes_by(one.case_id)]
        case.noted = former.noted

    def learn(self, turn: AccountTurn, event: PaymentFailed | PaymentSucceeded, at: datetime) -> None:
        """Payments also say where the customer is to be reached."""
        super().learn(turn, event, at)
        self._note_addresses(turn, event.customer, at)

    def opened(self, turn: AccountTurn, case: AccountCase) -> None:
        """Where its warnings will go, as far as the failure that opens it says so."""
        cause = turn.cause
        if not isinstance(cause, PaymentFailed) or turn.account.facts.is_forgotten(cause.failed_at):
            return
        if cause.customer is not None:
            addresses = newest_addresses(turn.account, cause.customer, cause.failed_at)
            note_addresses(case, self.policy_of(case), addresses, cause.failed_at)

    # --- the ladder -------------------------------------------------------------------------------------------------

    def woken(self, turn: AccountTurn, case: AccountCase) -> None:
        """An account rung may be due, and what comes behind it too: each waits for the news up to its own time (40)."""
        held_since, case.held_since = case.held_since, None
        while case.open and (rung := self._due_rung(turn, case)) is not None:
            if _makes_worse(turn.account, rung) and not self.may_restrict(turn.account.account_id):
                case.held_since = held_since or turn.now
                turn.count("held_by_the_brake")
                return
            self._happen(turn, case, rung)

    def asks_to_restrict(self, account: EnforcedAccount, case: AccountCase, now: datetime) -> bool:
        """Whether a wake-up of this case now would make its account worse than it stands (rule 45)."""
        if not case.open:
            return False
        policy = self.policy_of(case)
        for rung in rungs_ahead(account, case, policy):
            if not policy.stops_account(rung):
                continue
            at = self._allowed_at(account, case, policy, rung, now)
            if at is None or at > now:
                return False
            if _makes_worse(account, rung):
                return True
        return False

    def _due_rung(self, turn: AccountTurn, case: AccountCase) -> Rung | None:
        policy = self.policy_of(case)
        following = next_stop(turn.account, case, policy)
        at = self._allowed_at(turn.account, case, policy, following, turn.now) if following else None
        return following if at is not None and at <= turn.news_until else None

    def _allowed_at(
        self, account: EnforcedAccount, case: AccountCase, policy: Policy, rung: Rung, now: datetime
    ) -> datetime | None:
        """When a rung may happen: its date, the end of what stops it, its warning's lead; None while not known."""
        opens = opens_at(account, case, policy, rung, now, case.waited_for)
        if opens is None or rung.warned_by is None:
            return opens
        warned = warned_at(case, policy, rung, now)
        met = warned if warned is not None else unreachable_at(case, policy, rung, stale_at(case, rung, now), now)
        return max(opens, met) if met is not None else None

    def _happen(self, turn: AccountTurn, case: AccountCase, rung: Rung) -> None:
        policy = self.policy_of(case)
        turn.touch(case)
        behind = policy.ladder.index(rung) + 1
        case.waited_for = max(case.waited_for, behind)
        if not policy.concerns_account(rung):
            return
        reached = rung.warned_by is None or warned_at(case, policy, rung, turn.now) is not None
        if rung.restricts and turn.now - case.date_of(rung, policy) > LATE:
            case.shift = Shift(turn.now, rung.at)
        case.next_rung = behind
        if rung.account is None or (case.stage == rung.account and not rung.restricts):
            return  # to restrict once more is a step all the same: its notice and the rungs behind it wait for that
        following = next_account_rung(turn.account, case, policy)
        upcoming = NextStep(following.name, case.date_of(following, policy)) if following else None
        reason = _reason_for(rung.account) if reached else Reason.CUSTOMER_UNREACHABLE
        self._enter(turn, case, rung.account, reason, rung, upcoming)
        if rung.account is AccountStage.TERMINATED:
            self.terminate(turn, case, turn.now, case.book.amount_minor)

    def _enter(
        self,
        turn: AccountTurn,
        case: AccountCase,
        stage: AccountStage,
        reason: str,
        rung: Rung | None = None,
        upcoming: NextStep | None = None,
        amount_minor: int | None = None,
    ) -> None:
        self.move(
            turn,
            case,
            stage,
            reason,
            upcoming=upcoming,
            amount_minor=amount_minor,
            rung=rung.name if rung else None,
            collections=(rung.collections or None) if rung else None,
        )
        case.stage_since = turn.now

    def wake_at(self, account: EnforcedAccount, case: AccountCase, now: datetime) -> datetime | None:
        """When the next account rung may happen, as far as that is known."""
        if not case.open:
            return None
        policy = self.policy_of(case)
        following = next_stop(account, case, policy)
        at = self._allowed_at(account, case, policy, following, now) if following else None
        return None if case.held_since is not None and at is not None and at <= now else at  # the brake wakes it

    # --- endings ----------------------------------------------------------------------------------------------------

    def closed(self, turn: AccountTurn, case: AccountCase, closing: Closing) -> None:
        """Back to active in the moment of payment; a termination keeps its stage."""
        case.stage_left, case.stage_left_since, case.held_since = case.stage, case.stage_since, None
        if case.stage != AccountStage.ACTIVE and not closing.terminated:
            self._enter(turn, case, AccountStage.ACTIVE, closing.reason, amount_minor=closing.amount_minor)

    def handed_over(self, turn: AccountTurn, old: AccountCase, new: AccountCase, *, inherits: bool) -> None:
        """The next case; where it replaces one that should not have been, it stands where that one stood (rule 7)."""
        if not inherits:
            return
        new.deliveries, new.waited_for = old.deliveries, old.waited_for
        stood = AccountStage(old.stage_left)
        if stood not in (AccountStage.ACTIVE, AccountStage.TERMINATED):
            rung = next((rung for rung in self.policy_of(new).ladder if rung.account is stood), None)
            self._enter(turn, new, stood, _reason_for(stood), rung)
            new.stage_since = old.stage_left_since  # a reinstatement of since then takes it back, also one read later

    def reinstated(self, turn: AccountTurn, case: AccountCase, at: datetime) -> None:
        """The stage is active again; which rungs are passed is looked up when they come (rule 37)."""
        if case.stage != AccountStage.ACTIVE and (case.stage_since is None or case.stage_since <= at):
            self._enter(turn, case, AccountStage.ACTIVE, Reason.REINSTATED)

    # --- signals and peers ------------------------------------------------------------------------------------------

    def signalled(self, turn: AccountTurn, event: Signal) -> None:
        """Facts: the zone and country that the next case pins, tags, and what is only kept."""
        account, facts = turn.account, turn.account.facts
        match event.kind:
            case "customer.updated":
                self._note_addresses(turn, event.customer, event.at)
                account.changed |= facts.learn_customer(event.customer, event.at, self.facts_kept)
            case "account.tagged" | "account.untagged" if event.tag is not None:
                account.changed |= facts.learn_tag(event.tag, event.kind == "account.tagged", event.at)
            case kind if kind in OF_THE_ACCOUNT:
                if not facts.is_forgotten(event.at):
                    account.changed |= note_newest(account.noted, event)
            case kind if kind in OF_AN_INVOICE and event.invoice_id is not None:
                case = self._case_of(account, event.invoice_id)
                if note_newest(case.noted, event):
                    turn.touch(case)
            case _:
                turn.count("signal_without_effect")

    def erased(self, turn: AccountTurn) -> None:
        """No address of before brings a warning any more, and the payment method that was to expire is forgotten."""
        account, facts = turn.account, turn.account.facts
        account.noted = {kind: said for kind, said in account.noted.items() if not facts.is_forgotten(said.at)}
        for case in list(account.open_cases()):
            kept = {key: known for key, known in case.addressed.items() if not facts.is_forgotten(known.at)}
            if len(kept) < len(case.addressed):
                case.addressed = kept
                turn.touch(case)

    def amount_changed(self, turn: AccountTurn, case: AccountCase, event: PaymentSucceeded | Signal) -> None:
        """What is owed is part of the account's status; `concluded` publishes it."""

    def heard(self, turn: AccountTurn, event: StageChanged | NoticeResult | ErrandReport) -> None:
        """Whether warnings were delivered, and whether they bounced since.

        News of a case that is unknown here is kept: the dispatcher may have read further and know that it opened, or
        that it has another number.
        """
        if not isinstance(event, NoticeResult) or event.outcome not in HEARD:
            turn.count("news_without_effect")
            return
        case = self._case_of(turn.account, event.invoice_id)
        case_id = next(iter(event.case_ids), "")
        if not case.open and case.goes_by(case_id):
            turn.count("news_of_another_case")
            return
        if case.open and event.outcome in UNDELIVERED and not self._may_run_out(case, event.rung):
            turn.count("news_without_effect")
            return
        turn.touch(case)
        known = next((entry for entry in case.deliveries if entry.notice_id == event.notice_id), None)
        if known is None:
            known = Delivery(case_id, event.rung, event.notice_id, event.channel)
            case.deliveries = [*case.deliveries, known][-DELIVERIES_MAX:]
        match event.outcome:
            case Outcome.DELIVERED:
                known.delivered_at = event.at
            case Outcome.BOUNCED:
                known.bounced_at = max(event.at, known.delivered_at or event.at)  # its clock may be behind ours
            case _:
                known.failed_at = event.at

    def _may_run_out(self, case: AccountCase, rung: str) -> bool:
        """Whether the end of a rung's notices begins the time of `unreachable` (rule 26)."""
        return any(warning.name == rung for warning in warnings_of(self.policy_of(case)))

    def _note_addresses(self, turn: AccountTurn, customer: Customer | None, at: datetime) -> None:
        if customer is None or turn.account.facts.is_forgotten(at):
            return
        addresses = newest_addresses(turn.account, customer, at)
        for case in list(turn.account.open_cases()) if addresses else ():
            if note_addresses(case, self.policy_of(case), addresses, at):
                turn.touch(case)

    def concluded(self, turn: AccountTurn) -> None:
        """Publish the account's status where it has news."""
        if turn.touched and not isinstance(turn.cause, NoticeResult):  # news of deliveries only moves dates
            publish_status(turn, self.policy_of)


def _makes_worse(account: EnforcedAccount, rung: Rung) -> bool:
    """Whether a rung restricts, suspends or terminates an account that is not so far yet."""
    return rung.account is not None and rung.restricts and rung.account.severity > account.published.status.severity


def _reason_for(stage: AccountStage) -> Reason:
    """Why a rung changes the stage (rule 36)."""
    return Reason.GRACE_PERIOD_EXPIRED if stage.restricts else Reason.PAYMENT_FAILED
