"""Up to when the news was read, per partition and over all of them (rule 40).

Nothing due is done before the horizon has passed its due time: an invoice that was paid while we were down is read
about before anything is charged, written or restricted.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from dunning.runtime.broker_log import KAFKA_TROUBLES, BrokerLog
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import CLOCKS_DISAGREE, PARTITION_UNREAD, Problem
from dunning.runtime.settings import Settings
from dunning.runtime.store import ReadUpTo, Store, StoreUnavailable, TopicPartition

_log = log_for("read_through")


@dataclass(frozen=True, slots=True)
class Done:
    """How far a partition is stored: everything below `offset` is, under our `epoch`. `on_file` is the offset that we
    know the database to have, if any: what lies between the two holds no records."""

    epoch: int
    offset: int
    on_file: int | None = None


class Reading(Protocol):
    """Who reads: the intake."""

    async def done(self) -> Mapping[TopicPartition, Done]:
        """The partitions that this instance reads, and how far each is stored."""

    def begin_again(self, read_as: Mapping[TopicPartition, int]) -> None:
        """Go on from what is stored, for it is not what this instance believes; with the epochs it read under."""


class ReadThrough:
    """Notes for each partition that is read here the last instant of which all news is known."""

    def __init__(
        self,
        reading: Reading,
        store: Store[Any],
        log: BrokerLog,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._reading = reading
        self._store = store
        self._log = log
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._goals: dict[TopicPartition, tuple[int, int, datetime]] = {}  # epoch, end, the instant asked for it
        self._through: dict[TopicPartition, datetime] = {}

    async def run(self) -> None:
        """Look again and again, for ever; whatever is away is waited for."""
        pauses = Pauses()
        while True:
            try:
                await self.look()
                pauses.reset()
                await asyncio.sleep(self._settings.read_through_seconds)
            except (StoreUnavailable, Problem, *KAFKA_TROUBLES) as error:
                self._metrics.retries.labels("read_through").inc()
                _log.warning("cannot tell what was read", error=str(error))
                await asyncio.sleep(pauses.next_seconds())

    async def look(self) -> None:
        """One look. The clock is read first: what the broker says afterwards holds at that instant or later."""
        asked_at = await self._database_now()
        owned = await self._reading.done()
        self._forget(self._through.keys() - owned.keys())
        if not owned:
            return
        ends = await self._log.ends(list(owned))
        reached = self._compare(await self._reading.done(), ends, asked_at)
        if reached:
            noted = await self._store.note_read_through(reached)
            if lost := {tp: at.epoch for tp, at in reached.items() if tp not in noted}:
                self._reading.begin_again(lost)

    def _compare(
        self, owned: Mapping[TopicPartition, Done], ends: Mapping[TopicPartition, int], asked_at: datetime
    ) -> dict[TopicPartition, ReadUpTo]:
        """What was reached: the present end, or at least a former one. A partition under steady load never reaches the
        present end, but it passes each former one soon."""
        reached: dict[TopicPartition, ReadUpTo] = {}
        for tp, end in ends.items():
            done = owned.get(tp)
            if done is None:
                continue
            goal = self._goals.get(tp)
            if done.offset >= end:
                reached[tp] = ReadUpTo(done.epoch, asked_at, done.on_file)
                self._goals.pop(tp, None)
            elif goal is None or goal[0] != done.epoch:
                self._goals[tp] = done.epoch, end, asked_at
            elif done.offset >= goal[1]:
                reached[tp] = ReadUpTo(done.epoch, goal[2], done.on_file)
                self._goals[tp] = done.epoch, end, asked_at
            self._measure(tp, max(0, end - done.offset), reached.get(tp), asked_at)
        return reached

    def _measure(self, tp: TopicPartition, behind: int, reached: ReadUpTo | None, asked_at: datetime) -> None:
        """The age is reckoned when somebody asks: while the broker is away nobody looks here, and it grows."""
        partition = str(tp.partition)
        if tp not in self._through:
            self._through[tp] = asked_at
            self._metrics.lag_seconds.labels(tp.topic, partition).set_function(partial(self._seconds_since_read, tp))
        if reached is not None:
            self._through[tp] = reached.instant
        self._metrics.lag.labels(tp.topic, partition).set(behind)

    def _seconds_since_read(self, tp: TopicPartition) -> float:
        through = self._through.get(tp)
        return max(0.0, (self._clock.now() - through).total_seconds()) if through is not None else 0.0

    def _forget(self, gone: Collection[TopicPartition]) -> None:
        """What another instance reads now is its to measure."""
        for tp in list(gone):
            del self._through[tp]
            self._goals.pop(tp, None)
            self._metrics.lag.remove(tp.topic, str(tp.partition))
            self._metrics.lag_seconds.remove(tp.topic, str(tp.partition))

    async def _database_now(self) -> datetime:
        asked_at = self._clock.monotonic()
        now = await self._store.now()
        self._clock.read(now, asked_at)
        self._metrics.clock_skew.set(self._clock.skew_seconds)
        if self._clock.agrees:
            self._health.well("clock")
        else:
            ahead = f"this host's clock is {self._clock.skew_seconds:+.1f} seconds off the database's"
            self._health.trouble(
                "clock", CLOCKS_DISAGREE, f"{ahead}: intake, replays, timers and errands wait until they agree"
            )
        return now


class Horizon:
    """Up to when all inputs of the service were read, by whichever instances read them.

    What was read before this instance began, or before the database or the broker was away from it, is nothing to act
    on: perhaps nobody has read since, and what fell due shortly before would be done before the payments of the
    meantime are read.
    """

    def __init__(
        self,
        store: Store[Any],
        log: BrokerLog,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._store = store
        self._log = log
        self._age_max = timedelta(seconds=settings.horizon_age_seconds_max)
        self._alarm_after = timedelta(seconds=settings.unread_alarm_seconds)
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._waiting_since: datetime | None = None
        self._begun_at: datetime | None = None
        self._last: datetime | None = None
        metrics.horizon_age.set_function(self._age_seconds)

    async def get(self) -> datetime | None:
        """The horizon, or None while it is too old to act on: something is in the way of the news."""
        try:
            return await self._get()
        except BaseException:
            self._begun_at = None
            raise

    async def _get(self) -> datetime | None:
        partitions = await self._log.partitions()
        begun_at = await self._beginning()
        horizon = await self._store.horizon(partitions)
        now = self._clock.now()
        fresh = horizon is not None and horizon >= begun_at and now - horizon <= self._age_max
        self._watch(horizon, now, partitions, fresh=fresh)
        return horizon if fresh and self._clock.agrees else None

    async def _beginning(self) -> datetime:
        """When this instance first looked without a trouble since, by the clock that dates what is read. Timers and
        errands both look: while one of them asks, the other may run into trouble and take the answer back for all."""
        known = self._begun_at
        if known is not None:
            return known
        begun_at = self._begun_at = await self._store.now()
        return begun_at

    def _watch(
        self, horizon: datetime | None, now: datetime, partitions: Collection[TopicPartition], *, fresh: bool
    ) -> None:
        """An alarm after a while: at the start, and after a rebalance, some waiting is as it should be."""
        self._last = horizon or self._last
        if fresh:
            self._waiting_since = None
            self._health.well("horizon")
            return
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since > self._alarm_after:
            since = "not yet" if horizon is None else f"not since {horizon.isoformat(timespec='seconds')}"
            of = f"of the {len(partitions)} input partitions, at least one is read by nobody or lags"
            self._health.trouble("horizon", PARTITION_UNREAD, f"{of}: {since}; everything that is due waits for it")

    def _age_seconds(self) -> float:
        """When somebody asks: it grows also while database or broker are away and nobody looks. Before the first
        horizon, since this instance waits for it."""
        since = self._last or self._waiting_since or self._begun_at
        return max(0.0, (self._clock.now() - since).total_seconds()) if since is not None else 0.0
