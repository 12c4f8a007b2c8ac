"""The notification dispatcher's decisions for one account, with the errands in the hands of the test.

The state goes through rows at every step, as it does in a service: what a decision does not mark is lost.
Timers fire in the order of their times.
"""

from collections.abc import Collection, Mapping
from typing import Any

from dunning.domain.decision import Decision, Errand
from dunning.domain.events import ErrandReport, Input, NoticeResult, TimerDue
from dunning.domain.words import Channel
from dunning.runtime.repository import StateRepository
from notification_dispatcher.case import NoticeAccount, NoticeCase
from notification_dispatcher.channels.payload import NoticeOrder
from notification_dispatcher.decide import NoticeTrack
from tests.builders import instant, policies

ROWS = StateRepository(NoticeAccount, NoticeCase)


class Desk:
    """One account of the notice track alone."""

    def __init__(self, *documents: Mapping[str, Any], receipts: Collection[Channel] = ()) -> None:
        """On the channels with `receipts` what is accepted is `sent` until somebody says more."""
        shelf = policies(*documents)
        self.track = NoticeTrack(lambda: shelf, frozenset(Channel), frozenset(receipts))
        self.account = NoticeAccount("acc_1")
        self._row, self._cases = ROWS.encode_account(self.account), dict[str, bytes]()
        self.orders: list[tuple[str, NoticeOrder, Errand]] = []  # when, what
        self.withdrawn: list[str] = []
        self.results: list[str] = []

    def reads(self, event: Input, at: str) -> Decision:
        """Timers before the input, then the input."""
        self.until(at, inclusive=False)
        return self._decide(event, at)

    def until(self, at: str, *, inclusive: bool = True) -> "Desk":
        """Fire what is due up to an instant."""
        while due := min(self._due(), default=None):
            when, invoice_id = due
            if when > at or (when == at and not inclusive):
                break
            self._decide(TimerDue("timer", "acc_1", invoice_id, instant(when)), when)
        return self

    def hears(self, number: int, outcome: str, at: str, **more: Any) -> Decision:
        """What became of an order, by its place among all that were given."""
        errand = self.orders[number][2]
        report = ErrandReport("r", "acc_1", errand.invoice_id, errand.errand_id, outcome, instant(at), **more)
        return self.reads(report, at)

    def told(self) -> list[str]:
        """The orders so far: when, of which invoice and rung, by what."""
        return [f"{when} {order.invoice_id} {order.rung} {order.channel}" for when, order, _ in self.orders]

    def _due(self) -> list[tuple[str, str]]:
        cases = self.account.cases.values()
        return [(case.due.strftime("%m-%d %H:%M"), case.invoice_id) for case in cases if case.due is not None]

    def _decide(self, event: Input, at: str) -> Decision:
        decision = self.track.decide(self.account, event, instant(at))
        for errand in decision.errands:
            self.orders.append((at, NoticeOrder.from_payload(errand.payload), errand))
        self.withdrawn += decision.withdrawn
        results = [each for each in decision.events if isinstance(each, NoticeResult)]
        self.results += [
            " ".join(filter(None, (at, each.rung, each.channel, each.outcome, each.reason))) for each in results
        ]
        if self.account.changed or self.account.touched:
            self._row = ROWS.encode_account(self.account)
        self._cases |= {touched: ROWS.encode_case(self.account, touched) for touched in self.account.touched}
        self.account = ROWS.decode_account("acc_1", self._row, list(self._cases.values()))
        return decision
