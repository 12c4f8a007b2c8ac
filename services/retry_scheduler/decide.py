"""Whether, when and with what to charge again: the retry track (rules 14 to 22)."""

from datetime import datetime
from typing import Any

from dunning.domain.book import Attempt
from dunning.domain.declines import is_overdue
from dunning.domain.events import (
    ErrandReport,
    NoticeResult,
    PaymentFailed,
    PaymentMethod,
    PaymentSucceeded,
    Signal,
    StageChanged,
)
from dunning.domain.events import NextStep as Upcoming
from dunning.domain.holds import pause_of
from dunning.domain.policy import Retries
from dunning.domain.track import Track
from dunning.domain.turn import Closing
from dunning.domain.words import AccountStage, DeclineClass, Reason, RetryStage
from dunning.domain.words import Track as TrackName
from retry_scheduler.allowed import first_allowed
from retry_scheduler.answers import answers_in_time
from retry_scheduler.case import Asked, Mark, Plan, Request, RetryAccount, RetryCase, RetryKind, RetryTurn
from retry_scheduler.counting import count_payment, note_origin
from retry_scheduler.countries import is_news, note_country
from retry_scheduler.finished import step_now
from retry_scheduler.limits import over_limit
from retry_scheduler.methods import asked_of, charged_at, is_echo, note_echo, note_tried, present, tried_since
from retry_scheduler.next_step import (
    GiveUp,
    RetryAt,
    WaitForCustomer,
    last_attempt,
    last_class,
    not_after,
    window_end,
)
from retry_scheduler.pausing import revoke, revoking_reason
from retry_scheduler.requesting import ask, requested
from retry_scheduler.succession import hand_over
from retry_scheduler.urging import bar, enter_method, inherit_urging, later_of, order, spend


