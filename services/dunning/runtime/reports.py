"""Storing what became of errands. Under load many reports share a transaction: each alone would cost a commit."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dunning.domain.account import AccountState
from dunning.domain.events import ErrandReport
from dunning.runtime.crash_points import crash_point
from dunning.runtime.fold import Outcome, Write, decided
from dunning.runtime.metrics import Metrics
from dunning.runtime.service import Service
from dunning.runtime.store import Fenced, LeasedErrand, Store
from dunning.runtime.turn import concerns_the_input

A = TypeVar("A", bound=AccountState[Any])
_TOGETHER_MAX = 100


@dataclass(frozen=True, slots=True)
class _Waiting:
    leased: LeasedErrand
    report: ErrandReport
    stored: "asyncio.Future[None]"

    def settle(self, error: Exception | None) -> None:
        """Tell whoever waits, unless nobody does any more."""
        if self.stored.done():
            return
        if error is None:
            self.stored.set_result(None)
        else:
            self.stored.set_exception(error)


class Reports(Generic[A]):
    """Takes reports from many workers and stores those that came while the last ones were being stored."""

    def __init__(
        self,
        service: Service[A],
        store: Store[A],
        write: Write,
        committed: Callable[[Outcome], None],
        metrics: Metrics,
    ) -> None:
        self._service = service
        self._store = store
        self._write = write
        self._committed = committed
        self._metrics = metrics
        self._waiting: list[_Waiting] = []
        self._storing: asyncio.Task[None] | None = None

    async def store(self, leased: LeasedErrand, report: ErrandReport) -> None:
        """Work a report in and remove its errand. Raises what kept this one from being stored, such as Fenced."""
        waiting = _Waiting(leased, report, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_all())
        await waiting.stored

    async def _store_all(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:_TOGETHER_MAX], self._waiting[_TOGETHER_MAX:]
            try:
                await self._in_one_transaction(together)
            except Exception as error:  # noqa: BLE001 - told to whoever waits for it
                await self._one_by_one(together, error)
            else:
                for each in together:
                    each.settle(None)

    async def _one_by_one(self, together: Sequence[_Waiting], error: Exception) -> None:
        """One that cannot be stored must not keep the others; a database that is away keeps them all."""
        if len(together) == 1 or not (isinstance(error, Fenced) or concerns_the_input(error)):
            for each in together:
                each.settle(error)
            return
        for each in together:
            try:
                await self._in_one_transaction([each])
            except Exception as own_error:  # noqa: BLE001 - told to whoever waits for it
                each.settle(own_error)
            else:
                each.settle(None)

    async def _in_one_transaction(self, together: Sequence[_Waiting]) -> None:
        wanted: dict[str, set[str]] = defaultdict(set)
        for each in together:
            wanted[each.report.account_id].add(each.report.invoice_id)
        async with self._store.transaction() as tx:
            accounts = await tx.load(wanted)
            for each in sorted(together, key=lambda waiting: waiting.leased.errand.errand_id):
                await tx.finish_errand(each.leased)
            reports = [each.report for each in together]
            now = await tx.now()
            outcome = await decided(tx, self._service, self._write, accounts, reports, now)
            await outcome.record(tx)
        crash_point("errand.reported")
        self._committed(outcome)
        outcome.count(self._metrics)
        for each in together:
            self._metrics.errands.labels(each.leased.errand.kind, each.report.outcome).inc()
