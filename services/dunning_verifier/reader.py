"""Reads a real run: every topic of a prefix from its beginning to its end, then its mails.

The only module that knows Kafka. Outputs are read before inputs, so that everything has its cause among what was read.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from dunning_verifier.databases import Tables, read_tables
from dunning_verifier.evidence import CannotRead, read_mails
from dunning_verifier.values import INPUT_TOPICS, OUTPUT_TOPICS, Mail, Record, Where

_STILL_SECONDS_MAX = 15.0
_POLL_MS = 500


@dataclass(slots=True)
class Log:
    """Records, and by topic and partition the offset that the next one would have had."""

    records: list[Record] = field(default_factory=list)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """All that was read of a run; None where it was not asked for."""

    log: Log
    mails: list[Mail] | None
    tables: Tables | None


async def read_topics(bootstrap_servers: str, prefix: str = "") -> Log:
    """All committed records of the platform's topics and their dead letters. Raises CannotRead."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await consumer.start()
    except KafkaError as error:
        await consumer.stop()  # half started, it would complain of itself at the end
        raise CannotRead(f"cannot reach Kafka at {bootstrap_servers}: {error}") from None
    try:
        partitions = await _partitions(bootstrap_servers)
        log = Log()
        for group in _in_reading_order(partitions, prefix):
            await _read_to_the_end(consumer, group, prefix, log)
        return log
    except KafkaError as error:
        raise CannotRead(f"reading from Kafka at {bootstrap_servers} failed: {error}") from None
    finally:
        await consumer.stop()


async def _partitions(bootstrap_servers: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        topics = await admin.describe_topics()
    finally:
        await admin.close()
    return [TopicPartition(topic["topic"], part["partition"]) for topic in topics for part in topic["partitions"]]


def _in_reading_order(partitions: list[TopicPartition], prefix: str) -> Iterator[list[TopicPartition]]:
    """Outputs, dead letters, inputs: each kind after what it may have caused."""
    ours = (*INPUT_TOPICS, *OUTPUT_TOPICS)
    named = [(part.topic.removeprefix(prefix), part) for part in partitions if part.topic.startswith(prefix)]
    yield [part for topic, part in named if topic in OUTPUT_TOPICS]
    yield [part for topic, part in named if topic.endswith(".dlq") and topic.startswith(ours)]
    yield [part for topic, part in named if topic in INPUT_TOPICS]


async def _read_to_the_end(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], prefix: str, log: Log) -> None:
    if not partitions:
        return
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    log.ends.update({(part.topic.removeprefix(prefix), part.partition): end for part, end in ends.items()})
    moved_at, positions = time.monotonic(), [-1]
    while True:
        batches = await consumer.getmany(*partitions, timeout_ms=_POLL_MS)
        for partition, messages in batches.items():
            wanted = (message for message in messages if message.offset < ends[partition])
            log.records.extend(_record(message, prefix) for message in wanted)
        now_at = [await consumer.position(partition) for partition in partitions]
        behind = [str(partition) for partition, at in zip(partitions, now_at, strict=True) if at < ends[partition]]
        if not behind:
            return
        if now_at != positions:
            moved_at, positions = time.monotonic(), now_at
        elif time.monotonic() - moved_at > _STILL_SECONDS_MAX:
            raise CannotRead(f"no progress for {_STILL_SECONDS_MAX:.0f} s before the end of {', '.join(behind)}")


def _record(message: Any, prefix: str) -> Record:
    key = message.key.decode("utf-8", "replace") if message.key is not None else None
    return Record(
        where=Where(message.topic.removeprefix(prefix), message.partition, message.offset),
        logged_at=datetime.fromtimestamp(message.timestamp / 1000, UTC),
        key=key,
        value=message.value,
        headers=tuple((name, value or b"") for name, value in message.headers),
    )


async def read_all(bootstrap_servers: str, prefix: str, mail_dir: Path | None, database_url: str | None = None) -> Run:
    """Tables, topics, then mails: what is decided is published later, and a result is published after its mail arrived,
    so whatever was read has all that must have come before it."""
    tables = await read_tables(database_url, prefix) if database_url else None
    log = await read_topics(bootstrap_servers, prefix)
    return Run(log, await asyncio.to_thread(read_mails, mail_dir) if mail_dir else None, tables)