class RetryTrack(Track[RetryAccount, RetryCase]):
    """The retry scheduler's side of a case."""

    name = TrackName.RETRY

    def new_case(self, invoice_id: str) -> RetryCase:
        """An empty case."""
        return RetryCase(invoice_id)

    # --- facts ------------------------------------------------------------------------------------------------------

    def learn(self, turn: RetryTurn, event: PaymentFailed | PaymentSucceeded, at: datetime) -> None:
        """Payments also say what was charged."""
        super().learn(turn, event, at)
        case = turn.account.cases.get(event.invoice_id)
        as_of = charged_at(case, event, at) if case else at
        turn.account.changed |= turn.account.facts.learn_method(event.payment_method, as_of)
        note_country(turn.account, event.payment_method, at)
        count_payment(turn.account, event, turn.now)

    def method_key_of(self, case: RetryCase, event: PaymentFailed) -> str:
        """Said nowhere, it was what we asked for, if we did; to guess more would depend on the order of reading."""
        if event.payment_method:
            return event.payment_method.key
        asked = asked_of(case, event)
        return asked.method_key if asked else ""

    def carry(self, former: RetryCase, case: RetryCase) -> None:
        """Who charges an invoice stays the same from one of its cases to the next, and what was charged is known."""
        case.tried = former.tried
        case.merchant, case.processor, case.processors = former.merchant, former.processor, former.processors
        inherit_urging(former, case)

    def _note_charge(self, case: RetryCase, event: PaymentFailed) -> None:
        note_origin(case, event)
        asked, method = asked_of(case, event), event.payment_method
        if asked is None and not is_overdue(event.failure):
            case.others_tried_at = later_of(case.others_tried_at, event.failed_at)
        if method is not None and not is_echo(asked, method):  # what we asked for we know already
            note_tried(case, method, event.failed_at)

    # --- failures ---------------------------------------------------------------------------------------------------

    def opened(self, turn: RetryTurn, case: RetryCase) -> None:
        """The first failure gives the plan, unless there is nothing to charge (rule 21)."""
        assert isinstance(turn.cause, PaymentFailed), "only a failure opens a case"
        attempt = case.book.first
        case.tried = [] if turn.cause.payment_method else tried_since(case.tried, case)
        self._note_charge(case, turn.cause)
        self._bar(turn, attempt, but_not=case)
        self._plan(turn, case, attempt.decline_class)

    def failed_again(self, turn: RetryTurn, case: RetryCase, attempt: Attempt, event: PaymentFailed) -> None:
        """An answer to our request, one that came too late, or somebody else's attempt (rule 15)."""
        request = case.open_request
        if request and not attempt.overdue and request.not_after <= event.failed_at > request.not_before:
            self._time_out(turn, case, request)
        self._note_charge(case, event)
        asked = asked_of(case, event)
        if asked and attempt.method_key == asked.method_key:
            note_echo(asked, event.payment_method, event.failed_at)
        if asked and not answers_in_time(case, asked, event.failed_at):
            self._answered_late(case, asked, attempt)
        self._bar(turn, attempt, but_not=case)
        if case.open_request is None:
            self._plan(turn, case, attempt.decline_class)

    def came_late(self, turn: RetryTurn, case: RetryCase, event: PaymentFailed) -> None:
        """What is settled changes no case, but says who charges the invoice, and a hard refusal bars its method, in
        whatever order they are read."""
        note_origin(case, event)
        self._bar(turn, Attempt.of(event, self.method_key_of(case, event)))
        if case.open and case.stage != RetryStage.NONE:
            self._plan(turn, case, "late_failure")

    def ignored(self, turn: RetryTurn, case: RetryCase, event: PaymentFailed) -> None:
        """It is a fact all the same: its attempt number was seen (rule 15), and a hard refusal bars its method (18)."""
        case.book.highest_attempt = max(case.book.highest_attempt, event.attempt_number)
        turn.touch(case)
        self.came_late(turn, case, event)

    @staticmethod
    def _answered_late(case: RetryCase, asked: Asked, attempt: Attempt) -> None:
        """It tells how the charge was declined; its time-out stays what the next distance counts from (rule 15)."""
        attempt.late = True
        if case.mark and case.mark.retry_id == asked.retry_id:
            case.mark.decline_class, case.mark.method_key = attempt.decline_class, attempt.method_key

    def _bar(self, turn: RetryTurn, attempt: Attempt, *, but_not: RetryCase | None = None) -> None:
        """A method that was declined hard is charged in no case of the account any more (rule 18)."""
        key = attempt.method_key
        if attempt.decline_class is DeclineClass.HARD and key and bar(turn.account, key, attempt.failed_at):
            self._plan_all(turn, Reason.HARD_DECLINED, but_not=but_not)

    def _plan_all(self, turn: RetryTurn, reason: str, *, but_not: RetryCase | None = None) -> None:
        """Something became known of the account that the next charges of its cases depend on."""
        for case in list(turn.account.open_cases()):
            if case.stage != RetryStage.NONE and case is not but_not:
                self._plan(turn, case, reason)

    def _plan(self, turn: RetryTurn, case: RetryCase, reason: str) -> None:
        """Bring the stage in line with what follows now, from all that is known, in whatever order it was read (8)."""
        policy, last = self.policy_of(case), last_attempt(case)
        if policy.retries is None or case.open_request is not None or last is None:
            return
        step, pause = step_now(turn.account, case, last, policy, turn.now), pause_of(case, turn.now)
        turn.touch(case)
        case.plan = None
        match step:
            case GiveUp():
                self._enter(turn, case, RetryStage.EXHAUSTED, step.reason)
            case _ if pause is not None:
                self._enter(turn, case, RetryStage.PAUSED, pause.why)
            case WaitForCustomer():
                self._enter(turn, case, RetryStage.WAITING_FOR_CUSTOMER, step.reason)
            case RetryAt():
                case.plan = Plan(step.at, step.kind)
                self._enter(turn, case, RetryStage.SCHEDULED, reason, Upcoming(RetryStage.REQUESTED, step.at))

    def halted(self, turn: RetryTurn, case: RetryCase) -> None:
        """Revoke what was asked for, and plan anew (rule 27). Finished tracks stay finished."""
        if not case.open:
            return
        request = case.open_request
        reason = revoking_reason(case, request, turn.now) if request else None
        if request is not None and reason is not None:
            revoke(case, request)
            self._enter(turn, case, RetryStage.PAUSED, reason)
        self._plan(turn, case, "resumed" if case.stage == RetryStage.PAUSED else "dates_moved")

    def _enter(
        self, turn: RetryTurn, case: RetryCase, stage: RetryStage, reason: str, upcoming: Upcoming | None = None
    ) -> None:
        if case.stage != stage:
            self.move(turn, case, stage, reason, upcoming=upcoming)

    def move(self, turn: RetryTurn, case: RetryCase, to_stage: str, reason: str, **told: Any) -> None:
        """Tell by which decline to count it: what a charge was to get over, or the last one where none follows."""
        if case.stage == RetryStage.REQUESTED:
            told["charged_for"] = case.charged_for or str(DeclineClass.UNKNOWN)
        if to_stage in (RetryStage.WAITING_FOR_CUSTOMER, RetryStage.EXHAUSTED):
            told["decline_class"] = str(last_class(case))
        super().move(turn, case, to_stage, reason, **told)

    # --- requests ---------------------------------------------------------------------------------------------------

    def woken(self, turn: RetryTurn, case: RetryCase) -> None:
        """A request ran out, or a planned retry is due."""
        if not case.open:
            return
        request = case.open_request
        if request is not None and request.not_after <= turn.news_until:
            self._time_out(turn, case, request)
            self._plan(turn, case, DeclineClass.TECHNICAL)
        elif case.plan is not None and case.plan.at <= turn.news_until:
            self._charge_if_allowed(turn, case, case.plan)

    def _time_out(self, turn: RetryTurn, case: RetryCase, request: Request) -> None:
        """Unanswered when its time has passed: a technical failure at that instant (rule 14)."""
        case.request, case.answered_at = None, request.not_after
        case.mark = Mark(request.not_after, DeclineClass.TECHNICAL, request.retry_id, request.method_key)
        turn.count("request_timed_out")

    def _charge_if_allowed(self, turn: RetryTurn, case: RetryCase, plan: Plan) -> None:
        """Look again at what may have changed since it was planned: hours and window, when the timer came late."""
        retries = self.policy_of(case).retries
        assert retries is not None, "a plan comes from a policy with retries"
        if plan.kind is not RetryKind.EXTRA:
            at, end = first_allowed(turn.now, case, retries), window_end(case, retries, turn.now)
            if end is not None and at > end:
                self._give_up(turn, case, Reason.RETRIES_EXHAUSTED)
                return
            if at > turn.now:
                case.plan = Plan(at, plan.kind)
                return
        chosen = present(turn.account, case)
        method = chosen.method if chosen else None
        if self._waits_for_limit(turn, case, retries, plan, method):
            return
        until = not_after(case, retries, plan.kind, method.type if method else None, turn.now)
        request = ask(turn.account, case, plan.kind, chosen, until, turn.now)
        self.move(turn, case, RetryStage.REQUESTED, plan.kind, retry_id=request.retry_id)
        turn.decision.events.append(requested(turn, case, request))

    def _give_up(self, turn: RetryTurn, case: RetryCase, reason: Reason) -> None:
        """A charge that was due cannot be made any more: the plan is finished (rule 17) until somebody urges it on."""
        case.plan, case.given_up, case.given_up_for = None, True, reason
        self._enter(turn, case, RetryStage.EXHAUSTED, reason)

    def _waits_for_limit(
        self, turn: RetryTurn, case: RetryCase, retries: Retries, plan: Plan, method: PaymentMethod | None
    ) -> bool:
        """A charge over a network's limit waits for the first instant that is allowed; the window holds (rule 18)."""
        extra, end = plan.kind is RetryKind.EXTRA, window_end(case, retries, turn.now)
        over = over_limit(
            turn.account, case, method, turn.now, lambda at: at if extra else first_allowed(at, case, retries)
        )
        if over is None:
            return False
        turn.count("charge_over_network_limit")
        if over.until is None or (end is not None and over.until > end):
            spend(turn.account, case)
            self._give_up(turn, case, Reason.BUDGET_EXHAUSTED)
        else:
            case.plan = Plan(over.until, plan.kind, waits_for=str(over.limit))
        return True

    # --- money and endings ------------------------------------------------------------------------------------------

    def amount_changed(self, turn: RetryTurn, case: RetryCase, event: PaymentSucceeded | Signal) -> None:
        """A part of the money that answers our request counts like an attempt: on at the next distance (rule 15)."""
        if not isinstance(event, PaymentSucceeded):
            return
        asked = asked_of(case, event)
        if asked and answers_in_time(case, asked, event.succeeded_at):
            if case.mark is None or case.mark.at <= event.succeeded_at:  # else the time-out before it came later (7)
                case.mark = Mark(event.succeeded_at, DeclineClass.SOFT, "", asked.method_key)
            self._plan(turn, case, "partially_paid")

    def closed(self, turn: RetryTurn, case: RetryCase, closing: Closing) -> None:
        """Money moves every stage but `none` to `recovered`; other endings cancel what is unfinished (rule 22)."""
        event = closing.event
        asked = asked_of(case, event) if isinstance(event, PaymentSucceeded) else None
        is_answered = asked is not None and case.request is not None and asked.retry_id == case.request.retry_id
        if is_answered or not closing.handed_over:
            case.request = None
        case.plan = None
        if case.stage == RetryStage.NONE:
            return
        if closing.by_money:
            reason = Reason.PAID if asked else Reason.PAID_ELSEWHERE
            kept = case.open_request.retry_id if case.open_request else None
            self.move(turn, case, RetryStage.RECOVERED, reason, amount_minor=closing.amount_minor, handed_over=kept)
        elif not case.is_finished:
            self.move(turn, case, RetryStage.CANCELLED, closing.reason, amount_minor=closing.amount_minor)

    def handed_over(self, turn: RetryTurn, old: RetryCase, new: RetryCase, *, inherits: bool) -> None:
        """The next case goes on with the later failures and the open request, which is not made twice (rule 7)."""
        hand_over(old, new, inherits=inherits)
        reason = new.book.attempts[-1].decline_class
        if new.open_request is None:
            self._plan(turn, new, reason)
            return
        self.move(turn, new, RetryStage.SCHEDULED, reason)
        self.move(turn, new, RetryStage.REQUESTED, new.open_request.kind, retry_id=new.open_request.retry_id)

    # --- signals and peers ------------------------------------------------------------------------------------------

    def signalled(self, turn: RetryTurn, event: Signal) -> None:
        """A new payment method, or an operator's order to charge now (rule 18)."""
        account = turn.account
        match event.kind:
            case "customer.updated":
                account.changed |= account.facts.learn_customer(event.customer, event.at, self.facts_kept)
            case "payment_method.updated" if event.payment_method is not None:
                self._method_updated(turn, event.payment_method, event.at)
            case "retry.now" if event.invoice_id is not None:
                self._ordered(turn, event.invoice_id, event.at)
            case _:
                turn.count("signal_without_effect")

    def _method_updated(self, turn: RetryTurn, method: PaymentMethod, at: datetime) -> None:
        """It replaces what was charged before it, and is charged at once where it is news (rules 12 and 18)."""
        note_country(turn.account, method, at)
        if not enter_method(turn.account, method, at):
            turn.count("method_without_effect")
            return
        self._plan_all(turn, "payment_method_updated")

    def _ordered(self, turn: RetryTurn, invoice_id: str, at: datetime) -> None:
        """Kept with the invoice, for its failure may not have been read yet (rule 8)."""
        case = self._case_of(turn.account, invoice_id)
        order(case, at)
        turn.touch(case)
        if case.open and case.stage != RetryStage.NONE:
            self._plan(turn, case, "retry_now")

    def heard(self, turn: RetryTurn, event: StageChanged | NoticeResult | ErrandReport) -> None:
        """Account enforcement terminated a case: what is unfinished here is cancelled (rule 37)."""
        if isinstance(event, StageChanged) and event.to_stage == AccountStage.TERMINATED:
            self.hear_termination(turn, event)

    def concluded(self, turn: RetryTurn) -> None:
        """Where a card was issued may forbid it to other cases too (rule 18); a failure's own is planned."""
        if is_news(turn.account, turn.cause):
            own = turn.account.cases.get(turn.cause.invoice_id) if isinstance(turn.cause, PaymentFailed) else None
            self._plan_all(turn, "country_of_card", but_not=own)

    def wake_at(self, account: RetryAccount, case: RetryCase, now: datetime) -> datetime | None:  # noqa: ARG002
        """When the open request runs out, the planned retry is due, or a pause ends by itself."""
        if not case.open:
            return None
        if case.open_request is not None:
            return case.open_request.not_after
        if case.stage == RetryStage.PAUSED:
            pause = pause_of(case, now)
            return pause.until if pause is not None else now
        return case.plan.at if case.plan is not None else None
