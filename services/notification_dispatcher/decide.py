"""What to tell the customer, through which channel, and when it is allowed: the notice track (rules 23 to 33)."""

from dataclasses import replace
from datetime import datetime

from dunning.domain.book import Attempt, Book
from dunning.domain.case import Shift
from dunning.domain.events import (
    ErrandReport,
    NextStep,
    NoticeResult,
    PaymentFailed,
    PaymentSucceeded,
    Signal,
    StageChanged,
)
from dunning.domain.facts import CUSTOMER_FIELDS, Known
from dunning.domain.holds import first_ahead, pause_of
from dunning.domain.policy import LATE, ROUNDS, STALE_AFTER, Policy, Rung
from dunning.domain.turn import Closing
from dunning.domain.words import NOTICE_CLOSED, NOTICE_RECOVERED, RESTRICTING, AccountStage, Reason
from dunning.domain.words import Track as TrackName
from notification_dispatcher.case import EARLY_NEWS_MAX, Happened, NoticeAccount, NoticeCase, NoticeState
from notification_dispatcher.outcomes import NoticeTurn
from notification_dispatcher.walk import due_rungs, next_rung, next_rung_at, steps
from notification_dispatcher.withholding import Withholding


class NoticeTrack(Withholding):
    """The notification dispatcher's side of a case."""

    name = TrackName.NOTICE
    has_conditions = True
    facts_kept = CUSTOMER_FIELDS

    # --- payments ---------------------------------------------------------------------------------------------------

    def learn(self, turn: NoticeTurn, event: PaymentFailed | PaymentSucceeded, at: datetime) -> None:
        """Also who pays with what, and where to update it, for the words of the notices."""
        facts = turn.account.facts
        zone = facts.get("timezone")
        super().learn(turn, event, at)
        self._unmark(turn)
        if facts.get("timezone") != zone:
            self._reckon_waiting(turn)
        if facts.is_forgotten(at):
            return
        turn.account.changed |= facts.learn_method(event.payment_method, at)
        if event.update_payment_url and (facts.update_url is None or at >= facts.update_url.at):
            facts.update_url = Known(event.update_payment_url, at)
            turn.account.changed = True

    def concluded(self, turn: NoticeTurn) -> None:
        """A payment may name a new address as well (rules 12 and 31); looked at when it closed what it closes."""
        if isinstance(turn.cause, PaymentFailed | PaymentSucceeded) and turn.cause.customer is not None:
            self._address_changed(turn)

    def opened(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """The first rungs come by their dates; here only what the notices will say."""
        assert isinstance(turn.cause, PaymentFailed), "only a failure opens a case"
        self._describe(case, case.book.first, turn.cause)
        self._hear_early(turn, case)

    def _hear_early(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """What account enforcement did to this case before it was known here. What it did to the next one is kept for
        that: whoever was away for long may hear of two cases at once, of the later one's rungs first."""
        early = case.early
        case.early = [news for news in early if not case.goes_by(news.case_id)]
        for news in early:
            if case.is_told_of(news.case_id, news.at):
                self._happened(turn, case, news)

    def carry(self, former: NoticeCase, case: NoticeCase) -> None:
        """News that came before the failure, and former cases whose errands are still out."""
        case.early = former.early
        case.before = [each for each in former.before if each.has_errands_out]
        if former.has_errands_out:
            book = Book(currency=former.book.currency)
            case.before.append(replace(former, book=book, before=[], early=[]))

    def failed_again(self, turn: NoticeTurn, case: NoticeCase, attempt: Attempt, event: PaymentFailed) -> None:  # noqa: ARG002
        """A newer refusal changes what the notices say."""
        if attempt is case.book.attempts[-1]:
            self._describe(case, attempt, event)

    @staticmethod
    def _describe(case: NoticeCase, attempt: Attempt, event: PaymentFailed) -> None:
        case.decline_class, case.failure_code = str(attempt.decline_class), attempt.code
        case.invoice_number = event.invoice_number or case.invoice_number

    def closed(self, turn: NoticeTurn, case: NoticeCase, closing: Closing) -> None:
        """What still waits is suppressed with the closing's reason, but for the terminating rung's own (rule 32)."""
        policy = self.policy_of(case)
        for notice in case.notices:
            rung = policy.rung(notice.rung)
            own = closing.terminated and rung is not None and rung.account is AccountStage.TERMINATED
            if not own and not closing.inherited:
                self._call_off(turn, case, notice, NoticeState.SUPPRESSED, closing.reason)
        stage = NOTICE_RECOVERED if closing.by_money else NOTICE_CLOSED
        if case.stage == stage:  # a termination closed it before
            return
        self.move(turn, case, stage, closing.reason, amount_minor=closing.amount_minor)

    def handed_over(self, turn: NoticeTurn, old: NoticeCase, new: NoticeCase, *, inherits: bool) -> None:
        """The next case; where it replaces a case that should not have been, its notices count as done (rule 7)."""
        new.decline_class, new.failure_code = old.decline_class, old.failure_code
        new.invoice_number = old.invoice_number
        if inherits:
            self._inherit(turn, old, new)
        self._hear_early(turn, new)

    def _inherit(self, turn: NoticeTurn, old: NoticeCase, new: NoticeCase) -> None:
        new.notices, old.notices = old.notices, []
        new.before = [each for each in new.before if each.case_id != old.case_id]
        new.happened = dict(old.happened)
        rungs = self.policy_of(new).ladder[: new.next_rung]
        last = next((rung for rung in reversed(rungs) if rung.notice is not None), None)
        if last is not None:
            self.move(turn, new, last.name, "carried_over", rung=last.name)

    # --- the ladder -------------------------------------------------------------------------------------------------

    def woken(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """A rung is due, what waited may go out, a receipt is missing, or a warning has grown too old."""
        if case.is_open:
            self._miss_receipts(turn, case)
        if pause_of(case, turn.now) is not None:
            return
        if case.open:
            self._go_on(turn, case, warnings_only=True)
            self._warn_again(turn, case)
            self._walk(turn, case)
        self._go_on(turn, case)

    def _go_on(self, turn: NoticeTurn, case: NoticeCase, *, warnings_only: bool = False) -> None:
        """What waited goes out. Warnings do before the rungs of the same instant, also those that are sent once more: a
        plain notice must not take the place that a cap had for them (rule 32)."""
        policy = self.policy_of(case)
        for notice in [known for known in case.notices if known.state is NoticeState.WAITING]:
            rung = policy.rung(notice.rung)
            is_meant = not warnings_only or (rung is not None and policy.is_warning(rung))
            if is_meant and self._may_go_now(turn, case, notice):
                self._send(turn, case, notice)
                self._fall_back_after(turn, case, notice)

    def _walk(self, turn: NoticeTurn, case: NoticeCase) -> None:
        policy = self.policy_of(case)
        due = due_rungs(turn.account, case, policy, turn.now)
        if any(rung.notice is not None for rung in due):
            self._supersede_waiting(turn, case, policy)
        for step in steps(due, policy):
            case.next_rung = policy.ladder.index(step.rung) + 1
            self._touch(turn, case)
            if step.rung.notice is None:
                continue
            self._enter(turn, case, policy, step.rung)
            if step.superseded:
                for channel in step.rung.notice.channels:
                    notice = self._new_notice(turn, case, step.rung.name, channel, 1)
                    self._end(turn, case, notice, NoticeState.SUPERSEDED, Reason.SUPERSEDED)
            else:
                self._speak(turn, case, step.rung, round_number=1)

    def _enter(self, turn: NoticeTurn, case: NoticeCase, policy: Policy, rung: Rung) -> None:
        following = next_rung(turn.account, case, policy)
        at = next_rung_at(turn.account, case, policy, turn.now)
        upcoming = NextStep(following.name, at) if following and at else None
        self.move(turn, case, rung.name, "rung_due", upcoming=upcoming, rung=rung.name)

    def _supersede_waiting(self, turn: NoticeTurn, case: NoticeCase, policy: Policy) -> None:
        """A plain notice that still waits when a later one falls due says nothing any more (rule 23)."""
        for notice in case.notices:
            rung = policy.rung(notice.rung)
            if rung is not None and not policy.is_warning(rung):
                self._call_off(turn, case, notice, NoticeState.SUPERSEDED, Reason.SUPERSEDED)

    def _warn_again(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """A warning older than its lead and 14 days is sent once more and counts anew (rule 25)."""
        for warning, stale_at in self._stale_dates(turn.account, case, self.policy_of(case)):
            if stale_at <= turn.now:
                self._speak(turn, case, warning, round_number=ROUNDS[-1])

    @staticmethod
    def _stale_dates(account: NoticeAccount, case: NoticeCase, policy: Policy) -> list[tuple[Rung, datetime]]:
        """Warnings that were delivered once, with the instant from which they are too old to rely on."""
        if account.is_terminated:
            return []
        found, ahead = [], first_ahead(account, case, policy)
        for place, rung, warning in policy.warned:
            known = case.of_rung(warning.name) if place >= ahead else []
            if not known or rung.lead is None:
                continue
            delivered = [n.delivered_at for n in known if n.state is NoticeState.DELIVERED and n.delivered_at]
            if delivered and known[0].round < ROUNDS[-1]:
                found.append((warning, (rung.lead + STALE_AFTER).after(min(delivered), case.pinned_zone)))
        return found

    def lifted(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """The terminating rung's own notice says nothing any more where it still waits."""
        for notice in case.notices:
            self._call_off(turn, case, notice, NoticeState.SUPPRESSED, Reason.REINSTATED)

    def resumed(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """What became of a warning meanwhile, and a new address, were passed over: they lead on now (rules 29, 31)."""
        for warning in self.policy_of(case).warnings:
            for notice in case.of_rung(warning.name)[-1:]:
                self._fall_back_after(turn, case, notice)

    def wake_at(self, account: NoticeAccount, case: NoticeCase, now: datetime) -> datetime | None:
        """The next rung by its date, when what waits may go out, a missing receipt, or a warning growing too old."""
        waiting = [notice for notice in case.notices if notice.state is NoticeState.WAITING]
        moments = [self._goes_out_at(case, notice, now) for notice in waiting]
        if case.is_open:
            moments += [self._receipt_due(notice) for notice in case.notices if notice.state is NoticeState.SENT]
        if case.open:
            policy, pause = self.policy_of(case), pause_of(case, now)
            stale = [at for _, at in self._stale_dates(account, case, policy)]
            moments.append(next_rung_at(account, case, policy, now))
            moments += [pause.until] if pause and stale else stale
        return min([at for at in moments if at is not None], default=None)

    # --- what became of notices -------------------------------------------------------------------------------------

    def heard(self, turn: NoticeTurn, event: StageChanged | NoticeResult | ErrandReport) -> None:
        """What account enforcement really did, and what became of an errand."""
        match event:
            case StageChanged():
                self._account_changed(turn, event)
            case ErrandReport():
                self._reported(turn, event)
            case _:
                turn.count("news_without_effect")

    def _account_changed(self, turn: NoticeTurn, event: StageChanged) -> None:
        """A rung that restricts has happened: its notice goes out, the rungs behind it follow from then (rule 33)."""
        if event.to_stage not in RESTRICTING:
            return
        case = self._case_of(turn.account, event.invoice_id)
        news = Happened(event.case_id, event.to_stage, str(event.details.get("rung", "")), event.effective_at)
        if case.open and case.is_told_of(event.case_id, event.effective_at):
            self._happened(turn, case, news)
        elif not case.goes_by(event.case_id):
            case.early = [*case.early, news][-EARLY_NEWS_MAX:]
            self._touch(turn, case)
        if event.to_stage == AccountStage.TERMINATED:
            self.hear_termination(turn, event)

    def _happened(self, turn: NoticeTurn, case: NoticeCase, news: Happened) -> None:
        policy = self.policy_of(case)
        rung = self._rung_meant(turn.account, case, policy, news)
        if rung is None:
            return
        if news.at - case.date_of(rung, policy) > LATE:
            passed = first_ahead(turn.account, case, policy)  # what was passed stays so: the shift is behind it
            case.next_rung = max(case.next_rung, min(passed, policy.ladder.index(rung)))
            case.shift = Shift(news.at, rung.at)
        case.happened[rung.name] = news.at
        self._touch(turn, case)
        self._walk(turn, case)

    @staticmethod
    def _rung_meant(account: NoticeAccount, case: NoticeCase, policy: Policy, news: Happened) -> Rung | None:
        """The one that is named happened, also where a reinstatement passed it here: only its notice is not said then,
        where a later one was."""
        meant = [rung for rung in policy.ladder if rung.account == news.to_stage and rung.name not in case.happened]
        named = next((rung for rung in meant if rung.name == news.rung), None)
        ahead = policy.ladder[first_ahead(account, case, policy) :]
        return named or next((rung for rung in meant if rung in ahead), None)

    def signalled(self, turn: NoticeTurn, event: Signal) -> None:
        """Receipts, bounces, and facts about the customer."""
        account = turn.account
        match event.kind:
            case "notice.delivered" | "notice.bounced":
                self._receipt(turn, event)
            case "customer.updated":
                zone = account.facts.get("timezone")
                if account.facts.learn_customer(event.customer, event.at, self.facts_kept):
                    account.changed = True
                    self._unmark(turn)
                    self._address_changed(turn)
                if account.facts.get("timezone") != zone:
                    self._reckon_waiting(turn)
            case "payment_method.updated":
                if not account.facts.is_forgotten(event.at):
                    account.changed |= account.facts.learn_method(event.payment_method, event.at)
            case "account.tagged" | "account.untagged" if event.tag is not None:
                account.changed |= account.facts.learn_tag(event.tag, event.kind == "account.tagged", event.at)
            case "consent.changed":
                self._consent_changed(turn, event)
            case _:
                turn.count("signal_without_effect")
