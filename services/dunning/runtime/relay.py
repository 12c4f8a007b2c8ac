"""From the outbox to Kafka: in order, once, by one owner per shard (rule 41)."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.crash_points import crash_point
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import DATABASE_UNREACHABLE, KAFKA_UNREACHABLE, ROW_UNPUBLISHABLE
from dunning.runtime.progress import NOTE_LENGTH_MAX
from dunning.runtime.publisher import FENCED, REFUSED, Publisher, note_on
from dunning.runtime.settings import Settings
from dunning.runtime.shard_lock import LOCK_TROUBLES, ShardLocks
from dunning.runtime.store import PendingRow, Store, StoreUnavailable, TopicKey

_ACQUIRE_SECONDS = 1.0
_ALONE_SECONDS = 5.0  # an idle relay asks the database itself, should whoever watches the outbox wait for an answer
_PARKED_SECONDS = 60.0
_BYTES_MAX = 8 * 1024 * 1024  # of one Kafka transaction: what rows weigh, not only how many they are, must stay bounded

_log = log_for("relay")


class _Outdated(Exception):
    """What was read of the outbox is no longer what waits there: it is to be read again."""


class Relay:
    """Publishes one shard while it is ours.

    Exactly once: what Kafka committed last is known from Kafka itself (`progress`), so rows that a dead owner published
    and could not finish are finished, all of them and before anything else is published: the next batch takes the place
    of what is known. For the same reason it goes out only when the last one is finished.
    """

    def __init__(
        self,
        shard: int,
        service: str,
        store: Store[Any],
        locks: ShardLocks,
        marker_topic: str,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
        clients: Clients = AIOKAFKA,
    ) -> None:
        self.shard = shard
        self.is_idle = False  # when it has published all that there was, and waits to be woken
        self._service = service
        self._part = f"outbox shard {shard}"
        self._store = store
        self._locks = locks
        self._marker_topic = marker_topic
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._clients = clients
        self._woken = asyncio.Event()
        self._draining = False
        self._parked: dict[TopicKey, float] = {}  # what Kafka refuses a row of, until when
        self._suspects: set[TopicKey] = set()  # was parked: its next row goes alone, so that it spoils no batch again

    def wake(self) -> None:
        """Something may have been committed to the shard."""
        self._woken.set()

    def drain(self) -> None:
        """Publish what is there, then end."""
        self._draining = True
        self._woken.set()

    async def run(self) -> None:
        """Get the shard, publish it, and get it again when it was lost; end when drained."""
        pauses = Pauses()
        while True:
            try:
                if await self._locks.acquire(self.shard):
                    await self._own(pauses)
                else:
                    self._is_anothers()
                if self._draining:
                    return
                await self._pause(_ACQUIRE_SECONDS)
            except FENCED:
                self._metrics.fenced.labels("shard").inc()
                _log.warning("another instance publishes this shard now", shard=self.shard)
                await self._locks.give_up(self.shard)
                await self._pause(pauses.next_seconds())
            except (*KAFKA_TROUBLES, StoreUnavailable, *LOCK_TROUBLES) as error:
                self._tell(error)
                if self._draining:
                    return
                await self._pause(pauses.next_seconds())

    def _is_anothers(self) -> None:
        """Another instance publishes the shard, so what was in our way is in its way now, if it still is."""
        if self._parked:
            self._parked.clear()
            self._metrics.outbox_parked.labels(str(self.shard)).set(0)
        self._health.well(self._part)
        self._health.well(f"{self._part} row")

    async def _own(self, pauses: Pauses) -> None:
        """Publish until something fails. A broken publisher is replaced as long as the lock is ours."""
        self._metrics.shards.inc()
        try:
            while await self._locks.holds(self.shard):
                async with self._publisher() as publisher:
                    await self._finish_known(publisher)
                    pauses.reset()
                    refused = await self._publish_all(publisher)
                if refused is None:
                    return
                with suppress(_Outdated):
                    await self._isolate(refused)
        finally:
            self._metrics.shards.dec()

    async def _finish_known(self, publisher: Publisher) -> None:
        known = await publisher.last_committed()
        await self._finish_numbers(known.ids, known.recorded_until)

    def _publisher(self, *, compressed: bool = False) -> Publisher:
        return Publisher(
            self._settings,
            self._service,
            self.shard,
            self._marker_topic,
            compressed=compressed,
            clients=self._clients,
        )

    async def _publish_all(self, publisher: Publisher) -> list[PendingRow] | None:
        """Batch after batch; returns rows that the broker refused, or None when drained."""
        while True:
            self._woken.clear()
            self._unpark()
            rows = await self._store.pending(
                self.shard, self._settings.outbox_batch_rows, bytes_max=_BYTES_MAX, but_not=self._parked
            )
            if not rows:
                self._suspects.clear()
                if self._draining:
                    return None
                await self._idle()
                continue
            rows = _as_many_as_a_note_holds(self._without_suspects(rows))
            try:
                await publisher.publish(rows)
            except REFUSED:
                return rows
            crash_point("relay.published")
            await self._finish(rows)
            crash_point("relay.finished")
            self._count(rows)
            if not self._parked and not self._suspects:
                self._health.well(f"{self._part} row")

    async def _idle(self) -> None:
        """Until woken."""
        self.is_idle = True
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _ALONE_SECONDS)
        finally:
            self.is_idle = False

    async def _finish(self, rows: Sequence[PendingRow]) -> None:
        """Waited for until the database is there again, and then it may be one that went back (`progress`)."""
        await self._finish_numbers([row.id for row in rows], max(row.recorded_at for row in rows))
        self._suspects.difference_update(map(_topic_key, rows))

    async def _finish_numbers(self, row_ids: Collection[int], recorded_until: datetime | None) -> None:
        """They are in Kafka for good; nothing else is published before the database knows it too."""
        pauses = Pauses()
        while True:
            try:
                await self._store.finish(self.shard, row_ids, recorded_until)
            except StoreUnavailable as error:
                if pauses.tries >= 2:
                    self._tell(error)
                await asyncio.sleep(pauses.next_seconds())
            else:
                return self._health.well(self._part)

    # -- rows that Kafka refuses

    async def _isolate(self, rows: Sequence[PendingRow]) -> None:
        """Find the row that is too large by publishing halves; each try needs a producer of its own. Topics limit
        what a record takes compressed: one that came so, and is a dead letter now, must be able to leave so."""
        if len(rows) == 1:
            return None if await self._try(rows, compressed=True) else self._park(rows[0])
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            free = [row for row in half if _topic_key(row) not in self._parked]
            if free and not await self._try(free):
                await self._isolate(free)
        return None

    async def _try(self, rows: Sequence[PendingRow], *, compressed: bool = False) -> bool:
        """Publish with a producer of its own; False where Kafka refuses. It fences off everybody, also whoever took the
        shard over while we were frozen, or a switch of the mode: so what was read before is looked at again."""
        async with self._publisher(compressed=compressed) as publisher:
            await self._finish_known(publisher)
            await self._require_pending(rows)
            try:
                await publisher.publish(rows)
            except REFUSED:
                return False
            await self._finish(rows)
        self._count(rows)
        return True

    async def _require_pending(self, rows: Sequence[PendingRow]) -> None:
        """Of the oldest rows, as these were when they were read."""
        pending = await self._store.pending(
            self.shard, self._settings.outbox_batch_rows, bytes_max=_BYTES_MAX, but_not=self._parked
        )
        oldest = {row.id: row for row in pending}
        if any(oldest.get(row.id) != row for row in rows):
            raise _Outdated

    def _park(self, row: PendingRow) -> None:
        """Nothing is dropped: the row stays, and so does what follows it under the same key in the same topic, for a
        gap in an account's story would be worse than a wait. All others go on. It is tried again from time to time,
        in case the topic was given more room."""
        self._parked[_topic_key(row)] = monotonic() + _PARKED_SECONDS
        self._suspects.discard(_topic_key(row))
        self._metrics.outbox_parked.labels(str(self.shard)).set(len(self._parked))
        about = f"outbox row {row.id} for {row.row.topic} ({len(row.row.value)} bytes) is refused by Kafka"
        message = f"{about}: raise the topic's max.message.bytes; it and what follows it wait"
        self._health.trouble(f"{self._part} row", ROW_UNPUBLISHABLE, message)

    def _unpark(self) -> None:
        """What has been parked for long enough is tried once more."""
        now = monotonic()
        over = {key for key, until in self._parked.items() if until <= now}
        for key in over:
            del self._parked[key]
        self._suspects |= over
        if over:
            self._metrics.outbox_parked.labels(str(self.shard)).set(len(self._parked))

    def _without_suspects(self, rows: list[PendingRow]) -> list[PendingRow]:
        """The rows before the first that was refused once; that one alone."""
        place = next((place for place, row in enumerate(rows) if _topic_key(row) in self._suspects), None)
        return rows if place is None else rows[: max(place, 1)]

    # -- telling

    def _tell(self, error: Exception) -> None:
        database = isinstance(error, (StoreUnavailable, *LOCK_TROUBLES)) and not isinstance(error, KAFKA_TROUBLES)
        code, what = (DATABASE_UNREACHABLE, "the database") if database else (KAFKA_UNREACHABLE, "Kafka")
        self._metrics.retries.labels("relay").inc()
        self._health.trouble(self._part, code, f"publishing waits for {what} ({error!r})")

    def _count(self, rows: Sequence[PendingRow]) -> None:
        now = self._clock.now()
        self._metrics.publish_delay.observe(max(timedelta(), now - rows[0].recorded_at).total_seconds())
        topics: dict[str, int] = {}
        for row in rows:
            topics[row.row.topic] = topics.get(row.row.topic, 0) + 1
        for topic, times in topics.items():
            self._metrics.published.labels(topic).inc(times)

    async def _pause(self, seconds: float) -> None:
        """Draining does not wait."""
        if not self._draining:
            await asyncio.sleep(seconds)


def _topic_key(row: PendingRow) -> TopicKey:
    return TopicKey(row.row.topic, row.row.key)


def _as_many_as_a_note_holds(rows: list[PendingRow]) -> list[PendingRow]:
    while len(rows) > 1 and len(note_on(rows)) > NOTE_LENGTH_MAX:
        rows = rows[: len(rows) // 2]
    return rows
