"""Reading the input topics: which partitions are ours, from where, and lane by lane into turns.

Kafka's group only spreads the partitions over the instances. The truth about offsets is in the database, and the right
to a partition is an epoch there (`Store.take_over`). So whatever goes wrong with a partition, the answer is the same:
stop reading it, and begin again from what is stored.

What aiokafka would do by itself, and must not: begin at its own idea of an offset (each partition is paused until it
is placed by us, and lanes ask for placed ones only); reset an offset that the log no longer has (`none`, and an alarm);
swallow what a rebalance listener raises (ours only notes and waits, the work is done in `_settle`); skip records when
an iteration breaks (after any error, partitions are placed anew).
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.errors import (
    CorruptRecordException,
    IllegalStateError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
)
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.broker_log import KAFKA_TROUBLES, Bounds, BrokerLog
from dunning.runtime.cancelling import cancelled
from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.header_names import read_any_header_name
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.pauses import Pauses
from dunning.runtime.portions import Portions
from dunning.runtime.problem import KAFKA_UNREACHABLE, OFFSET_OUTSIDE_LOG, Problem
from dunning.runtime.read_through import Done
from dunning.runtime.settings import Settings
from dunning.runtime.store import Fenced, Owned, Store, StoreUnavailable, TopicPartition
from dunning.runtime.turn import Batch, Turn

_FETCH_WAIT_MS = 50  # also how long an idle partition may delay a busy one of the same broker
_FETCH_BYTES_MAX = 16 * 1024 * 1024
_LANE_WAIT_MS = 200
_SETTLE_SECONDS = 1.0
_STOP_SECONDS = 3.0
_HINT_SECONDS = 1.0
_MARKER_SECONDS = 1.0
_OUTSIDE_LOG_SECONDS = 30.0
_FENCED_SECONDS = 3.0
_CAREFUL_SECONDS = 60.0
_A_DAY_MS = 86_400_000

_log = log_for("consumer")


@dataclass(slots=True)
class _Partition:
    """A partition that is being read here. While `in_hand`, records beyond `stored` are in a turn."""

    tp: TopicPartition
    epoch: int
    stored: int
    on_file: bool  # whether the database has that offset; not before the first turn of a partition that is new
    in_hand: bool = False
    stored_at: float = 0.0


class Intake:
    """One instance's reading of a service's topics."""

    def __init__(
        self,
        service: str,
        topics: Collection[str],
        store: Store[Any],
        turn: Turn[Any],
        log: BrokerLog,
        bound: OutboxBound,
        *,
        settings: Settings,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
        clients: Clients = AIOKAFKA,
    ) -> None:
        self._topics = sorted(topics)
        self._group = f"{settings.topic_prefix}{service}"
        self._store = store
        self._turn = turn
        self._log = log
        self._bound = bound
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._clients = clients
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._reading: dict[TopicPartition, _Partition] = {}
        self._not_before: dict[TopicPartition, float] = {}  # when a partition that failed may be tried again
        self._outside: dict[TopicPartition, str] = {}
        self._turns: dict[int, asyncio.Task[float]] = {}
        self._careful_until: dict[int, float] = {}  # lanes that look for a broken partition
        self._rounds: dict[int, int] = {}
        self._portions = [Portions(settings.batch_records) for _ in range(settings.lanes)]
        self._ending: set[asyncio.Task[None]] = set()
        self._known: frozenset[TopicPartition] | None = None
        self._changed = asyncio.Event()
        self._stopping = False
        read_any_header_name()

    # -- from outside

    async def run(self) -> None:
        """Read until stopped. A consumer that broke is made anew; what was in hand is read again."""
        self._health.starting("consumer")
        pauses = Pauses(seconds_first=0.5)
        while not self._stopping:
            try:
                await self._run_consumer(pauses)
            except KAFKA_TROUBLES as error:
                message = (
                    f"cannot read from Kafka at {self._settings.kafka_bootstrap_servers} ({error}): is it running?"
                )
                self._health.trouble("consumer", KAFKA_UNREACHABLE, message)
                self._metrics.retries.labels("kafka").inc()
                await asyncio.sleep(pauses.next_seconds())

    def stop(self) -> None:
        """Take no new records; turns in flight go on to their end."""
        self._stopping = True
        self._changed.set()

    async def done(self) -> Mapping[TopicPartition, Done]:
        """How far each partition that is read here is stored. With nothing in hand, all before the consumer's position
        is: what lies between the last record and that position are markers of transactions."""
        return {
            each.tp: Done(
                each.epoch,
                each.stored if each.in_hand else await self._position(each),
                each.stored if each.on_file else None,
            )
            for each in list(self._reading.values())
        }

    def begin_again(self, read_as: Mapping[TopicPartition, int]) -> None:
        """Place these anew: somebody took them over, an operator moved them, or the database was restored. One that has
        another epoch by now was placed anew already."""
        for tp in [tp for tp, epoch in read_as.items() if tp in self._reading and self._reading[tp].epoch == epoch]:
            _log.warning("what is stored is not what we stored", topic=tp.topic, partition=tp.partition)
            self._metrics.fenced.labels("partition").inc()
            self._drop([tp], _FENCED_SECONDS)

    def hold(self, partitions: Collection[TopicPartition]) -> None:
        """Stop reading these until the next assignment."""
        self._drop(partitions, float("inf"))

    @property
    def settled(self) -> bool:
        """Whether every partition that was assigned here is being read."""
        return self._consumer is not None and self._assigned == self._reading.keys()

    # -- the consumer's life

    async def _run_consumer(self, pauses: Pauses) -> None:
        consumer = self._consumer = self._new_consumer()
        lanes = range(self._settings.lanes)
        tasks: list[asyncio.Task[None]] = []
        try:
            consumer.subscribe(self._topics, listener=_Listener(self, consumer))
            starting = asyncio.create_task(consumer.start())
            tasks = [starting, asyncio.create_task(self._settle(pauses)), asyncio.create_task(self._hint())]
            tasks += [asyncio.create_task(self._lane(number)) for number in lanes]
            await self._first_failure(tasks)
        finally:
            await self._end(consumer, tasks)

    async def _first_failure(self, tasks: list[asyncio.Task[None]]) -> None:
        """Lanes end when stopping; whichever task fails ends the consumer."""
        lanes = set(tasks[3:])
        pending = set(tasks)
        while not lanes <= (set(tasks) - pending):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def _end(self, consumer: AIOKafkaConsumer, tasks: list[asyncio.Task[None]]) -> None:
        await cancelled(*tasks)
        await self.let_go()
        self._consumer = None
        await self._stop_consumer(consumer)

    async def _stop_consumer(self, consumer: AIOKafkaConsumer) -> None:
        """aiokafka waits for a rebalance to end first. Cut short, it would leave its heartbeat at work: a member of the
        group that reads nothing, and keeps its partitions from all others as long as this process lives. So what takes
        too long goes on beside us."""
        stopping = asyncio.create_task(consumer.stop())
        self._ending.add(stopping)
        stopping.add_done_callback(self._ended)
        await asyncio.wait([stopping], timeout=_STOP_SECONDS)

    def _ended(self, stopping: asyncio.Task[None]) -> None:
        self._ending.discard(stopping)
        error = None if stopping.cancelled() else stopping.exception()
        if error is not None:
            _log.warning("a consumer did not stop well", error=str(error))

    def _new_consumer(self) -> AIOKafkaConsumer:
        session_ms = int(self._settings.kafka_session_timeout_seconds * 1000)
        return self._clients.consumer(
            **self._settings.kafka_connection(),
            client_id=f"dunning-{self._group}",
            group_id=self._group,
            group_instance_id=self._settings.instance_id,
            isolation_level="read_committed",
            auto_offset_reset="none",
            enable_auto_commit=False,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            rebalance_timeout_ms=max(session_ms, 30_000),
            max_poll_interval_ms=_A_DAY_MS,  # a database that is away is no reason to leave the group
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            fetch_max_bytes=_FETCH_BYTES_MAX,
        )

    # -- which partitions

    async def let_go(self) -> None:
        """Stop reading everything. Turns in flight may end; one that does not is rolled back."""
        self._assigned = frozenset()
        self._reading.clear()
        self._metrics.partitions.set(0)
        turns = list(self._turns.values())
        if turns:
            await asyncio.wait(turns, timeout=self._settings.stop_timeout_seconds / 2)
            await cancelled(*turns)

    def assigned(self, consumer: AIOKafkaConsumer, partitions: Collection[KafkaPartition]) -> None:
        """The group gave us these. No record of them may be fetched before they are placed."""
        if partitions:
            consumer.pause(*partitions)
        if consumer is not self._consumer:  # one that is being stopped
            return
        self._reading.clear()
        self._assigned = frozenset(TopicPartition(*each) for each in partitions)
        self._not_before.clear()
        self._outside = {tp: said for tp, said in self._outside.items() if tp in self._assigned}
        self._tell_of_outside()
        self._changed.set()

    async def _settle(self, pauses: Pauses) -> None:
        """Begin to read what is assigned and not read yet, again and again: whatever stopped a partition, this is how
        it comes back."""
        while True:
            assigned = self._assigned
            now = monotonic()
            missing = [tp for tp in assigned - self._reading.keys() if self._not_before.get(tp, 0) <= now]
            if missing and not self._stopping:
                try:
                    await self._begin(missing, assigned)
                    pauses.reset()
                except (StoreUnavailable, *KAFKA_TROUBLES) as error:
                    _log.warning("cannot take partitions over", error=str(error))
            if self.settled:
                self._health.well("consumer")
                await self._look_for_new_partitions()
            self._metrics.partitions.set(len(self._reading))
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _SETTLE_SECONDS)

    async def _look_for_new_partitions(self) -> None:
        """A group spreads new partitions only if its leader notices them, and a leader that was restarted as a static
        member does not know that it is one. So whoever sees new ones joins again; of all these, one is the leader."""
        with suppress(Problem, *KAFKA_TROUBLES):
            partitions = await self._log.partitions()
            grown = self._known is not None and not partitions <= self._known
            self._known = partitions
            if grown and self._consumer is not None:
                _log.info("there are new partitions", partitions=len(partitions))
                self._consumer.subscribe(self._topics, listener=_Listener(self, self._consumer))

    async def _begin(self, missing: Collection[TopicPartition], assigned: frozenset[TopicPartition]) -> None:
        """Make partitions ours, and place the consumer where the stored offset says."""
        bounds = await self._log.bounds(missing)
        owned = await self._store.take_over(missing)
        if self._assigned is not assigned:  # a rebalance came in between: whoever has them now takes them over again
            return
        for tp, mine in owned.items():
            offset = self._checked_offset(tp, mine, bounds[tp])
            if offset is None:
                self._not_before[tp] = monotonic() + _OUTSIDE_LOG_SECONDS
            else:
                self._place(tp, mine, offset)
        self._tell_of_outside()
        _log.info("reading", partitions=len(self._reading), assigned=len(assigned))

    def _checked_offset(self, tp: TopicPartition, mine: Owned, bounds: Bounds) -> int | None:
        """Where to go on, or None where the log does not hold that offset: never a silent jump over lost records."""
        self._outside.pop(tp, None)
        if mine.next_offset is None:
            return bounds.begin
        if bounds.begin <= mine.next_offset <= bounds.end:
            return mine.next_offset
        at = f"we read {tp.topic}[{tp.partition}] up to {mine.next_offset}"
        self._outside[tp] = f"{at}, but its log holds {bounds.begin} to {bounds.end}: records are gone"
        return None

    def _tell_of_outside(self) -> None:
        if self._outside:
            message = "; ".join(self._outside.values())
            self._health.trouble(
                "offsets",
                OFFSET_OUTSIDE_LOG,
                f"{message}; what cannot be read is not read: `dunning offsets` has the ways on",
            )
        else:
            self._health.well("offsets")

    def _place(self, tp: TopicPartition, mine: Owned, offset: int) -> None:
        assert self._consumer is not None
        try:
            self._consumer.seek(KafkaPartition(*tp), offset)
            self._consumer.resume(KafkaPartition(*tp))
        except IllegalStateError:  # taken away a moment ago
            return
        self._reading[tp] = _Partition(tp, mine.epoch, offset, on_file=mine.next_offset is not None)

    def _drop(self, partitions: Collection[TopicPartition], pause_seconds: float) -> None:
        """Stop reading these; `_settle` begins them anew from what is stored, after a pause."""
        for tp in partitions:
            self._reading.pop(tp, None)
            self._not_before[tp] = monotonic() + pause_seconds
            with suppress(IllegalStateError):
                if self._consumer is not None:
                    self._consumer.pause(KafkaPartition(*tp))

    # -- lanes

    def _of_lane(self, number: int) -> list[_Partition]:
        """Equal partition numbers of all topics share a lane: mostly they hold the same accounts."""
        lanes = self._settings.lanes
        return [each for tp, each in self._reading.items() if tp.partition % lanes == number]

    async def _lane(self, number: int) -> None:
        while not self._stopping:
            mine = self._of_lane(number)
            if not mine or not self._clock.agrees or await self._bound.is_reached():
                await asyncio.sleep(_LANE_WAIT_MS / 1000)
                continue
            if monotonic() < self._careful_until.get(number, 0):
                mine = [mine[self._next_turn(number) % len(mine)]]
            first = self._portions[number].others_first(mine)
            try:
                batch = await self._fetch(number, first or mine, wait_ms=0 if first else _LANE_WAIT_MS)
            except OffsetOutOfRangeError as error:
                self._drop({TopicPartition(*each) for each in error.args[0]}, 0)
            except IllegalStateError:  # taken away while we waited
                self._drop([each.tp for each in mine], 0)
            except (CorruptRecordException, RecordTooLargeError, ValueError) as error:
                self._broken(number, mine, error)
            else:
                if batch is not None:
                    await self._take(number, batch)

    def _next_turn(self, number: int) -> int:
        self._rounds[number] = self._rounds.get(number, -1) + 1
        return self._rounds[number]

    def _broken(self, number: int, asked: Sequence[_Partition], error: Exception) -> None:
        """Bytes that are no records. The client may have skipped over good ones on its way there, so all are placed
        anew; then partitions are asked one by one until it shows which it was, and the others go on without it."""
        alone = len(asked) == 1
        self._careful_until[number] = monotonic() + _CAREFUL_SECONDS
        self._drop([each.tp for each in asked], _OUTSIDE_LOG_SECONDS if alone else 0)
        if alone:
            tp = asked[0].tp
            self._outside[tp] = f"{tp.topic}[{tp.partition}] from {asked[0].stored} on cannot be read ({error!r})"
            self._tell_of_outside()

    async def _fetch(self, number: int, asked: Sequence[_Partition], *, wait_ms: int) -> Batch | None:
        """Records of any of these partitions, and the right to them; None when there is nothing to store.

        What comes back is compared with what is read *now*: a rebalance may have happened in between. After `getmany`
        nothing here gives up control, so whatever is in hand is marked before anybody can ask `done`.
        """
        consumer = self._consumer
        assert consumer is not None
        found = await consumer.getmany(
            *(KafkaPartition(*each.tp) for each in asked),
            timeout_ms=wait_ms,
            max_records=self._portions[number].records,
        )
        records: list[ConsumerRecord] = []
        owned: dict[TopicPartition, int] = {}
        positions: dict[TopicPartition, int] = {}
        begins: dict[TopicPartition, int] = {}
        now = monotonic()
        for each in self._reading.values():
            here = found.get(each.tp)
            if here is None and (each.tp not in {a.tp for a in asked} or now - each.stored_at < _MARKER_SECONDS):
                continue
            position = await self._position(each)
            if here is None and position == each.stored:
                continue
            each.in_hand = True
            records += here or []
            owned[each.tp] = each.epoch
            positions[each.tp] = position
            if each.on_file:
                begins[each.tp] = each.stored
        return Batch(owned, records, positions, begins) if owned else None

    async def _take(self, number: int, batch: Batch) -> None:
        """The turn is a task of its own: a rebalance may wait for it, and may end it."""
        turn = self._turns[number] = asyncio.create_task(self._turn.take(batch))
        await asyncio.wait([turn])
        del self._turns[number]
        error = None if turn.cancelled() else turn.exception()
        if turn.cancelled():
            self._drop(batch.owned, 0)
        elif isinstance(error, Fenced):
            await self._drop_fenced(batch)
        elif error is not None:
            raise error
        else:
            counts = Counter(TopicPartition(record.topic, record.partition) for record in batch.records)
            self._portions[number].taken(counts, turn.result())
        for tp, position in batch.positions.items():
            each = self._reading.get(tp)
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
                self._drop([tp], _FENCED_SECONDS)
            except StoreUnavailable:
                self._drop([tp], _SETTLE_SECONDS)
            else:
                self._drop([tp], 0)

    async def _position(self, each: _Partition) -> int:
        """Where the consumer stands; it answers at once for a partition that was placed."""
        assert self._consumer is not None
        position: int = await self._consumer.position(KafkaPartition(*each.tp))
        return position

    # -- hints

    async def _hint(self) -> None:
        """Tell Kafka from time to time how far we are: for tools that show lag. Nothing rests on it."""
        told: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(_HINT_SECONDS)
            new = {tp: each.stored for tp, each in self._reading.items() if told.get(tp) != each.stored}
            if new and self._consumer is not None:
                with suppress(*KAFKA_TROUBLES, IllegalStateError):
                    await asyncio.wait_for(
                        self._consumer.commit({KafkaPartition(*tp): at for tp, at in new.items()}), timeout=5
                    )
                    told |= new


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka logs and swallows what a listener raises, and does not heartbeat after `assigned` until it returns: so
    this one cannot fail and does nothing that takes long."""

    def __init__(self, intake: Intake, consumer: AIOKafkaConsumer) -> None:
        self._intake = intake
        self._consumer = consumer

    async def on_partitions_revoked(self, _: Collection[KafkaPartition]) -> None:
        await self._intake.let_go()

    async def on_partitions_assigned(self, assigned: Collection[KafkaPartition]) -> None:
        self._intake.assigned(self._consumer, assigned)
