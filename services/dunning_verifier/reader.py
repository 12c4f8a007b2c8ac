"""Reads a real run: every topic of a prefix from its beginning to its end, a folder of mails, the processor's ledger.

The only module that knows Kafka. Outputs are read before inputs, so that everything has its cause among what was read.
"""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from dunning_verifier.clock import instant
from dunning_verifier.values import INPUT_TOPICS, OUTPUT_TOPICS, Charge, Mail, Record, Where

_STILL_SECONDS_MAX = 15.0
_POLL_MS = 500
_KEPT_AT = re.compile(r"(\d{8}T\d{6})\.(\d{6})")


class CannotRead(Exception):
    """A source that could not be read to its end: nothing can be said then."""


async def read_topics(bootstrap_servers: str, prefix: str = "") -> list[Record]:
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
        raise CannotRead(f"cannot reach Kafka at {bootstrap_servers}: {error}") from None
    try:
        partitions = await _partitions(bootstrap_servers)
        records: list[Record] = []
        for group in _in_reading_order(partitions, prefix):
            records.extend(await _read_to_the_end(consumer, group, prefix))
        return records
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


async def _read_to_the_end(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], prefix: str) -> list[Record]:
    if not partitions:
        return []
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    records: list[Record] = []
    moved_at, positions = time.monotonic(), [-1]
    while True:
        batches = await consumer.getmany(*partitions, timeout_ms=_POLL_MS)
        for partition, messages in batches.items():
            wanted = (message for message in messages if message.offset < ends[partition])
            records.extend(_record(message, prefix) for message in wanted)
        now_at = [await consumer.position(partition) for partition in partitions]
        behind = [str(partition) for partition, at in zip(partitions, now_at, strict=True) if at < ends[partition]]
        if not behind:
            return records
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


async def read_all(
    bootstrap_servers: str, prefix: str, mail_dir: Path | None
) -> tuple[list[Record], list[Mail] | None]:
    """Topics, then mails: a result is published after its mail arrived, so every result read has its mail."""
    records = await read_topics(bootstrap_servers, prefix)
    return records, await asyncio.to_thread(read_mails, mail_dir) if mail_dir else None


def read_mails(folder: Path) -> list[Mail]:
    """Every `.eml` file of a folder. Raises CannotRead."""
    if not folder.is_dir():
        raise CannotRead(f"{folder} is no folder of mails")
    return [_mail(path) for path in sorted(folder.glob("*.eml"))]


def _mail(path: Path) -> Mail:
    with path.open("rb") as file:
        headers = BytesHeaderParser().parse(file)
    notice_id = headers.get("X-Dunning-Notice-Id")
    if not notice_id and headers.get("Message-ID"):
        notice_id = str(headers["Message-ID"]).strip().strip("<>").partition("@")[0]
    return Mail(path.name, str(notice_id).strip() if notice_id else None, _arrived_at(path, headers.get("Date")))


def _arrived_at(path: Path, date: Any) -> datetime | None:
    """When the other side had it: the sink's file name says so, else the mail's own date."""
    found = _KEPT_AT.search(path.name)
    if found:
        return datetime.strptime(".".join(found.groups()), "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    try:
        written_at = parsedate_to_datetime(str(date)) if date else None
    except ValueError:
        return None
    return written_at.astimezone(UTC) if written_at and written_at.tzinfo else None


def read_charges(path: Path) -> list[Charge]:
    """The processor's ledger, NDJSON. Raises CannotRead."""
    charges = []
    for number, line in _ndjson(path):
        try:
            charges.append(
                Charge(
                    line=number,
                    retry_id=str(line["retry_id"]),
                    invoice_id=str(line["invoice_id"]),
                    at=instant(line["at"]),
                    outcome=str(line["outcome"]),
                    amount_minor=int(line["amount_minor"]),
                    currency=str(line["currency"]),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a charge: {error!r}") from None
    return charges


def read_poison(path: Path, prefix: str = "") -> dict[Where, str]:
    """The places of records that were made unreadable on purpose: NDJSON of topic (with its prefix or without),
    partition, offset and reason. Raises CannotRead."""
    found = {}
    for number, line in _ndjson(path):
        try:
            where = Where(str(line["topic"]).removeprefix(prefix), int(line["partition"]), int(line["offset"]))
            found[where] = str(line.get("reason") or line.get("why") or "made unreadable")
        except (KeyError, TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a place of a record: {error!r}") from None
    return found


def _ndjson(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(f"{path}: {error}") from None
    whole, newline, unfinished = text.rpartition("\n")  # whoever writes it may have been killed in its last line
    for number, line in enumerate((whole + newline if newline else unfinished).splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield number, dict(json.loads(line))
        except (TypeError, ValueError) as error:
            raise CannotRead(f"{path}:{number}: not a JSON object: {error}") from None
