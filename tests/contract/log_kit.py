"""What the log's tests say often: a topic of two partitions, who writes to it, who reads it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRebalanceListener
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.clients import Clients

PATIENCE_SECONDS = 30.0
PARTITIONS = 2


@dataclass
class Writer:
    """A transactional producer."""

    log: "Log"
    client: Any

    async def begin(self) -> None:
        await self.client.begin_transaction()

    async def send(self, partition: int, *values: bytes) -> None:
        """Records of the transaction, known to the broker when this returns."""
        batch = self.client.create_batch()
        for value in values:
            batch.append(timestamp=None, key=b"key", value=value, headers=[("name", b"value")])
        await (await self.client.send_batch(batch, self.log.topic, partition=partition))

    async def note(self, offset: int, text: str) -> None:
        """What is committed together with the records."""
        notes = {self.log.at(0): OffsetAndMetadata(offset, text)}
        await self.client.send_offsets_to_transaction(notes, self.log.group("notes"))

    async def commit(self) -> None:
        await self.client.commit_transaction()

    async def write(self, partition: int, *values: bytes) -> None:
        """A transaction of its own."""
        await self.begin()
        await self.send(partition, *values)
        await self.commit()


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, client: Any) -> None:
        self._client = client
        self.given: frozenset[KafkaPartition] = frozenset()
        self.told = asyncio.Event()

    async def on_partitions_revoked(self, _: Collection[KafkaPartition]) -> None:
        """Nothing is in hand."""

    async def on_partitions_assigned(self, assigned: Collection[KafkaPartition]) -> None:
        if assigned:
            self._client.pause(*assigned)
        self.given = frozenset(assigned)
        self.told.set()


@dataclass
class Reader:
    """A member of a group, which begins where it is told."""

    client: Any
    assigned: _Assigned

    async def place(self, at: KafkaPartition, offset: int) -> None:
        self.client.seek(at, offset)
        self.client.resume(at)

    async def read(self, at: KafkaPartition, count: int) -> list[bytes]:
        """So many records, in order."""
        found: list[bytes] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(found) < count:
                found += await self.look(at)
        return found

    async def look(self, at: KafkaPartition) -> list[bytes]:
        """What there is within a moment."""
        got = await self.client.getmany(at, timeout_ms=300, max_records=100)
        return [record.value for record in got.get(at, [])]


@dataclass
class Log:
    """One topic of a broker, real or in memory."""

    clients: Clients
    connection: dict[str, Any]
    prefix: str
    members: list[Any] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return f"{self.prefix}topic"

    def at(self, partition: int) -> KafkaPartition:
        return KafkaPartition(self.topic, partition)

    def group(self, name: str) -> str:
        return f"{self.prefix}{name}"

    @asynccontextmanager
    async def writer(self, name: str = "shard") -> AsyncIterator[Writer]:
        """As the relay's publisher makes one."""
        client = self.clients.producer(
            **self.connection,
            client_id=name,
            transactional_id=f"{self.prefix}{name}",
            transaction_timeout_ms=15_000,
            max_batch_size=256 * 1024,
            compression_type=None,
            retry_backoff_ms=50,
        )
        try:
            await client.start()
            yield Writer(self, client)
        finally:
            with suppress(*KAFKA_TROUBLES):
                await client.stop()
            await client.client.close()

    @asynccontextmanager
    async def reader(
        self, group: str = "readers", name: str = "one", *, committed: bool = True
    ) -> AsyncIterator[Reader]:
        """As the intake makes one; it has its partitions when this begins."""
        client = self.clients.consumer(
            **self.connection,
            client_id=name,
            group_id=self.group(group),
            group_instance_id=name,
            isolation_level="read_committed" if committed else "read_uncommitted",
            auto_offset_reset="none",
            enable_auto_commit=False,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=500,
            rebalance_timeout_ms=10_000,
            fetch_max_wait_ms=50,
        )
        assigned = _Assigned(client)
        try:
            client.subscribe([self.topic], listener=assigned)
            await client.start()
            await asyncio.wait_for(assigned.told.wait(), PATIENCE_SECONDS)
            yield Reader(client, assigned)
        finally:
            await client.stop()

    async def ends(self) -> Sequence[int]:
        """The high watermarks."""
        client = self.clients.consumer(
            **self.connection, isolation_level="read_uncommitted", enable_auto_commit=False, client_id="ends"
        )
        await client.start()
        try:
            found = await client.end_offsets([self.at(number) for number in range(PARTITIONS)])
            return [found[self.at(number)] for number in range(PARTITIONS)]
        finally:
            await client.stop()

    async def noted(self) -> tuple[int, str] | None:
        """What was committed last together with records; None where nothing was."""
        admin = self.clients.admin(**self.connection, client_id="notes")
        try:
            await admin.start()
            told = await admin.list_consumer_group_offsets(self.group("notes"), partitions=[self.at(0)])
        finally:
            await admin.close()
        note = told.get(self.at(0))
        return (note.offset, note.metadata) if note is not None and note.offset >= 0 else None
