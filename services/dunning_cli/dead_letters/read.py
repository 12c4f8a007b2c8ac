"""Reads the `<topic>.<service>.dlq` topics, newest first, without joining a consumer group: looking changes nothing."""

import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from dunning.contracts.topics import Topic, kafka_name
from dunning.runtime.settings import Settings
from dunning_cli.dead_letters.letters import DeadLetter, Filter, Place, letter_of
from dunning_cli.errors import CommandError

STALLED = "DUN-C023"
_WINDOW_FIRST, _WINDOW_MAX = 200, 20_000  # offsets
_BODIES_MAX = 50  # dead letters in memory with their bodies, of a partition
_POLL_MS = 100
_STILL_SECONDS_MAX = 15.0

Span = tuple[int, int]  # of offsets, half-open
Take = Callable[[TopicPartition, ConsumerRecord], None]
Narrow = Callable[[Sequence[DeadLetter]], Awaitable[list[DeadLetter]]]
"""Which of some dead letters are wanted, where another place than the topic must be asked."""


class _Backwards:
    """What is still to be read of a partition, from its end to its beginning."""

    def __init__(self, begin: int, end: int) -> None:
        self._begin = begin
        self._high = end
        self._size = _WINDOW_FIRST

    def next_span(self) -> Span | None:
        """The window before the last one, or None at the beginning."""
        if self._high <= self._begin:
            return None
        low, high = max(self._begin, self._high - self._size), self._high
        self._high, self._size = low, min(2 * self._size, _WINDOW_MAX)
        return low, high


