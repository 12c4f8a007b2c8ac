"""Outbox rows into Kafka: one transaction per batch, by a producer that fences off all older ones of its shard.

aiokafka commits a transaction in which a record failed, so every delivery is looked at before the commit; and it goes
on counting sequence numbers after a failed batch, so a producer that failed once is never used again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)
from aiokafka.partitioner import murmur2
from aiokafka.structs import OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.crash_points import crash_point
from dunning.runtime.dead_letters import wire_key, wire_value
from dunning.runtime.logs import log_for
from dunning.runtime.progress import Note, note_of, read_note
from dunning.runtime.settings import Settings
from dunning.runtime.store import PendingRow


class Unsendable(Exception):
    """A row that cannot be made a Kafka record."""


REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError, Unsendable)
"""What is raised for a row that Kafka will never take as it is."""
FENCED = (ProducerFenced, InvalidProducerEpoch)

_BATCH_BYTES = 256 * 1024  # well below what a topic takes at once; a single larger record goes alone
_STOP_SECONDS_MAX = 2.0
_log = log_for("publisher")


class Publisher:
    """A transactional producer of one shard. Entering it fences off whoever had the shard before."""

    def __init__(
        self,
        settings: Settings,
        service: str,
        shard: int,
        marker_topic: str,
        *,
        compressed: bool = False,
        clients: Clients = AIOKAFKA,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._compression = "gzip" if compressed else None
        self._id = f"{settings.topic_prefix}dunning-{service}-outbox-{shard}"
        self._marker = KafkaPartition(marker_topic, 0)
        self._timeout_seconds = settings.kafka_transaction_timeout_seconds
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        self._producer = self._clients.producer(
            **self._settings.kafka_connection(),
            client_id=self._id,
            transactional_id=self._id,
            transaction_timeout_ms=int(self._timeout_seconds * 1000),
            max_batch_size=_BATCH_BYTES,
            compression_type=self._compression,
            retry_backoff_ms=50,
        )
        try:
            await asyncio.wait_for(self._producer.start(), self._timeout_seconds)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def last_committed(self) -> Note:
        """What the shard's last transaction held; asked after entering, nobody can add to it any more."""
        admin = self._clients.admin(**self._settings.kafka_connection(), client_id=self._id)
        try:
            await admin.start()
            told = await admin.list_consumer_group_offsets(self._id, partitions=[self._marker])
        finally:
            await admin.close()
        offset = told.get(self._marker)
        if offset is None or offset.offset < 0:
            return Note()
        try:
            return read_note(offset.metadata)
        except ValueError as error:
            _log.error("cannot tell what was published last", group=self._id, error=str(error))
            return Note()

    async def publish(self, rows: Sequence[PendingRow]) -> None:
        """All rows or none, in order per key. After any exception this publisher is of no use any more."""
        await asyncio.wait_for(self._publish(rows), self._timeout_seconds)

    async def _publish(self, rows: Sequence[PendingRow]) -> None:
        producer = self._producer
        assert producer is not None
        batches = await self._batches(producer, rows)
        await producer.begin_transaction()
        note = OffsetAndMetadata(rows[-1].id, note_on(rows))
        sending = [self._send(producer, where, several) for where, several in batches.items()]
        noting = producer.send_offsets_to_transaction({self._marker: note}, self._id)  # beside them: all or nothing
        results = await asyncio.gather(*sending, noting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        crash_point("relay.sent")
        await producer.commit_transaction()

    async def _batches(
        self, producer: AIOKafkaProducer, rows: Sequence[PendingRow]
    ) -> dict[tuple[str, int], list[Any]]:
        """The rows packed for their partitions. A batch that is full takes no more; the next one begins."""
        batches: dict[tuple[str, int], list[Any]] = defaultdict(list)
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {row.row.topic for row in rows}}
        for row in rows:
            record: dict[str, Any] = {"timestamp": None, "key": wire_key(row.row), "value": wire_value(row.row)}
            record["headers"] = list(row.row.headers)
            packed = batches[row.row.topic, _partition(record["key"], counts[row.row.topic])]
            try:
                if not packed or packed[-1].append(**record) is None:
                    packed.append(producer.create_batch())
                    packed[-1].append(**record)
            except (TypeError, ValueError, OverflowError) as error:
                raise Unsendable(f"outbox row {row.id}: {type(error).__name__}") from error
        return batches

    @staticmethod
    async def _send(producer: AIOKafkaProducer, where: tuple[str, int], several: Sequence[Any]) -> None:
        topic, partition = where
        sent = [await producer.send_batch(batch, topic, partition=partition) for batch in several]
        await asyncio.gather(*sent)

    async def _stop(self) -> None:
        """A producer whose broker is away would wait for it; what it has not committed the broker takes back."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(*KAFKA_TROUBLES):
            await asyncio.wait_for(producer.stop(), _STOP_SECONDS_MAX)
        with suppress(*KAFKA_TROUBLES):
            await asyncio.wait_for(producer.client.close(), _STOP_SECONDS_MAX)


def note_on(rows: Sequence[PendingRow]) -> str:
    """What is committed together with these rows."""
    return note_of([row.id for row in rows], max(row.recorded_at for row in rows))


@lru_cache(maxsize=8192)
def _hash(key: bytes) -> int:
    """Java's murmur2, so that all clients agree on an account's partition; slow in Python, and accounts come again."""
    hashed: int = murmur2(key) & 0x7FFFFFFF
    return hashed


def _partition(key: bytes | None, partitions: int) -> int:
    return _hash(key) % partitions if key is not None else 0
