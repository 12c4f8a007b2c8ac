"""Rule 40: timers and errands ask one horizon, each in its own time, and what troubles one of them harms no other."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from dunning.runtime.clock import DatabaseClock
from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.read_through import Horizon
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import ReadUpTo, StoreUnavailable, TopicPartition
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TP = TopicPartition("payment.failed", 0)


class Broker:
    """One partition; now and then it does not answer."""

    away = False

    async def partitions(self) -> Collection[TopicPartition]:
        if self.away:
            raise StoreUnavailable("no answer")
        return {TP}


class SlowToCommit:
    """A database that takes its time to end a transaction."""

    def __init__(self, store: MemoryStore[ToyAccount]) -> None:
        self.horizon = store.horizon
        self._store = store
        self.asked, self.may_end = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        async with self._store.transaction() as tx:
            yield tx
            self.asked.set()
            await self.may_end.wait()


async def test_a_look_that_fails_while_another_one_asks_for_the_time_does_not_end_the_other() -> None:
    store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=HandClock(NOON), shards=1)
    epoch = (await store.take_over([TP]))[TP].epoch
    await store.note_read_through({TP: ReadUpTo(epoch, NOON, None)})
    slow, broker, metrics = SlowToCommit(store), Broker(), Metrics("toy")
    clock = DatabaseClock(5, host=lambda: NOON, monotonic=lambda: 0.0)
    clock.read(NOON)
    given: Any = slow, broker
    settings = load_settings(Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere")
    horizon = Horizon(*given, settings=settings, clock=clock, metrics=metrics, health=Health(metrics))

    timers = asyncio.create_task(horizon.get())
    await slow.asked.wait()
    broker.away = True
    with pytest.raises(StoreUnavailable):
        await horizon.get()
    slow.may_end.set()

    assert await timers == NOON
