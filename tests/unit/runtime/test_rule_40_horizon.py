"""Rule 40: timers and errands ask one horizon, each in its own time, and what troubles one of them harms no other.

It is acted on while it is fresh only, and an operator is told how old it is.
"""

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
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
from tests.in_memory import told

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TP = TopicPartition("payment.failed", 0)
SETTINGS = load_settings(
    Settings,
    kafka_bootstrap_servers="nowhere:1",
    database_url="postgresql://nowhere",
    horizon_age_seconds_max=15,
    unread_alarm_seconds=30,
)


class Broker:
    """One partition; now and then it does not answer."""

    away = False

    async def partitions(self) -> Collection[TopicPartition]:
        if self.away:
            raise StoreUnavailable("no answer")
        return {TP}


class SlowToAnswer:
    """A database that takes its time to say what time it is."""

    def __init__(self, store: MemoryStore[ToyAccount]) -> None:
        self.horizon = store.horizon
        self._store = store
        self.asked, self.may_end = asyncio.Event(), asyncio.Event()

    async def now(self) -> datetime:
        now = await self._store.now()
        self.asked.set()
        await self.may_end.wait()
        return now


async def test_a_look_that_fails_while_another_one_asks_for_the_time_does_not_end_the_other() -> None:
    store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=HandClock(NOON), shards=1)
    epoch = (await store.take_over([TP]))[TP].epoch
    await store.note_read_through({TP: ReadUpTo(epoch, NOON, None)})
    slow, broker, metrics = SlowToAnswer(store), Broker(), Metrics("toy")
    clock = DatabaseClock(5, host=lambda: NOON, monotonic=lambda: 0.0)
    clock.read(NOON)
    given: Any = slow, broker
    horizon = Horizon(*given, settings=SETTINGS, clock=clock, metrics=metrics, health=Health(metrics))

    timers = asyncio.create_task(horizon.get())
    await slow.asked.wait()
    broker.away = True
    with pytest.raises(StoreUnavailable):
        await horizon.get()
    slow.may_end.set()

    assert await timers == NOON


class Watched:
    """An instance's horizon since noon, with its clock turned by hand."""

    def __init__(self) -> None:
        self.hand, self.broker, self.metrics = HandClock(NOON), Broker(), Metrics("toy")
        self.health = Health(self.metrics)
        self.store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=self.hand, shards=1)
        clock = DatabaseClock(5, host=self.hand, monotonic=lambda: self.hand().timestamp())
        clock.read(NOON)
        given: Any = self.store, self.broker
        self.horizon = Horizon(*given, settings=SETTINGS, clock=clock, metrics=self.metrics, health=self.health)

    async def read_up_to(self, instant: datetime) -> None:
        """Somebody notes that all news was read up to an instant."""
        epoch = (await self.store.take_over([TP]))[TP].epoch
        await self.store.note_read_through({TP: ReadUpTo(epoch, instant, None)})

    async def seen_after(self, seconds: float) -> datetime | None:
        """What one look says so many seconds after the one before."""
        self.hand.advance(seconds=seconds)
        return await self.horizon.get()

    @property
    def age(self) -> float | None:
        return told(self.metrics, "horizon_age_seconds")


def seconds_past_noon(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_a_horizon_is_acted_on_for_fifteen_seconds() -> None:
    watched = Watched()
    await watched.read_up_to(NOON)

    assert await watched.seen_after(0) == NOON
    assert await watched.seen_after(15) == NOON
    assert await watched.seen_after(0.001) is None


async def test_what_was_read_before_this_instance_first_looked_is_nothing_to_act_on() -> None:
    watched = Watched()
    await watched.read_up_to(seconds_past_noon(-1))

    assert await watched.seen_after(0) is None
    await watched.read_up_to(seconds_past_noon(2))
    assert await watched.seen_after(3) == seconds_past_noon(2)


async def test_after_a_trouble_it_waits_for_what_is_read_since() -> None:
    watched = Watched()
    await watched.read_up_to(seconds_past_noon(2))
    await watched.seen_after(3)
    watched.broker.away = True
    with pytest.raises(StoreUnavailable):
        await watched.seen_after(1)
    watched.broker.away = False

    assert await watched.seen_after(1) is None
    await watched.read_up_to(seconds_past_noon(5))
    assert await watched.seen_after(1) == seconds_past_noon(5)


async def test_its_age_counts_from_the_newest_one_and_grows_while_nobody_looks() -> None:
    watched = Watched()
    assert watched.age == 0
    await watched.seen_after(0)
    watched.hand.advance(seconds=60)
    assert watched.age == 60  # since the first look: nothing was read yet

    await watched.read_up_to(seconds_past_noon(50))
    await watched.seen_after(0)
    assert watched.age == 10
    watched.hand.advance(seconds=90)
    assert watched.age == 100


async def test_the_alarm_comes_after_half_a_minute_and_says_since_when() -> None:
    watched = Watched()
    await watched.seen_after(0)
    await watched.seen_after(30)
    assert watched.health.troubles == {}

    await watched.seen_after(0.001)
    of = "of the 1 input partitions, at least one is read by nobody or lags"
    told = {"horizon": f"{of}: not yet; everything that is due waits for it  [DUN-R012]"}
    assert watched.health.troubles == told

    await watched.read_up_to(seconds_past_noon(30))
    await watched.seen_after(10)
    assert watched.health.troubles == {}

    await watched.seen_after(10)
    await watched.seen_after(31)
    since = "not since 2026-10-01T12:00:30+00:00"
    assert watched.health.troubles == {"horizon": f"{of}: {since}; everything that is due waits for it  [DUN-R012]"}
