"""What became of notices: reports of errands, receipts and bounces (rule 30)."""

from datetime import datetime, timedelta
from typing import Any

from dunning.domain.events import ErrandReport, Signal
from dunning.domain.words import Channel, Reason
from notification_dispatcher.bounces.credible import is_credible
from notification_dispatcher.caps import settle
from notification_dispatcher.case import EarlyBounce, Notice, NoticeAccount, NoticeCase, NoticeState, address_key
from notification_dispatcher.contact import address_of
from notification_dispatcher.outcomes import NoticeTurn
from notification_dispatcher.speaking import Speaking

RECEIPT_WITHIN = timedelta(hours=24)
WITHHELD = frozenset({Reason.NO_CONSENT, Reason.ERASED})
_OPEN_TO_RECEIPTS = (NoticeState.SENT, NoticeState.UNKNOWN)
_DID_NOT_GO_OUT = frozenset({"failed", "withdrawn", "too_late"})  # outcomes of errands that no cap counts (rule 32)


class Receipts(Speaking):
    """News of notices that were ordered or sent."""

    def _reported(self, turn: NoticeTurn, event: ErrandReport) -> None:
        went_out_at = None if event.outcome in _DID_NOT_GO_OUT else event.at
        counted = settle(turn.account, event.errand_id, went_out_at, self.policies().widest_caps)
        self._work_report_in(turn, event)
        if counted:
            self._reckon_waiting(turn)
        present = turn.account.cases.get(event.invoice_id)
        if present is not None:
            present.before = [each for each in present.before if each.has_errands_out]

    def _work_report_in(self, turn: NoticeTurn, event: ErrandReport) -> None:
        found = self._ordered(turn.account.cases.get(event.invoice_id), event.errand_id)
        if found is None:
            turn.count("report_without_notice")
            return
        case, notice = found
        if event.outcome in _DID_NOT_GO_OUT:  # a receipt that was read before meant something else
            notice.early_bounce = notice.early_delivery = None
        news: dict[str, Any] = {"provider": event.provider, "provider_message_id": event.provider_message_id}
        match event.outcome:
            case "accepted":
                notice.sent_at = event.at
                self._result(turn, case, notice, NoticeState.SENT, None, event.at, **news)
                if notice.channel not in self.with_receipts:
                    self._delivered(turn, case, notice, event.at, **news)
                self._catch_up_with_receipts(turn, case, notice, event.at)
            case "too_late" if notice.withdrawn_as is None:  # quiet hours began while it waited (rule 32)
                self._send(turn, case, notice)
                self._fall_back_after(turn, case, notice)
            case "withdrawn" | "too_late" if notice.withdrawn_as is NoticeState.WAITING:  # called back by a pause
                notice.withdrawn_as, notice.withdrawn_reason = None, ""
                self._send(turn, case, notice)
                self._fall_back_after(turn, case, notice)
            case "withdrawn" | "too_late":
                self._end(
                    turn, case, notice, notice.withdrawn_as or NoticeState.SUPPRESSED, notice.withdrawn_reason or None
                )
                if notice.withdrawn_reason in WITHHELD:  # the case goes on: another channel may still be open
                    self._fall_back_after(turn, case, notice)
            case "bounced":
                self._bounced(turn, case, notice, event.permanent, event.at, event.reason, **news)
            case outcome:
                state = NoticeState.FAILED if outcome == "failed" else NoticeState.UNKNOWN
                self._result(turn, case, notice, state, event.reason, event.at, **news)
                if state is NoticeState.UNKNOWN:
                    notice.sent_at = event.at
                    self._catch_up_with_receipts(turn, case, notice, event.at)
                self._fall_back_after(turn, case, notice)

    def _catch_up_with_receipts(self, turn: NoticeTurn, case: NoticeCase, notice: Notice, sent_at: datetime) -> None:
        """The order of reading decides nothing (rule 8): what was read before the report says what became of the notice
        as if it had come behind it. A bounce takes the delivery back."""
        delivered_at, notice.early_delivery = notice.early_delivery, None
        if delivered_at is not None and notice.state in _OPEN_TO_RECEIPTS:
            self._delivered(turn, case, notice, max(delivered_at, sent_at))
        early, notice.early_bounce = notice.early_bounce, None
        if early is not None:
            self._bounced(turn, case, notice, early.permanent, max(early.at, sent_at), None)

    @staticmethod
    def _ordered(present: NoticeCase | None, errand_id: str) -> tuple[NoticeCase, Notice] | None:
        """The notice that an errand was for: of the invoice's present case, or of a former one."""
        for case in [present, *present.before] if present else []:
            for notice in case.notices:
                if notice.id == errand_id and notice.state is NoticeState.ORDERED:
                    return case, notice
        return None

    def _receipt(self, turn: NoticeTurn, event: Signal) -> None:
        found = self._notice_meant(turn.account, event)
        if found is None and event.kind == "notice.bounced" and event.permanent and event.channel:
            address = address_of(turn.account, event.channel)
            if is_credible(event, address):
                self._mark(turn, event.channel, address)
        if found is None:
            turn.count("receipt_without_notice")
            return
        case, notice = found
        self._touch(turn, case)
        if event.kind == "notice.delivered" and notice.state in _OPEN_TO_RECEIPTS:
            self._delivered(turn, case, notice, max(event.at, notice.sent_at or event.at))  # its clock may be behind
        elif event.kind == "notice.delivered" and notice.state is NoticeState.ORDERED:
            notice.early_delivery = event.at
        elif event.kind == "notice.bounced" and notice.state in (*_OPEN_TO_RECEIPTS, NoticeState.DELIVERED):
            self._bounced(turn, case, notice, event.permanent, event.at, event.reason)
        elif event.kind == "notice.bounced" and notice.state is NoticeState.ORDERED:
            notice.early_bounce = EarlyBounce(event.at, event.permanent)
        else:
            turn.count("receipt_without_effect")

    @staticmethod
    def _notice_meant(account: NoticeAccount, event: Signal) -> tuple[NoticeCase, Notice] | None:
        """By its id, or else the latest notice of an invoice's rung on that channel. Where both the id and the invoice
        are named they have to fit together."""
        for invoice_id, case in sorted(account.cases.items()):
            for notice in reversed(case.notices):
                named = event.notice_id is not None and notice.id == event.notice_id
                named = named and event.invoice_id in (None, invoice_id)
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
        address = address_of(turn.account, notice.channel)
        if permanent and address_key(address) == notice.address_key:
            self._mark(turn, notice.channel, address)
        notice.delivered_at = None
        self._result(turn, case, notice, NoticeState.BOUNCED, reason, at, **news)
        self._fall_back_after(turn, case, notice)

    def _receipt_due(self, notice: Notice) -> datetime | None:
        """Until when a receipt may come; None where none is waited for."""
        waits = notice.state is NoticeState.SENT and notice.channel in self.with_receipts
        return notice.sent_at + RECEIPT_WITHIN if waits and notice.sent_at is not None else None

    def _miss_receipts(self, turn: NoticeTurn, case: NoticeCase) -> None:
        """Without a receipt in time nobody knows: `unknown`, which a late receipt still resolves (rule 30)."""
        for notice in [known for known in case.notices if known.state is NoticeState.SENT]:
            due = self._receipt_due(notice)
            if due is not None and due <= turn.now:
                self._result(turn, case, notice, NoticeState.UNKNOWN, Reason.NO_RECEIPT, turn.now)
                self._fall_back_after(turn, case, notice)

    @staticmethod
    def _mark(turn: NoticeTurn, channel: Channel, address: str | None) -> None:
        if address:
            turn.account.bounced[channel.value] = address
            turn.account.changed = True

    @staticmethod
    def _unmark(turn: NoticeTurn) -> None:
        """A mark lasts until the address changes, also where it comes back later (rule 30)."""
        account = turn.account
        changed = [
            channel for channel, address in account.bounced.items() if address_of(account, Channel(channel)) != address
        ]
        for channel in changed:
            del account.bounced[channel]
            account.changed = True
