"""Clients of the log in memory, with the names, arguments and errors of aiokafka as far as the kernel uses them.

Every call that would go over the network goes over a `Link`, where a simulation delays it, breaks it, or loses the
answer.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import IllegalStateError, InvalidProducerEpoch, KafkaConnectionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.clients import Clients
from dunning.runtime.store import TopicPartition
from dunning.testing.memory_groups import Group, Member
from dunning.testing.memory_log import Entry, Headers, LogTransaction, MemoryLog, Note, OldProducer

T = TypeVar("T")
_BATCH_RECORDS_MAX = 500
_LATE_LOOK_SECONDS = 0.2  # how often somebody looks whether what is late has arrived
_NOBODY = contextvars.Context()  # what the broker does belongs to no client


class Link(Protocol):
    """The way of one process to the broker."""

    async def call(self, what: str, do: Callable[[], T]) -> T:
        """Do it, sooner or later; or raise, with it done or not."""

    def is_slow(self, at: TopicPartition) -> bool:
        """Whether the newest records of a partition have not arrived yet."""


class DirectLink:
    """Nothing ever goes wrong."""

    async def call(self, what: str, do: Callable[[], T]) -> T:  # noqa: ARG002
        await asyncio.sleep(0)
        return do()

    def is_slow(self, at: TopicPartition) -> bool:  # noqa: ARG002
        return False


@dataclass
class MemoryBroker:
    """A log with its groups."""

    log: MemoryLog
    groups: dict[str, Group] = field(default_factory=dict)

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(self.log.partitions))

    def clients(self, link: Link) -> Clients:
        """What a process is given in place of aiokafka's."""
        return Clients(
            partial(MemoryConsumer, self, link), partial(MemoryProducer, self, link), partial(MemoryAdmin, self, link)
        )


