"""Reading the input topics: the life of one instance's consumer, and its part in Kafka's group.

What is read from where is in `reading`, and how records become turns in `lane`.

What aiokafka would do by itself, and must not: begin at its own idea of an offset (each partition is paused until it
is placed by us, and lanes ask for placed ones only); reset an offset that the log no longer has (`none`, and an alarm);
swallow what a rebalance listener raises (ours only notes and waits, the work is done in `_settle`).
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.broker_log import KAFKA_TROUBLES, BrokerLog
from dunning.runtime.cancelling import cancelled
from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.header_names import read_any_header_name
from dunning.runtime.health import Health
from dunning.runtime.lane import FENCED_SECONDS, Lane
from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import KAFKA_UNREACHABLE, Problem
from dunning.runtime.read_through import Done
from dunning.runtime.reading import Reading
from dunning.runtime.settings import Settings
from dunning.runtime.store import Store, StoreUnavailable, TopicPartition
from dunning.runtime.turn import Turn

_FETCH_WAIT_MS = 50  # also how long an idle partition may delay a busy one of the same broker
_FETCH_BYTES_MAX = 16 * 1024 * 1024
_SETTLE_SECONDS = 1.0
_STOP_SECONDS = 3.0
_HINT_SECONDS = 1.0
_NEVER_MS = 100 * 365 * 86_400_000

_log = log_for("consumer")


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
        self._log = log
        self._settings = settings
        self._metrics = metrics
        self._health = health
        self._clients = clients
        self._reading = Reading(store, log, health)
        common: Any = {"settings": settings, "clock": clock, "metrics": metrics}
        self._lanes = [Lane(n, self._reading, turn, store, bound, **common) for n in range(settings.lanes)]
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
        for lane in self._lanes:
            lane.stop()
        self._changed.set()

    async def done(self) -> Mapping[TopicPartition, Done]:
        """How far each partition that is read here is stored."""
        return await self._reading.done()

    def begin_again(self, read_as: Mapping[TopicPartition, int]) -> None:
        """Place these anew: somebody took them over, an operator moved them, or the database was restored. One that has
        another epoch by now was placed anew already."""
        placed = self._reading.placed
        for tp in [tp for tp, epoch in read_as.items() if tp in placed and placed[tp].epoch == epoch]:
            _log.warning("what is stored is not what we stored", topic=tp.topic, partition=tp.partition)
            self._metrics.fenced.labels("partition").inc()
            self._reading.drop([tp], FENCED_SECONDS)

    def hold(self, partitions: Collection[TopicPartition]) -> None:
        """Stop reading these until the next assignment."""
        self._reading.drop(partitions, float("inf"))

    @property
    def settled(self) -> bool:
        """Whether every partition that was assigned here is being read."""
        return self._reading.settled

    # -- the consumer's life

    async def _run_consumer(self, pauses: Pauses) -> None:
        consumer = self._reading.consumer = self._new_consumer()
        tasks: list[asyncio.Task[None]] = []
        try:
            consumer.subscribe(self._topics, listener=_Listener(self, consumer))
            starting = asyncio.create_task(consumer.start())
            tasks = [starting, asyncio.create_task(self._settle(starting, pauses)), asyncio.create_task(self._hint())]
            tasks += [asyncio.create_task(lane.run()) for lane in self._lanes]
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
        self._reading.consumer = None
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
            # aiokafka leaves the group after that, and comes back only when somebody asks for records: never where the
            # group gave us nothing to ask for. A database that is away is no reason either, for however long.
            max_poll_interval_ms=_NEVER_MS,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            fetch_max_bytes=_FETCH_BYTES_MAX,
        )

    # -- which partitions

    async def revoked(self, consumer: AIOKafkaConsumer) -> None:
        """The group takes everything back, perhaps to give it again. One that is being stopped has nothing any more."""
        if consumer is self._reading.consumer:
            await self.let_go()

    async def let_go(self) -> None:
        """Stop reading everything. Turns in flight may end; one that does not is rolled back."""
        self._reading.let_go()
        self._metrics.partitions.set(0)
        turns = [lane.in_flight for lane in self._lanes if lane.in_flight is not None]
        if turns:
            await asyncio.wait(turns, timeout=self._settings.stop_timeout_seconds / 2)
            await cancelled(*turns)

    def assigned(self, consumer: AIOKafkaConsumer, partitions: Collection[KafkaPartition]) -> None:
        """The group gave us these. No record of them may be fetched before they are placed."""
        if partitions:
            consumer.pause(*partitions)
        if consumer is self._reading.consumer:  # else one that is being stopped
            self._reading.assign(partitions)
            self._changed.set()

    async def _settle(self, starting: asyncio.Task[None], pauses: Pauses) -> None:
        """Begin to read what is assigned and not read yet, again and again: whatever stopped a partition, this is how
        it comes back."""
        await starting
        while True:
            await self._hear_the_group()
            if (missing := self._reading.missing) and not self._stopping:
                try:
                    await self._reading.begin(missing)
                    pauses.reset()
                except (StoreUnavailable, *KAFKA_TROUBLES) as error:
                    _log.warning("cannot take partitions over", error=str(error))
            if self.settled:
                self._health.well("consumer")
                await self._look_for_new_partitions()
            self._metrics.partitions.set(len(self._reading.placed))
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _SETTLE_SECONDS)

    async def _hear_the_group(self) -> None:
        """Raises what the group's coordinator said, where no lane asks. aiokafka keeps it until somebody asks for
        records, and does not ask the group for any partitions before that."""
        consumer = self._reading.consumer
        if not self._reading.assigned and consumer is not None:
            await consumer.getmany(timeout_ms=0, max_records=1)

    async def _look_for_new_partitions(self) -> None:
        """A group spreads new partitions only if its leader notices them, and a leader that was restarted as a static
        member does not know that it is one. So whoever sees new ones joins again; of all these, one is the leader."""
        with suppress(Problem, *KAFKA_TROUBLES):
            partitions = await self._log.partitions()
            grown = self._known is not None and not partitions <= self._known
            self._known = partitions
            consumer = self._reading.consumer
            if grown and consumer is not None:
                _log.info("there are new partitions", partitions=len(partitions))
                consumer.subscribe(self._topics, listener=_Listener(self, consumer))

    # -- hints

    async def _hint(self) -> None:
        """Tell Kafka from time to time how far we are: for tools that show lag. Nothing rests on it."""
        told: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(_HINT_SECONDS)
            new = {tp: each.stored for tp, each in self._reading.placed.items() if told.get(tp) != each.stored}
            consumer = self._reading.consumer
            if new and consumer is not None:
                with suppress(*KAFKA_TROUBLES, IllegalStateError):
                    await asyncio.wait_for(
                        consumer.commit({KafkaPartition(*tp): at for tp, at in new.items()}), timeout=5
                    )
                    told |= new


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka logs and swallows what a listener raises, and does not heartbeat after `assigned` until it returns: so
    this one cannot fail and does nothing that takes long."""

    def __init__(self, intake: Intake, consumer: AIOKafkaConsumer) -> None:
        self._intake = intake
        self._consumer = consumer

    async def on_partitions_revoked(self, _: Collection[KafkaPartition]) -> None:
        await self._intake.revoked(self._consumer)

    async def on_partitions_assigned(self, assigned: Collection[KafkaPartition]) -> None:
        self._intake.assigned(self._consumer, assigned)
