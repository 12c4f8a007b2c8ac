"""Reads all topics as anybody could, committed records only, and hands them to the tally and to the stories."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Readable
from dunning.contracts.topics import (
    DEAD_LETTER_TOPICS,
    PAYMENT_FAILED,
    PAYMENT_SUCCEEDED,
    SIGNALS,
    kafka_name,
    registry_name,
)
from dunning_cli.demo.tally import TOPICS_READ, Tally
from dunning_cli.story import Told

_STRUCTURED = b"application/cloudevents+json"
_INPUTS = frozenset({PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS})


class Reader:
    """Everything that was said so far. `quiet_seconds` is how long nothing more has been."""

    def __init__(self, prefix: str = "") -> None:
        self.tally = Tally()
        self._prefix = prefix
        self._by_account: dict[str, list[ConsumerRecord]] = defaultdict(list)
        self._last_at = time.monotonic()

    @property
    def quiet_seconds(self) -> float:
        """How long ago the last record was read."""
        return time.monotonic() - self._last_at

    @property
    def accounts(self) -> Iterable[str]:
        """All accounts that anything was said about, in the order of their names."""
        return sorted(self._by_account)

    async def run(self, bootstrap_servers: str, stopping: asyncio.Event) -> None:
        """Read from the beginning until asked to stop."""
        topics = [*TOPICS_READ, *(topic.name for topic in DEAD_LETTER_TOPICS)]
        consumer = AIOKafkaConsumer(
            *(kafka_name(topic, self._prefix) for topic in topics),
            bootstrap_servers=bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        async with consumer:
            while not stopping.is_set():
                batches = await consumer.getmany(timeout_ms=200, max_records=2000)
                for record in (record for records in batches.values() for record in records):
                    self._take(record)
                if batches:
                    self._last_at = time.monotonic()

    def story_of(self, account_id: str) -> list[Told]:
        """All that was said of an account."""
        told = []
        for record in self._by_account[account_id]:
            topic = registry_name(record.topic, self._prefix)
            data = _data_of(record, topic)
            if data is not None:
                told.append(_told(record, topic, data))
        return told

    def _take(self, record: ConsumerRecord) -> None:
        topic = registry_name(record.topic, self._prefix)
        if topic not in TOPICS_READ:
            self.tally.set_aside += 1
            return
        data = _data_of(record, topic)
        if data is not None:
            self.tally.read(topic, data)
            self._by_account[data["account_id"]].append(record)


def _data_of(record: ConsumerRecord, topic: str) -> dict[str, Any] | None:
    """What a record says; None for one that cannot be read, which is the services' to set aside."""
    if topic in _INPUTS:
        logged_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        if not isinstance(decode(topic, record.key, record.value, record.headers, now=logged_at), Readable):
            return None
    body: dict[str, Any] = json.loads(record.value)
    is_structured = dict(record.headers).get("content-type") == _STRUCTURED
    return body["data"] if is_structured else body


def _told(record: ConsumerRecord, topic: str, data: dict[str, Any]) -> Told:
    headers = dict(record.headers)
    subject, sequence = headers.get("ce_subject"), headers.get("ce_sequence")
    return Told(topic, data, subject.decode() if subject else None, int(sequence) if sequence else 0)
