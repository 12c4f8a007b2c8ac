"""What the customer said about being written to: consent by channel, and the end of all of it (rules 12 and 29)."""

from collections.abc import Callable

from dunning.domain.events import Signal
from dunning.domain.words import Channel, Reason
from notification_dispatcher.case import Consent, Notice, NoticeCase, NoticeState, address_key
from notification_dispatcher.contact import address_of
from notification_dispatcher.outcomes import NoticeTurn
from notification_dispatcher.receipts import Receipts

Why = Callable[[Notice], Reason | None]


class Withholding(Receipts):
    """Takes back what may not be said any more: what waits, and what is ordered but not begun (promise 8)."""

    def _consent_changed(self, turn: NoticeTurn, event: Signal) -> None:
        """The newest word counts. Given again, it is for what is said from then on."""
        if event.channel is None or event.allowed is None:
            turn.count("signal_without_effect")
            return
        account, name = turn.account, event.channel.value
        known = account.consent.get(name)
        if known is not None and known.at > event.at:
            turn.count("old_consent")
            return
        account.consent[name] = Consent(event.allowed, event.at)
        account.changed = True
        if not event.allowed:
            self._withhold(turn, lambda notice: Reason.NO_CONSENT if notice.channel == event.channel else None)

    def erased(self, turn: NoticeTurn) -> None:
        """Everything of the customer's that is kept here goes; the cases go on, without notices. What may still go out,
        for somebody was named since, waits for other quiet hours where the zone went as well (rule 32)."""
        account, facts = turn.account, turn.account.facts
        if facts.method_at is not None and facts.is_forgotten(facts.method_at):
            facts.method = facts.method_at = None
        if facts.update_url is not None and facts.is_forgotten(facts.update_url.at):
            facts.update_url = None
        present = {address_of(account, channel) for channel in Channel}
        account.bounced = {name: address for name, address in account.bounced.items() if address in present}
        self._withhold(turn, lambda notice: self._why_erased(turn, notice))
        self._reckon_waiting(turn)

    def _why_erased(self, turn: NoticeTurn, notice: Notice) -> Reason | None:
        """A notice on its way holds the address that it was ordered for; one that waits takes the present one."""
        address = address_of(turn.account, notice.channel)
        other = notice.state is NoticeState.ORDERED and notice.address_key != address_key(address)
        return Reason.ERASED if not address or other else None

    def _withhold(self, turn: NoticeTurn, why: Why) -> None:
        for case in list(turn.account.cases.values()):
            for notice in list(case.notices):
                reason = why(notice) if notice.state in (NoticeState.WAITING, NoticeState.ORDERED) else None
                if reason is not None:
                    self._take_back(turn, case, notice, reason)

    def _take_back(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, reason: Reason) -> None:
        waited = notice.state is NoticeState.WAITING
        self._call_off(turn, case, notice, NoticeState.SUPPRESSED, reason)
        if waited:
            self._fall_back_after(turn, case, notice)
