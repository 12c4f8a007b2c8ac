"""What to tell the customer, through which channel, and when it is allowed: the notice track (rules 23 to 33)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from dunning.domain import ids
from dunning.domain.book import Attempt, Book
from dunning.domain.case import Shift
from dunning.domain.decision import Errand
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
from dunning.domain.policy import LATE, STALE_AFTER, Policies, Policy, Rung
from dunning.domain.track import Closing, Track, Turn
from dunning.domain.words import (
    NOTICE_CLOSED,
    NOTICE_NONE,
    NOTICE_RECOVERED,
    AccountStage,
    Channel,
    DeclineClass,
    Reason,
)
from dunning.domain.words import Track as TrackName
from notification_dispatcher.case import (
    EARLY_NEWS_MAX,
    ON_ITS_WAY,
    WENT_OUT,
    Happened,
    Notice,
    NoticeAccount,
    NoticeCase,
    NoticeState,
)
from notification_dispatcher.channels.payload import NextConsequence, NoticeOrder, PaidWith
from notification_dispatcher.contact import address_of, closes_at, opens_at
from notification_dispatcher.templates.locales import negotiate
from notification_dispatcher.walk import due_rungs, next_rung_at, steps

NOTICE_RESULT = "dunning.notice.result.v1"
ROUNDS_MAX = 2
WITH_RECEIPTS = frozenset({Channel.SMS, Channel.PUSH, Channel.CALL})  # others deliver when they are accepted (rule 30)
NoticeTurn = Turn[NoticeAccount]


class NoticeTrack(Track[NoticeAccount, NoticeCase]):
    """The notification dispatcher's side of a case."""

    name = TrackName.NOTICE
    facts_kept = CUSTOMER_FIELDS

    def __init__(
        self,
        policies: Callable[[], Policies],
        configured: frozenset[Channel],
        with_receipts: frozenset[Channel] = WITH_RECEIPTS,
    ) -> None:
        """`configured` channels can send here; on those `with_receipts` a receipt says what was delivered."""
        super().__init__(policies)
        self.configured = configured
        self.with_receipts = with_receipts

    def new_case(self, invoice_id: str) -> NoticeCase:
        """An empty case."""
        return NoticeCase(invoice_id, stage=NOTICE_NONE)

    # --- payments ---------------------------------------------------------------------------------------------------

    def learn(self, turn: NoticeTurn, event: PaymentFailed | PaymentSucceeded, at: datetime) -> None:
        """Also who pays with what, and where to update it, for the words of the notices."""
        facts = turn.account.facts
        zone = facts.get("timezone")
        super().learn(turn, event, at)
        if facts.get("timezone") != zone:
            self._zone_changed(turn)
        turn.account.changed |= facts.learn_method(event.payment_method, at)
        if event.update_payment_url and (facts.update_url is None or at >= facts.update_url.at):
            facts.update_url = Known(event.update_payment_url, at)
            turn.account.changed = True

    def opened(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """The first rungs come by their dates; here only what the notices will say."""
        assert isinstance(turn.cause, PaymentFailed), "only a failure opens a case"
        self._describe(case, case.book.first, turn.cause)
        self._hear_early(turn, case)

    def _hear_early(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """What account enforcement did to this case before it was known here."""
        early, case.early = case.early, []
        for news in early:
            if case.goes_by(news.case_id):
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
        case.decline_class, case.failure_code = attempt.decline_class.value, attempt.code
        case.invoice_number = event.invoice_number or case.invoice_number

    def closed(self, turn: NoticeTurn, case: NoticeCase, closing: Closing) -> None:
        """What still waits is suppressed with the closing's reason, but for the terminating rung's own (rule 32)."""
        terminated = closing.reason == AccountStage.TERMINATED
        policy = self.policy_of(case)
        for notice in case.notices:
            rung = policy.rung(notice.rung)
            own = terminated and rung is not None and rung.account is AccountStage.TERMINATED
            if not own and not closing.inherited:
                self._call_off(turn, case, notice, NoticeState.SUPPRESSED, closing.reason)
        stage = NOTICE_RECOVERED if closing.by_money else NOTICE_CLOSED
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
        """A rung is due, quiet hours are over, or a warning has grown too old."""
        if case.open:
            self._walk(turn, case)
            self._warn_again(turn, case)
        for notice in [known for known in case.notices if known.state is NoticeState.WAITING]:
            if notice.due is not None and notice.due <= turn.now:
                self._send(turn, case, notice)

    def _walk(self, turn: NoticeTurn, case: NoticeCase) -> None:
        policy = self.policy_of(case)
        due = due_rungs(case, policy, turn.now, terminated=turn.account.is_terminated)
        if any(rung.notice is not None for rung in due):
            self._supersede_waiting(turn, case, policy)
        for step in steps(due, policy):
            case.next_rung += 1
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
        at = next_rung_at(case, policy, terminated=turn.account.is_terminated)
        upcoming = NextStep(policy.ladder[case.next_rung].name, at) if at else None
        self.move(turn, case, rung.name, "rung_due", upcoming=upcoming, rung=rung.name)

    def _supersede_waiting(self, turn: NoticeTurn, case: NoticeCase, policy: Policy) -> None:
        """A plain notice that still waits when a later one falls due says nothing any more (rule 23)."""
        for notice in case.notices:
            rung = policy.rung(notice.rung)
            if rung is not None and not policy.is_warning(rung):
                self._call_off(turn, case, notice, NoticeState.SUPERSEDED, Reason.SUPERSEDED)

    def _speak(self, turn: NoticeTurn, case: NoticeCase, rung: Rung, round_number: int) -> None:
        """All channels are used, each by itself; `fallback` follows where none delivered (rule 29)."""
        assert rung.notice is not None, "only rungs with a notice speak"
        fresh = [self._new_notice(turn, case, rung.name, channel, round_number) for channel in rung.notice.channels]
        for notice in fresh:
            self._send(turn, case, notice)
        self._fall_back(turn, case, rung)

    def _new_notice(self, turn: NoticeTurn, case: NoticeCase, rung: str, channel: Channel, round_number: int) -> Notice:
        address = address_of(turn.account, channel) or ""
        reference = ids.notice_id(case.case_id, rung, channel, address, round_number)
        notice = Notice(reference, rung, channel, round_number, address=address)
        case.notices.append(notice)
        self._touch(turn, case)
        return notice

    def _send(self, turn: NoticeTurn, case: NoticeCase, notice: Notice) -> None:
        """Order it now, let it wait for quiet hours to end, or say why it cannot be sent."""
        account, policy = turn.account, self.policy_of(case)
        address = address_of(account, notice.channel)
        self._touch(turn, case)
        if not address:
            self._end(turn, case, notice, NoticeState.SUPPRESSED, Reason.NO_ADDRESS)
        elif notice.channel not in self.configured:
            self._end(turn, case, notice, NoticeState.SUPPRESSED, Reason.CHANNEL_NOT_CONFIGURED)
        elif account.bounced.get(notice.channel) == address:
            self._end(turn, case, notice, NoticeState.SUPPRESSED, Reason.ADDRESS_BOUNCED)
        else:
            opens = opens_at(account, policy, notice.channel, turn.now)
            notice.address = address
            if opens > turn.now:
                notice.state, notice.due = NoticeState.WAITING, opens
            else:
                self._order(turn, case, notice, policy)

    def _order(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, policy: Policy) -> None:
        notice.state, notice.due = NoticeState.ORDERED, None
        order = self._order_of(turn, case, notice, policy)
        turn.decision.errands.append(
            Errand(notice.id, turn.account.account_id, case.invoice_id, notice.channel, turn.now, order.to_payload())
        )

    def _order_of(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, policy: Policy) -> NoticeOrder:
        facts, rung = turn.account.facts, policy.rung(notice.rung)
        assert rung is not None, "a notice belongs to a rung"
        assert rung.notice is not None, "a notice belongs to a rung that has one"
        method = facts.method
        return NoticeOrder(
            notice_id=notice.id,
            case_id=case.case_id,
            account_id=turn.account.account_id,
            invoice_id=case.invoice_id,
            rung=rung.name,
            template=rung.notice.template,
            channel=notice.channel,
            address=notice.address,
            amount_minor=case.book.amount_minor,
            currency=case.book.currency,
            decline_class=DeclineClass(case.decline_class),
            failure_code=case.failure_code,
            zone=facts.get("timezone") or case.zone,
            at=turn.now,
            invoice_number=case.invoice_number,
            customer_name=facts.get("name"),
            locale=facts.get("locale"),
            payment_method=PaidWith(method.brand, method.last4) if method else None,
            update_payment_url=facts.update_url.value if facts.update_url else None,
            next=self._consequence(case, policy, rung, turn.now) if case.open else None,
            closes_at=closes_at(turn.account, policy, notice.channel, turn.now),
        )

    @staticmethod
    def _consequence(case: NoticeCase, policy: Policy, rung: Rung, now: datetime) -> NextConsequence | None:
        """What happens to the account next, and not before when: the date that a notice names."""
        behind = policy.ladder[policy.ladder.index(rung) + 1 :]
        following = next((later for later in behind if later.restricts), None)
        if following is None or following.account is None:
            return None
        at = max(case.date_of(following, policy), now)
        if following.warned_by == rung.name and following.lead is not None:
            at = max(at, following.lead.after(now, case.pinned_zone))
        return NextConsequence(following.account, at)

    def _fall_back(self, turn: NoticeTurn, case: NoticeCase, rung: Rung) -> None:
        """Where no channel of a rung delivered, the next fallback is tried (rule 29)."""
        assert rung.notice is not None, "only rungs with a notice have fallbacks"
        for channel in rung.notice.fallback:
            known = case.of_rung(rung.name)
            if not self._may_fall_back(turn, case, rung, known):
                return
            if all(notice.channel != channel for notice in known):
                self._send(turn, case, self._new_notice(turn, case, rung.name, channel, known[0].round))

    def _may_fall_back(self, turn: NoticeTurn, case: NoticeCase, rung: Rung, known: list[Notice]) -> bool:
        """Not while something may still arrive; for a plain notice only until a later one went out."""
        if any(notice.state in ON_ITS_WAY or notice.state is NoticeState.SUPERSEDED for notice in known):
            return False
        policy = self.policy_of(case)
        if not case.open:
            return rung.account is AccountStage.TERMINATED and case.closed_reason == AccountStage.TERMINATED
        if policy.is_warning(rung):
            return self._still_needed(turn, case, policy, rung)
        later = {name.name for name in policy.ladder[policy.ladder.index(rung) + 1 :]}
        return not any(notice.rung in later and notice.state in WENT_OUT for notice in case.notices)

    @staticmethod
    def _still_needed(turn: NoticeTurn, case: NoticeCase, policy: Policy, warning: Rung) -> bool:
        """Whether a rung that this warning announces is still to come."""
        following = (i for i, rung in enumerate(policy.ladder) if rung.warned_by == warning.name)
        return not turn.account.is_terminated and any(index >= case.next_rung for index in following)

    def _warn_again(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """A warning older than its lead and 14 days is sent once more and counts anew (rule 25)."""
        for warning, stale_at in self._stale_dates(turn.account, case):
            if stale_at <= turn.now:
                self._speak(turn, case, warning, round_number=ROUNDS_MAX)

    def _stale_dates(self, account: NoticeAccount, case: NoticeCase) -> list[tuple[Rung, datetime]]:
        """Warnings that were delivered once, with the instant from which they are too old to rely on."""
        policy, found = self.policy_of(case), []
        if account.is_terminated:
            return []
        for rung in policy.ladder[case.next_rung :]:
            warning = policy.rung(rung.warned_by) if rung.warned_by else None
            if warning is None or rung.lead is None:
                continue
            known = case.of_rung(warning.name)
            delivered = [n.delivered_at for n in known if n.state is NoticeState.DELIVERED and n.delivered_at]
            if delivered and known[0].round < ROUNDS_MAX:
                found.append((warning, (rung.lead + STALE_AFTER).after(min(delivered), case.pinned_zone)))
        return found

    def lifted(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """The terminating rung's own notice says nothing any more where it still waits."""
        for notice in case.notices:
            self._call_off(turn, case, notice, NoticeState.SUPPRESSED, Reason.REINSTATED)

    def wake_at(self, account: NoticeAccount, case: NoticeCase, now: datetime) -> datetime | None:  # noqa: ARG002
        """The next rung by its date, the end of quiet hours for what waits, or a warning growing too old."""
        moments = [notice.due for notice in case.notices if notice.state is NoticeState.WAITING and notice.due]
        if case.open:
            rung_at = next_rung_at(case, self.policy_of(case), terminated=account.is_terminated)
            moments += [rung_at] if rung_at else []
            moments += [at for _, at in self._stale_dates(account, case)]
        return min(moments, default=None)

    def reinstated(self, turn: NoticeTurn, case: NoticeCase, at: datetime) -> None:  # noqa: ARG002
        """Rungs dated before the reinstatement are passed; what restricts is not waited for any more (rule 37)."""
        policy = self.policy_of(case)
        while case.next_rung < len(policy.ladder) and case.date_of(policy.ladder[case.next_rung], policy) < at:
            case.next_rung += 1

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
        if event.to_stage not in set(AccountStage) or not AccountStage(event.to_stage).restricts:
            return
        case = self._case_of(turn.account, event.invoice_id)
        news = Happened(event.case_id, event.to_stage, str(event.details.get("rung", "")), event.effective_at)
        if case.open and case.goes_by(event.case_id):
            self._happened(turn, case, news)
        elif not case.goes_by(event.case_id):
            case.early = [*case.early, news][-EARLY_NEWS_MAX:]
            self._touch(turn, case)
        if event.to_stage == AccountStage.TERMINATED:
            self.hear_termination(turn, event)

    def _happened(self, turn: NoticeTurn, case: NoticeCase, news: Happened) -> None:
        policy = self.policy_of(case)
        rung = self._rung_meant(case, policy, news)
        if rung is None:
            return
        if news.at - case.date_of(rung, policy) > LATE:
            case.shift = Shift(news.at, rung.at)
        case.happened[rung.name] = news.at
        self._touch(turn, case)
        self._walk(turn, case)

    @staticmethod
    def _rung_meant(case: NoticeCase, policy: Policy, news: Happened) -> Rung | None:
        named = policy.rung(news.rung)
        ahead = [rung for rung in policy.ladder[case.next_rung :] if rung.account == news.to_stage]
        return named if named in ahead else next(iter(ahead), None)

    def _reported(self, turn: NoticeTurn, event: ErrandReport) -> None:
        self._work_report_in(turn, event)
        present = turn.account.cases.get(event.invoice_id)
        if present is not None:
            present.before = [each for each in present.before if each.has_errands_out]

    def _work_report_in(self, turn: NoticeTurn, event: ErrandReport) -> None:
        found = self._ordered(turn.account.cases.get(event.invoice_id), event.errand_id)
        if found is None:
            turn.count("report_without_notice")
            return
        case, notice = found
        news: dict[str, Any] = {"provider": event.provider, "provider_message_id": event.provider_message_id}
        match event.outcome:
            case "accepted":
                self._result(turn, case, notice, NoticeState.SENT, None, event.at, **news)
                if notice.channel not in self.with_receipts:
                    self._delivered(turn, case, notice, event.at, **news)
            case "too_late" if notice.withdrawn_as is None:  # quiet hours began while it waited (rule 32)
                self._send(turn, case, notice)
                self._fall_back_after(turn, case, notice)
            case "withdrawn" | "too_late":
                self._end(
                    turn, case, notice, notice.withdrawn_as or NoticeState.SUPPRESSED, notice.withdrawn_reason or None
                )
            case "bounced":
                self._bounced(turn, case, notice, event.permanent, event.at, event.reason, **news)
            case outcome:
                state = NoticeState.FAILED if outcome == "failed" else NoticeState.UNKNOWN
                self._result(turn, case, notice, state, event.reason, event.at, **news)
                self._fall_back_after(turn, case, notice)

    @staticmethod
    def _ordered(present: NoticeCase | None, errand_id: str) -> tuple[NoticeCase, Notice] | None:
        """The notice that an errand was for: of the invoice's present case, or of a former one."""
        for case in [present, *present.before] if present else []:
            for notice in case.notices:
                if notice.id == errand_id and notice.state is NoticeState.ORDERED:
                    return case, notice
        return None

    @staticmethod
    def _touch(turn: NoticeTurn, case: NoticeCase) -> None:
        """A former case lives in the present one."""
        present = turn.account.cases.get(case.invoice_id)
        is_former = present is not None and any(each is case for each in present.before)
        turn.touch(present if present is not None and is_former else case)

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
                    self._address_changed(turn)
                if account.facts.get("timezone") != zone:
                    self._zone_changed(turn)
            case "payment_method.updated":
                account.changed |= account.facts.learn_method(event.payment_method, event.at)
            case _:
                turn.count("signal_without_effect")

    def _receipt(self, turn: NoticeTurn, event: Signal) -> None:
        found = self._notice_meant(turn.account, event)
        if found is None and event.kind == "notice.bounced" and event.permanent and event.channel:
            self._mark(turn, event.channel, address_of(turn.account, event.channel))
        if found is None:
            turn.count("receipt_without_notice")
            return
        case, notice = found
        self._touch(turn, case)
        open_states = (NoticeState.SENT, NoticeState.UNKNOWN)
        if event.kind == "notice.delivered" and notice.state in open_states:
            self._delivered(turn, case, notice, event.at)
        elif event.kind == "notice.bounced" and notice.state in (*open_states, NoticeState.DELIVERED):
            self._bounced(turn, case, notice, event.permanent, event.at, event.reason)
        else:
            turn.count("receipt_without_effect")

    @staticmethod
    def _notice_meant(account: NoticeAccount, event: Signal) -> tuple[NoticeCase, Notice] | None:
        """By its id, or else the latest notice of an invoice's rung on that channel."""
        for invoice_id, case in sorted(account.cases.items()):
            for notice in reversed(case.notices):
                named = event.notice_id is not None and notice.id == event.notice_id
                described = event.notice_id is None and invoice_id == event.invoice_id and notice.rung == event.rung
                if named or (described and event.channel in (None, notice.channel)):
                    return case, notice
        return None

    def _delivered(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, at: datetime, **news: Any) -> None:
        notice.delivered_at = at
        self._result(turn, case, notice, NoticeState.DELIVERED, None, at, **news)

    def _bounced(
        self,
        turn: NoticeTurn,
        case: NoticeCase,
        notice: Notice,
        permanent: bool,
        at: datetime,
        reason: str | None,
        **news: Any,
    ) -> None:
        """A bounce takes the delivery back; a permanent one marks the address until it changes (rule 30)."""
        if permanent and notice.address == address_of(turn.account, notice.channel):
            self._mark(turn, notice.channel, notice.address)
        notice.delivered_at = None
        self._result(turn, case, notice, NoticeState.BOUNCED, reason, at, **news)
        self._fall_back_after(turn, case, notice)

    @staticmethod
    def _mark(turn: NoticeTurn, channel: Channel, address: str | None) -> None:
        if address:
            turn.account.bounced[channel.value] = address
            turn.account.changed = True

    def _fall_back_after(self, turn: NoticeTurn, case: NoticeCase, notice: Notice) -> None:
        rung = self.policy_of(case).rung(notice.rung)
        if rung is not None and notice in case.of_rung(rung.name):
            self._fall_back(turn, case, rung)

    def _address_changed(self, turn: NoticeTurn) -> None:
        """A new address brings an undelivered warning to it, once (rule 31)."""
        for case in list(turn.account.open_cases()):
            policy = self.policy_of(case)
            for warning in [rung for rung in policy.ladder if policy.is_warning(rung)]:
                known = case.of_rung(warning.name)
                if known and self._still_needed(turn, case, policy, warning):
                    self._bring_to_new_address(turn, case, warning, known)

    def _bring_to_new_address(self, turn: NoticeTurn, case: NoticeCase, warning: Rung, known: list[Notice]) -> None:
        """By all channels that have one, or else by the first fallback that has (rule 29)."""
        assert warning.notice is not None, "a warning has a notice"
        if any(notice.state in ON_ITS_WAY for notice in known):
            return
        fresh = [
            channel
            for channel in dict.fromkeys(notice.channel for notice in known)
            if self._is_new_address(turn.account, channel, known)
        ]
        ways = [channel for channel in warning.notice.channels if channel in fresh]
        for channel in ways or [channel for channel in warning.notice.fallback if channel in fresh]:
            notice = self._new_notice(turn, case, warning.name, channel, known[0].round)
            self._send(turn, case, notice)
            if not ways and notice.state in ON_ITS_WAY:
                return

    @staticmethod
    def _is_new_address(account: NoticeAccount, channel: Channel, known: list[Notice]) -> bool:
        address = address_of(account, channel)
        return bool(address) and all(notice.address != address for notice in known if notice.channel == channel)

    def _zone_changed(self, turn: NoticeTurn) -> None:
        """What waits for quiet hours to end waits for those of the customer's present zone (rule 32)."""
        for case in list(turn.account.cases.values()):
            for notice in case.notices:
                if notice.state is NoticeState.WAITING:
                    notice.due = opens_at(turn.account, self.policy_of(case), notice.channel, turn.now)
                    self._touch(turn, case)

    def _call_off(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, state: NoticeState, reason: str) -> None:
        """Nothing is said any more: at once where it waits; where an errand is out, when that comes back undone."""
        if notice.state is NoticeState.WAITING:
            self._end(turn, case, notice, state, reason)
        elif notice.state is NoticeState.ORDERED and notice.withdrawn_as is None:
            notice.withdrawn_as, notice.withdrawn_reason = state, reason
            turn.decision.withdrawn.append(notice.id)
            self._touch(turn, case)

    def _end(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, state: NoticeState, reason: str | None) -> None:
        self._result(turn, case, notice, state, reason, turn.now)

    def _result(
        self,
        turn: NoticeTurn,
        case: NoticeCase,
        notice: Notice,
        state: NoticeState,
        reason: str | None,
        at: datetime,
        provider: str | None = None,
        provider_message_id: str | None = None,
    ) -> None:
        """Publish an outcome, once per notice and outcome, and remember it."""
        notice.state, notice.due = state, None
        self._touch(turn, case)
        if state in notice.outcomes:
            return
        notice.outcomes.append(state.value)
        case.results += 1
        rung = self.policy_of(case).rung(notice.rung)
        template = rung.notice.template if rung is not None and rung.notice is not None else notice.rung
        turn.decision.events.append(
            NoticeResult(
                event_id=ids.event_id(NOTICE_RESULT, notice.id, state.value),
                sequence=case.results,
                causation_id=turn.cause_id,
                notice_id=notice.id,
                case_ids=(case.case_id,),
                account_id=turn.account.account_id,
                invoice_id=case.invoice_id,
                rung=notice.rung,
                channel=notice.channel.value,
                template=template,
                locale=str(negotiate(turn.account.facts.get("locale"))),
                outcome=state.value,
                reason=str(reason) if reason is not None else None,
                provider=provider,
                provider_message_id=provider_message_id,
                at=at,
                traceparent=turn.traceparent,
            )
        )
