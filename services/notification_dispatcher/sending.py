"""One notice on its way: ordered now, waiting, or suppressed with its reason (rules 29 to 32)."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from dunning.domain import ids
from dunning.domain.calendar import earlier, to_utc, zone_named
from dunning.domain.decision import Errand
from dunning.domain.events import PaymentSucceeded, Signal
from dunning.domain.holds import Halt, first_ahead, pause_of
from dunning.domain.policy import Policy, Rung
from dunning.domain.words import Channel, DeclineClass, Reason
from notification_dispatcher.caps import note_ordered
from notification_dispatcher.case import Notice, NoticeAccount, NoticeCase, NoticeState, address_key
from notification_dispatcher.channels.payload import NextConsequence, NoticeOrder, PaidWith
from notification_dispatcher.contact import address_of, closes_at, opens_at, why_not
from notification_dispatcher.outcomes import NoticeTurn, Outcomes

AMOUNT_CHANGED = "amount_changed"


class Sending(Outcomes):
    """Whether and when one notice may go out, and what its order says."""

    def _new_notice(self, turn: NoticeTurn, case: NoticeCase, rung: str, channel: Channel, round_number: int) -> Notice:
        address = address_of(turn.account, channel) or ""
        reference = ids.notice_id(case.case_id, rung, channel, address, round_number)
        notice = Notice(reference, rung, channel, round_number, address_key=address_key(address))
        case.notices.append(notice)
        self._touch(turn, case)
        return notice

    def _send(self, turn: NoticeTurn, case: NoticeCase, notice: Notice) -> None:
        """Order it now, let it wait (for a pause, quiet hours or a cap), or say why it cannot go out."""
        account, policy = turn.account, self.policy_of(case)
        self._touch(turn, case)
        if pause_of(case, turn.now) is not None:
            notice.state, notice.due = NoticeState.WAITING, None
            return
        obstacle = why_not(account, policy, notice.channel, self.configured) or self._why_not_again(turn, case, notice)
        if obstacle is not None:
            self._end(turn, case, notice, NoticeState.SUPPRESSED, obstacle)
            return
        self._address(turn, case, notice)
        opens = opens_at(account, policy, notice.channel, turn.now)
        if opens > turn.now:
            notice.state, notice.due = NoticeState.WAITING, opens
        else:
            self._order(turn, case, notice, policy)

    @staticmethod
    def _why_not_again(turn: NoticeTurn, case: NoticeCase, notice: Notice) -> Reason | None:
        """One that waited for a new address, while the customer went back to one that the rung tried before: that had
        its notice, under the id that this one would get (rule 31)."""
        key = address_key(address_of(turn.account, notice.channel))
        others = (one for one in case.notices if one is not notice and one.rung == notice.rung)
        tried = {(one.channel, one.round, one.address_key) for one in others}
        return Reason.ADDRESS_TRIED if (notice.channel, notice.round, key) in tried else None

    @staticmethod
    def _address(turn: NoticeTurn, case: NoticeCase, notice: Notice) -> None:
        """To the address of the moment. Nothing was said of it yet under its former id, which stands for the former
        address (rule 31)."""
        address = address_of(turn.account, notice.channel)
        if address and address_key(address) != notice.address_key:
            notice.address_key = address_key(address)
            notice.id = ids.notice_id(case.case_id, notice.rung, notice.channel, address, notice.round)

    def _order(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, policy: Policy) -> None:
        notice.state, notice.due = NoticeState.ORDERED, None
        note_ordered(turn.account, notice, self.policies().widest_caps.get(notice.channel))
        order = self._order_of(turn, case, notice, policy)
        turn.decision.errands.append(
            Errand(notice.id, turn.account.account_id, case.invoice_id, notice.channel, turn.now, order.to_payload())
        )

    def _order_of(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, policy: Policy) -> NoticeOrder:
        facts, rung = turn.account.facts, policy.rung(notice.rung)
        assert rung is not None, "a notice belongs to a rung"
        assert rung.notice is not None, "a notice belongs to a rung that has one"
        method, said = facts.method, facts.get("timezone")
        zone = (zone_named(said) if said else None) or case.pinned_zone
        coming = self._consequence(turn.account, case, policy, rung, turn.now) if case.open else None
        quiet_from = closes_at(turn.account, policy, notice.channel, turn.now)
        return NoticeOrder(
            notice_id=notice.id,
            case_id=case.case_id,
            account_id=turn.account.account_id,
            invoice_id=case.invoice_id,
            rung=rung.name,
            template=rung.notice.template,
            channel=notice.channel,
            address=address_of(turn.account, notice.channel) or "",
            amount_minor=case.book.amount_minor,
            currency=case.book.currency,
            decline_class=DeclineClass(case.decline_class),
            failure_code=case.failure_code,
            zone=zone.key,
            at=turn.now,
            invoice_number=case.invoice_number,
            customer_name=facts.get("name"),
            locale=facts.get("locale"),
            payment_method=PaidWith(method.brand, method.last4) if method else None,
            update_payment_url=facts.update_url.value if facts.update_url else None,
            next=coming,
            closes_at=earlier(quiet_from, _end_of_day(coming.at, zone) if coming else None),
        )

    @staticmethod
    def _consequence(
        account: NoticeAccount, case: NoticeCase, policy: Policy, rung: Rung, now: datetime
    ) -> NextConsequence | None:
        """What happens to the account next, and not before when: the date that a notice names. What happened or was
        passed while the notice waited is not announced any more."""
        behind = policy.ladder[max(policy.ladder.index(rung) + 1, first_ahead(account, case, policy)) :]
        following = next((later for later in behind if later.restricts and later.name not in case.happened), None)
        if following is None or following.account is None:
            return None
        at = max(case.date_of(following, policy), now)
        if following.warned_by == rung.name and following.lead is not None:
            at = max(at, case.warned_at(following, policy, now, now))
        return NextConsequence(following.account, at)

    def halted(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """A pause calls back what is ordered and not begun: it waits, and goes out afterwards (rule 27)."""
        if pause_of(case, turn.now) is not None:
            self._call_back(turn, case, Halt.PAUSED)

    def amount_changed(self, turn: NoticeTurn, case: NoticeCase, event: PaymentSucceeded | Signal) -> None:  # noqa: ARG002
        """What is ordered and not begun asks for too much. It comes back and is ordered anew: a mail server may be away
        for days."""
        self._call_back(turn, case, AMOUNT_CHANGED)

    def _call_back(self, turn: NoticeTurn, case: NoticeCase, why: str) -> None:
        for notice in case.notices:
            if notice.state is NoticeState.ORDERED and notice.withdrawn_as is None:
                self._call_off(turn, case, notice, NoticeState.WAITING, why)

    @staticmethod
    def _goes_out_at(case: NoticeCase, notice: Notice, now: datetime) -> datetime | None:
        """When to look at a waiting notice next; None while nobody knows when the case's pause ends."""
        pause = pause_of(case, now)
        if pause is None:
            return notice.due or now
        return max(pause.until, notice.due or pause.until) if pause.until else None

    def _may_go_now(self, turn: NoticeTurn, case: NoticeCase, notice: Notice) -> bool:
        """Whether a notice that waits may go out now. Where a pause outlasted what it waited for, hours and caps are
        asked anew: what is in its way is looked at when it may go out, not before (rule 32)."""
        if notice.due is not None and notice.due <= turn.now:
            due = opens_at(turn.account, self.policy_of(case), notice.channel, turn.now)
            if due > turn.now:
                notice.due = due
                self._touch(turn, case)
        return notice.due is None or notice.due <= turn.now

    def _reckon_waiting(self, turn: NoticeTurn) -> None:
        """The customer's zone or what caps count has changed: so has when notices that wait may go out (rule 32)."""
        for case in list(turn.account.cases.values()):
            for notice in case.notices:
                if notice.state is not NoticeState.WAITING or notice.due is None:  # None: it waits for a pause to end
                    continue
                due = opens_at(turn.account, self.policy_of(case), notice.channel, turn.now)
                if due != notice.due:
                    notice.due = due
                    self._touch(turn, case)


def _end_of_day(instant: datetime, zone: ZoneInfo) -> datetime:
    """When the day is over that a notice names: it would announce what lies in the past."""
    return to_utc(instant.astimezone(zone).date() + timedelta(days=1), time.min, zone)
