"""Reports of errands are stored together, and each worker hears of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dunning.domain.decision import Errand
from dunning.domain.events import ErrandReport
from dunning.runtime.fold import Outcome
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.reports import Reports
from dunning.runtime.store import Fenced, LeasedErrand, StoreUnavailable
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


class CountingStore(MemoryStore[ToyAccount]):
    """Counts its transactions; `away` makes them fail."""

    def __init__(self) -> None:
        super().__init__(toy_service(), clock=HandClock(NOON), shards=1)
        self.transactions = 0
        self.away = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self.transactions += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away")
        async with super().transaction() as tx:
            yield tx


async def leased_errands(store: CountingStore, count: int) -> list[LeasedErrand]:
    errands = [Errand(f"errand-{n}", f"acc-{n % 2}", f"inv-{n}", "toy", NOON, {}) for n in range(count)]
    async with store.transaction() as tx:
        await tx.load({"acc-0": [], "acc-1": []})
        await tx.give_errands(errands)
    leased = await store.lease_errands(count, 60)
    store.transactions = 0
    return sorted(leased, key=lambda each: each.errand.errand_id)


def reports_of(store: CountingStore) -> Reports[ToyAccount]:
    outcomes: list[Outcome] = []
    return Reports(toy_service(), store, outbox_writer(""), outcomes.append, Metrics("toy"))


def report(leased: LeasedErrand) -> ErrandReport:
    errand = leased.errand
    return ErrandReport(
        f"report-{errand.errand_id}", errand.account_id, errand.invoice_id, errand.errand_id, "accepted", NOON
    )


async def published(store: CountingStore) -> int:
    return len(await store.pending(0, 100))


async def test_reports_that_come_at_the_same_time_share_a_transaction() -> None:
    store = CountingStore()
    reports, leased = reports_of(store), await leased_errands(store, 20)

    await asyncio.gather(*(reports.store(each, report(each)) for each in leased))

    assert await published(store) == 20
    assert store.transactions == 1


async def test_a_worker_that_came_too_late_does_not_keep_the_others() -> None:
    store = CountingStore()
    reports, leased = reports_of(store), await leased_errands(store, 5)
    leased[2] = replace(leased[2], token="another")

    ended = await asyncio.gather(*(reports.store(each, report(each)) for each in leased), return_exceptions=True)

    assert [type(each) for each in ended] == [type(None), type(None), Fenced, type(None), type(None)]
    assert await published(store) == 4


async def test_a_database_that_is_away_is_asked_once_for_all() -> None:
    store = CountingStore()
    reports, leased = reports_of(store), await leased_errands(store, 5)
    store.away = True

    ended = await asyncio.gather(*(reports.store(each, report(each)) for each in leased), return_exceptions=True)

    assert {type(each) for each in ended} == {StoreUnavailable}
    assert store.transactions == 1


async def test_what_could_not_be_stored_can_be_stored_later() -> None:
    store = CountingStore()
    reports, leased = reports_of(store), await leased_errands(store, 1)
    store.away = True
    with pytest.raises(StoreUnavailable):
        await reports.store(leased[0], report(leased[0]))

    store.away = False
    await reports.store(leased[0], report(leased[0]))

    assert await published(store) == 1