class MemoryConsumer:
    """Reads; a member of a group where it subscribes."""

    def __init__(self, broker: MemoryBroker, link: Link, **settings: Any) -> None:
        self._broker = broker
        self._log = broker.log
        self._link = link
        self._committed = settings.get("isolation_level") == "read_committed"
        self._settings = settings
        self._positions: dict[TopicPartition, int | None] = {}
        self._paused: set[TopicPartition] = set()
        self._listener: Any = None
        self._topics: frozenset[str] = frozenset()
        self._coordinating: asyncio.Task[None] | None = None
        self._member: Member | None = None
        self._waiting: set[asyncio.Future[None]] = set()  # in `getmany`, for news or for other partitions

    async def start(self) -> None:
        await self._link.call("connect", lambda: None)
        if self._topics:
            self._coordinating = asyncio.create_task(self._coordinate())

    async def stop(self) -> None:
        if self._coordinating is not None:
            self._coordinating.cancel()
            with suppress(asyncio.CancelledError):
                await self._coordinating

    def subscribe(self, topics: Collection[str], listener: Any) -> None:
        self._topics = frozenset(topics)
        self._listener = listener
        if self._member is not None:  # said again: ask again
            self._member.generation = -1

    def pause(self, *partitions: KafkaPartition) -> None:
        for at in self._assigned(partitions):
            self._paused.add(at)

    def resume(self, *partitions: KafkaPartition) -> None:
        for at in self._assigned(partitions):
            self._paused.discard(at)

    def seek(self, partition: KafkaPartition, offset: int) -> None:
        (at,) = self._assigned([partition])
        self._positions[at] = offset
        self._look_again()

    async def position(self, partition: KafkaPartition) -> int:
        (at,) = self._assigned([partition])
        found = self._positions[at]
        if found is None:
            raise IllegalStateError(f"{at} has no position")
        return found

    async def getmany(
        self, *partitions: KafkaPartition, timeout_ms: int = 0, max_records: int
    ) -> dict[KafkaPartition, list[ConsumerRecord]]:
        """What there is, or what comes within the time; nothing when the client got or lost partitions meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        wanted = self._assigned(partitions)
        while wanted:
            found: dict[KafkaPartition, list[ConsumerRecord]] = {}
            late = True
            with suppress(KafkaConnectionError):  # fetching goes on in the background
                await self._link.call("fetch", lambda: None)
                found, late = self._fetched(wanted, max_records)
            left = until - loop.time()
            if found or left <= 0 or not await self._news(wanted, min(left, _LATE_LOOK_SECONDS) if late else left):
                return found
        return {}

    async def commit(self, offsets: Mapping[KafkaPartition, int]) -> None:
        await self._link.call("commit offsets", lambda: self._keep(offsets))

    async def end_offsets(self, partitions: Collection[KafkaPartition]) -> dict[KafkaPartition, int]:
        """High watermarks, whatever the isolation level; aiokafka's answer is cached nowhere."""
        return await self._link.call("ask ends", lambda: {at: self._log.end(TopicPartition(*at)) for at in partitions})

    async def beginning_offsets(self, partitions: Collection[KafkaPartition]) -> dict[KafkaPartition, int]:
        return await self._link.call(
            "ask beginnings", lambda: {at: self._log.begin(TopicPartition(*at)) for at in partitions}
        )

    # -- inside

    def _assigned(self, partitions: Collection[KafkaPartition]) -> list[TopicPartition]:
        wanted = [TopicPartition(*each) for each in partitions]
        for at in wanted:
            if at not in self._positions:
                raise IllegalStateError(f"{at} is not assigned")
        return wanted

    def _fetched(
        self, wanted: Sequence[TopicPartition], max_records: int
    ) -> tuple[dict[KafkaPartition, list[ConsumerRecord]], bool]:
        """What there is, and whether something is late."""
        found: dict[KafkaPartition, list[ConsumerRecord]] = {}
        late = False
        for at in wanted:
            if at not in self._positions:
                raise IllegalStateError(f"{at} was taken away")
            position, end = self._positions[at], self._log.end(at)
            if position is None or at in self._paused or position == end:
                continue
            if not self._log.begin(at) <= position <= end:
                raise OffsetOutOfRangeError({KafkaPartition(*at): position})
            if self._link.is_slow(at):
                late = True
                continue
            entries, self._positions[at] = self._log.read(at, position, max_records, committed=self._committed)
            max_records -= len(entries)
            if entries:
                found[KafkaPartition(*at)] = [_record(at, entry) for entry in entries]
            if max_records <= 0:
                break
        return found, late

    async def _news(self, wanted: Sequence[TopicPartition], seconds: float) -> bool:
        """Wait for something new to read; False when other partitions are to be read."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        moved: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        moved.add_done_callback(lambda _: wake())
        self._waiting.add(moved)
        self._log.listen(wanted, wake)
        timer = loop.call_later(seconds, wake)
        try:
            await woken
        finally:
            timer.cancel()
            self._log.listen_no_more(wanted, wake)
            self._waiting.discard(moved)
        return not moved.done()

    def _look_again(self) -> None:
        for moved in self._waiting:
            if not moved.done():
                moved.set_result(None)

    def _keep(self, offsets: Mapping[KafkaPartition, int]) -> None:
        for at, offset in offsets.items():
            self._log.keep_note(self._settings["group_id"], TopicPartition(*at), Note(offset, ""))

    async def _coordinate(self) -> None:
        """A member's life: ask, read what was given, ask again when told to."""
        group = self._broker.group(self._settings["group_id"])
        while True:
            given = await self._join(group)
            await self._listener.on_partitions_assigned([KafkaPartition(*at) for at in given])
            await self._stay(group)
            await self._listener.on_partitions_revoked([KafkaPartition(*at) for at in self._positions])
            self._positions = {}
            self._look_again()

    async def _join(self, group: Group) -> Sequence[TopicPartition]:
        member = self._member = Member(self._settings["group_instance_id"], self._session_seconds, self._topics)
        answer = await self._until_reached(lambda: group.join(member))
        given = await answer
        self._positions = dict.fromkeys(given)
        self._paused.clear()
        self._look_again()
        return given

    async def _stay(self, group: Group) -> None:
        """As long as the group holds."""
        member = self._member
        assert member is not None
        while await self._until_reached(lambda: self._beat(group, member)):  # noqa: ASYNC110 - a heartbeat
            await asyncio.sleep(self._session_seconds / 4)

    @property
    def _session_seconds(self) -> float:
        session_ms: int = self._settings["session_timeout_ms"]
        return session_ms / 1000

    @staticmethod
    def _beat(group: Group, member: Member) -> bool:
        group.give_up_the_silent()
        return group.beat(member)

    async def _until_reached(self, do: Callable[[], T]) -> T:
        while True:
            try:
                return await self._link.call("group", do)
            except KafkaConnectionError:
                await asyncio.sleep(0.5)


