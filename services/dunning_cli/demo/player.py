"""Plays a schedule against the real clock, and writes down where the unreadable messages went."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer

from dunning.contracts.topics import kafka_name
from dunning_cli.demo.books import Books
from dunning_cli.demo.traffic import Sending


class Player:
    """Sends what is due; `sent` and `dropped` say how far it is."""

    def __init__(self, producer: AIOKafkaProducer, books: Books, poison_ledger: Path, prefix: str = "") -> None:
        self._producer = producer
        self._books = books
        self._poison_ledger = poison_ledger
        self._prefix = prefix
        self._unacknowledged: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.dropped = 0

    async def play(self, sendings: Iterable[Sending], starts_at: datetime) -> None:
        """Send everything at its time; returns when all of it was acknowledged."""
        for sending in sendings:
            due_at = starts_at + timedelta(seconds=sending.offset_seconds)
            wait_seconds = (due_at - datetime.now(UTC)).total_seconds()
            if wait_seconds > 0:
                await asyncio.sleep(wait_seconds)
            if sending.needs is not None and not self._books.meets(sending.needs):
                self.dropped += 1
                continue
            if sending.data is not None:
                self._books.read(sending.topic, sending.data)
            await self._send(sending)
        if self._unacknowledged:
            await asyncio.gather(*self._unacknowledged)

    async def _send(self, sending: Sending) -> None:
        topic = kafka_name(sending.topic, self._prefix)
        acknowledged = await self._producer.send(topic, sending.value, sending.key, headers=list(sending.headers))
        self.sent += 1
        task = asyncio.ensure_future(self._acknowledge(sending, acknowledged))
        self._unacknowledged.add(task)
        task.add_done_callback(self._unacknowledged.discard)

    async def _acknowledge(self, sending: Sending, acknowledged: "asyncio.Future[object]") -> None:
        where = await acknowledged
        if sending.poison is not None:
            line = {
                "topic": sending.topic,
                "partition": getattr(where, "partition", None),
                "offset": getattr(where, "offset", None),
                "why": sending.poison,
            }
            with self._poison_ledger.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