class DeadLetters:
    """The topics of one installation."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topic_prefix: str) -> None:
        self._consumer = consumer
        self._admin = admin
        self._prefix = topic_prefix
        self._topics: dict[str, Topic] = {}  # by their names in Kafka, of those that are read

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["DeadLetters"]:
        """While the block lasts."""
        consumer = AIOKafkaConsumer(
            **settings.kafka_connection(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            client_id="dunning-dlq",
            fetch_max_wait_ms=_POLL_MS,
        )
        admin = AIOKafkaAdminClient(**settings.kafka_connection(), client_id="dunning-dlq-admin")
        try:
            await consumer.start()
            await admin.start()
            yield cls(consumer, admin, settings.topic_prefix)
        finally:
            await admin.close()
            await consumer.stop()

    async def newest(self, wanted: Filter, limit: int, narrow: Narrow | None = None) -> list[DeadLetter]:
        """The newest that are wanted, without their bodies, newest first.

        Each partition is read from its end backwards, in windows that grow: a topic of a million letters is not read
        for the last ten.
        """
        backwards = await self._backwards(wanted)
        found: dict[TopicPartition, list[DeadLetter]] = {partition: [] for partition in backwards}
        while spans := {
            partition: span
            for partition, remaining in backwards.items()
            if len(found[partition]) < limit and (span := remaining.next_span()) is not None
        }:
            for partition, letters in (await self._windows(spans, wanted, None if narrow else limit)).items():
                narrowed = await narrow(letters) if narrow else letters
                found[partition] = [*narrowed, *found[partition]][-limit:]
        letters = [letter for several in found.values() for letter in several]
        return sorted(letters, key=lambda letter: (letter.set_aside_at, letter.place.offset), reverse=True)[:limit]

    async def one(self, place: Place) -> DeadLetter | None:
        """The dead letter at a place, with its body."""
        topic = next(iter(Filter(place.service, place.topic).topics()), None)
        if topic is None:
            return None
        partition = TopicPartition(kafka_name(topic.name, self._prefix), place.partition)
        if partition not in await self._partitions(topic):
            return None
        begin, end = await self._bounds(partition)
        if not begin <= place.offset < end:
            return None
        found: list[DeadLetter] = []
        span = (place.offset, place.offset + 1)
        await self._read({partition: span}, lambda _, record: found.append(letter_of(topic, record)))
        return next(iter(found), None)

    async def whole(self, places: Sequence[Place]) -> AsyncIterator[DeadLetter]:
        """These dead letters with their bodies, each partition's in order; what is gone by now is left out."""
        offsets: dict[tuple[str, str, int], list[int]] = defaultdict(list)
        for place in sorted(places, key=lambda place: place.offset):
            offsets[place.service, place.topic, place.partition].append(place.offset)
        for (service, name, number), wanted in offsets.items():
            topic = next(iter(Filter(service, name).topics()))
            partition = TopicPartition(kafka_name(topic.name, self._prefix), number)
            begin, _ = await self._bounds(partition)
            kept = [offset for offset in wanted if offset >= begin]
            for first in range(0, len(kept), _BODIES_MAX):
                for letter in await self._bodies(topic, partition, kept[first : first + _BODIES_MAX]):
                    yield letter

    async def _bodies(self, topic: Topic, partition: TopicPartition, offsets: Sequence[int]) -> list[DeadLetter]:
        found: list[DeadLetter] = []

        def keep(_: TopicPartition, record: ConsumerRecord) -> None:
            if record.offset in offsets:
                found.append(letter_of(topic, record))

        await self._read({partition: (offsets[0], offsets[-1] + 1)}, keep)
        return found

    async def _partitions(self, topic: Topic) -> list[TopicPartition]:
        """Those of one topic; none where it does not exist, which `dunning doctor` tells."""
        name = kafka_name(topic.name, self._prefix)
        (described,) = await self._admin.describe_topics([name])
        return [
            TopicPartition(name, number) for number in sorted(each["partition"] for each in described["partitions"])
        ]

    async def _backwards(self, wanted: Filter) -> dict[TopicPartition, "_Backwards"]:
        found = {}
        for topic in wanted.topics():
            for partition in await self._partitions(topic):
                begin, end = await self._bounds(partition)
                if wanted.since is not None:
                    begin = max(begin, await self._first_since(partition, wanted.since, end))
                self._topics[partition.topic] = topic
                found[partition] = _Backwards(begin, end)
        return found

    async def _windows(
        self, spans: Mapping[TopicPartition, Span], wanted: Filter, limit: int | None
    ) -> Mapping[TopicPartition, Sequence[DeadLetter]]:
        kept: dict[TopicPartition, deque[DeadLetter]] = {partition: deque(maxlen=limit) for partition in spans}

        def keep(partition: TopicPartition, record: ConsumerRecord) -> None:
            letter = letter_of(self._topics[partition.topic], record, with_body=False)
            if wanted.accepts(letter):
                kept[partition].append(letter)

        await self._read(spans, keep)
        return kept

    async def _read(self, spans: Mapping[TopicPartition, Span], take: Take) -> None:
        """Every committed record of these spans; what lies between them may be markers of transactions."""
        self._consumer.assign(list(spans))
        for partition, (low, _) in spans.items():
            self._consumer.seek(partition, low)
        unread, moved_at = dict(spans), time.monotonic()
        positions: dict[TopicPartition, int] = {}
        while unread:
            batches = await self._consumer.getmany(*unread, timeout_ms=_POLL_MS)
            for partition, records in batches.items():
                for record in records:
                    if record.offset < spans[partition][1]:
                        take(partition, record)
            before, positions = positions, {each: await self._consumer.position(each) for each in unread}
            unread = {each: spans[each] for each, position in positions.items() if position < spans[each][1]}
            if positions != before:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > _STILL_SECONDS_MAX:
                where = ", ".join(sorted(each.topic for each in unread))
                raise CommandError(STALLED, f"cannot read on in {where}: `dunning doctor` looks into it")

    async def _bounds(self, partition: TopicPartition) -> tuple[int, int]:
        begins = await self._consumer.beginning_offsets([partition])
        ends = await self._consumer.end_offsets([partition])
        return begins[partition], ends[partition]

    async def _first_since(self, partition: TopicPartition, since: datetime, end: int) -> int:
        at = max(0, int(since.timestamp() * 1000))  # the client refuses what lies before 1970
        found = (await self._consumer.offsets_for_times({partition: at}))[partition]
        return int(found.offset) if found is not None else end
