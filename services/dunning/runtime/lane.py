"""One lane of an instance: records of its partitions become turns, one after another.

What aiokafka would do by itself, and must not: reset an offset that the log no longer has; skip records when an
iteration breaks (after any error, partitions are placed anew).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.clock import DatabaseClock
from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.portions import Portions
from dunning.runtime.reading import OUTSIDE_LOG_SECONDS, PlacedPartition, Reading
from dunning.runtime.settings import Settings
from dunning.runtime.store import Fenced, Store, StoreUnavailable, TopicPartition
from dunning.runtime.turn import Batch, Turn

FENCED_SECONDS = 3.0
"""How long a partition rests that somebody else took over."""
_WAIT_MS = 200
_MARKER_SECONDS = 1.0
_CAREFUL_SECONDS = 60.0
_UNAVAILABLE_SECONDS = 1.0

_log = log_for("consumer")


class Lane:
    """Equal partition numbers of all topics share a lane: mostly they hold the same accounts."""

    def __init__(
        self,
        number: int,
        reading: Reading,
        turn: Turn[Any],
        store: Store[Any],
        bound: OutboxBound,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
    ) -> None:
        self._number = number
        self._reading = reading
        self._turn = turn
        self._store = store
        self._bound = bound
        self._lanes = settings.lanes
        self._clock = clock
        self._metrics = metrics
        self._portions = Portions(settings.batch_records)
        self._careful_until = 0.0  # while it looks for a broken partition
        self._rounds = 0
        self._stopping = False
        self.in_flight: asyncio.Task[float] | None = None

    def stop(self) -> None:
        """Take no new records; the turn in flight goes on to its end."""
        self._stopping = True

    async def run(self) -> None:
        """Turn after turn until stopped."""
        while not self._stopping:
            mine = [each for tp, each in self._reading.placed.items() if tp.partition % self._lanes == self._number]
            if not mine or not self._clock.agrees or await self._bound.is_reached():
                await asyncio.sleep(_WAIT_MS / 1000)
                continue
            if monotonic() < self._careful_until:
                mine = [mine[self._rounds % len(mine)]]
                self._rounds += 1
            first = self._portions.others_first(mine)
            try:
                batch = await self._fetch(first or mine, wait_ms=0 if first else _WAIT_MS)
            except OffsetOutOfRangeError as error:
                self._reading.drop({TopicPartition(*each) for each in error.args[0]}, 0)
            except IllegalStateError:  # taken away while we waited
                self._reading.drop([each.tp for each in mine], 0)
            except (CorruptRecordException, RecordTooLargeError, ValueError) as error:
                self._broken(mine, error)
            else:
                if batch is not None:
                    await self._take(batch)

    def _broken(self, asked: Sequence[PlacedPartition], error: Exception) -> None:
        """Bytes that are no records. The client may have skipped over good ones on its way there, so all are placed
        anew; then partitions are asked one by one until it shows which it was, and the others go on without it."""
        alone = len(asked) == 1
        self._careful_until = monotonic() + _CAREFUL_SECONDS
        self._reading.drop([each.tp for each in asked], OUTSIDE_LOG_SECONDS if alone else 0)
        if alone:
            self._reading.cannot_be_read(asked[0], error)

    async def _fetch(self, asked: Sequence[PlacedPartition], *, wait_ms: int) -> Batch | None:
        """Records of any of these partitions, and the right to them; None when there is nothing to store.

        What comes back is compared with what is read *now*: a rebalance may have happened in between. After `getmany`
        nothing here gives up control, so whatever is in hand is marked before anybody can ask `done`.
        """
        consumer = self._reading.consumer
        assert consumer is not None
        found = await consumer.getmany(
            *(KafkaPartition(*each.tp) for each in asked),
            timeout_ms=wait_ms,
            max_records=self._portions.records,
        )
        records: list[ConsumerRecord] = []
        owned: dict[TopicPartition, int] = {}
        positions: dict[TopicPartition, int] = {}
        begins: dict[TopicPartition, int] = {}
        was_asked, now = {each.tp for each in asked}, monotonic()
        for each in self._reading.placed.values():
            here = found.get(each.tp)
            if here is None and (each.tp not in was_asked or now - each.stored_at < _MARKER_SECONDS):
                continue
            position = await self._reading.position(each)
            if here is None and position == each.stored:
                continue
            each.in_hand = True
            records += here or []
            owned[each.tp] = each.epoch
            positions[each.tp] = position
            if each.on_file:
                begins[each.tp] = each.stored
        return Batch(owned, records, positions, begins) if owned else None

    async def _take(self, batch: Batch) -> None:
        """The turn is a task of its own: a rebalance may wait for it, and may end it."""
        turn = self.in_flight = asyncio.create_task(self._turn.take(batch))
        await asyncio.wait([turn])
        self.in_flight = None
        error = None if turn.cancelled() else turn.exception()
        if turn.cancelled():
            self._reading.drop(batch.owned, 0)
        elif isinstance(error, Fenced):
            await self._drop_fenced(batch)
        elif error is not None:
            raise error
        else:
            counts = Counter(TopicPartition(record.topic, record.partition) for record in batch.records)
            self._portions.taken(counts, turn.result())
        for tp, position in batch.positions.items():
            each = self._reading.placed.get(tp)
            if each is not None and each.epoch == batch.owned[tp]:
                each.stored, each.stored_at, each.in_hand, each.on_file = position, monotonic(), False, True

    async def _drop_fenced(self, batch: Batch) -> None:
        """Somebody took over one of these partitions, and nothing of the batch was written. Which one it was shows when
        they are locked one by one. If the group still says that it is ours, we take it over again after a while: that
        somebody was an instance that did not know yet that it had been replaced. Where none is lost, the database went
        back (`turn`), and each is placed anew."""
        self._metrics.fenced.labels("partition").inc()
        for tp, epoch in batch.owned.items():
            try:
                async with self._store.transaction() as tx:
                    await tx.lock_offsets({tp: epoch})
            except Fenced:
                _log.warning("another instance took the partition over", topic=tp.topic, partition=tp.partition)
                self._reading.drop([tp], FENCED_SECONDS)
            except StoreUnavailable:
                self._reading.drop([tp], _UNAVAILABLE_SECONDS)
            else:
                self._reading.drop([tp], 0)