class _Batch:
    """Records for one partition, sent as a whole."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes | None, Headers]] = []

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Headers) -> object:  # noqa: ARG002
        """None where it is full."""
        if len(self.records) >= _BATCH_RECORDS_MAX:
            return None
        self.records.append((key, value, headers))
        return self.records


class _Connection:
    async def close(self) -> None:
        """Nothing is open."""


class MemoryProducer:
    """A transactional producer."""

    def __init__(self, broker: MemoryBroker, link: Link, *, transactional_id: str, **settings: Any) -> None:
        self._log = broker.log
        self._link = link
        self._id = transactional_id
        self._timeout_seconds = settings["transaction_timeout_ms"] / 1000
        self._epoch = 0
        self.client = _Connection()

    async def start(self) -> None:
        self._epoch = await self._link.call("new producer", lambda: self._log.new_producer(self._id))

    async def stop(self) -> None:
        """What is open stays so until it is fenced off or takes too long."""

    async def partitions_for(self, topic: str) -> set[int]:
        return set(range(self._log.partition_counts[topic]))

    def create_batch(self) -> _Batch:
        return _Batch()

    async def begin_transaction(self) -> None:
        """The broker learns of it with the first record; here at once."""
        transaction = self._unless_old(lambda: self._log.begin_transaction(self._id, self._epoch))
        self._end_in_time(transaction)

    async def send_batch(self, batch: _Batch, topic: str, *, partition: int) -> Awaitable[None]:
        at = TopicPartition(topic, partition)
        await self._link.call("send", lambda: self._unless_old(lambda: self._send(at, batch)))
        sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    async def send_offsets_to_transaction(
        self, offsets: Mapping[KafkaPartition, OffsetAndMetadata], group: str
    ) -> None:
        def send() -> None:
            for at, note in offsets.items():
                self._log.send_note(self._id, self._epoch, group, TopicPartition(*at), Note(note.offset, note.metadata))

        await self._link.call("send offsets", lambda: self._unless_old(send))

    async def commit_transaction(self) -> None:
        await self._link.call("commit", lambda: self._unless_old(lambda: self._log.commit(self._id, self._epoch)))

    def _send(self, at: TopicPartition, batch: _Batch) -> None:
        for key, value, headers in batch.records:
            self._log.send(self._id, self._epoch, at, key, value, headers)

    def _end_in_time(self, transaction: LogTransaction) -> None:
        asyncio.get_running_loop().call_later(
            self._timeout_seconds, self._log.time_out, self._id, transaction, context=_NOBODY
        )

    @staticmethod
    def _unless_old(do: Callable[[], T]) -> T:
        try:
            return do()
        except OldProducer as error:
            raise InvalidProducerEpoch(str(error)) from None


class MemoryAdmin:
    """Answers questions."""

    def __init__(self, broker: MemoryBroker, link: Link, **_: Any) -> None:
        self._log = broker.log
        self._link = link

    async def start(self) -> None:
        await self._link.call("connect", lambda: None)

    async def close(self) -> None:
        """Nothing is open."""

    async def describe_topics(self, topics: Collection[str]) -> list[dict[str, Any]]:
        def describe() -> list[dict[str, Any]]:
            counts = self._log.partition_counts
            return [
                {"topic": topic, "partitions": [{"partition": number} for number in range(counts.get(topic, 0))]}
                for topic in topics
            ]

        return await self._link.call("ask topics", describe)

    async def list_consumer_group_offsets(
        self, group: str, partitions: Collection[KafkaPartition]
    ) -> dict[KafkaPartition, OffsetAndMetadata]:
        def notes() -> dict[KafkaPartition, OffsetAndMetadata]:
            found = {at: self._log.note(group, TopicPartition(*at)) for at in partitions}
            return {at: OffsetAndMetadata(*(note or Note(-1, ""))) for at, note in found.items()}

        return await self._link.call("ask offsets", notes)


def _record(at: TopicPartition, entry: Entry) -> ConsumerRecord:
    size = len(entry.value) if entry.value is not None else -1
    return ConsumerRecord(
        at.topic,
        at.partition,
        entry.offset,
        entry.timestamp_ms,
        0,
        entry.key,
        entry.value,
        None,
        -1,
        size,
        entry.headers,
    )
