"""A steady stream of first failures, and a subscriber that sees what the services publish."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from dunning.contracts.encode import Message
from dunning.contracts.encode_inputs import payment_failed_message
from dunning.contracts.topics import PARTITIONS, STAGE_CHANGED
from tests.bench.load import INVOICES_OF_ACCOUNT, first_failure
from tests.bench.measure import Wrong
from tests.bench.place import Place

PATIENCE_SECONDS = 120
_LOOK_SECONDS = 0.01
_CLOSE_SECONDS = 1.0  # whoever is no further behind has caught up


@dataclass(slots=True)
class Load:
    """What was sent so far: by invoice, when it was to be sent by the monotonic clock.

    Not when it was sent: where the sender falls behind, whoever fails waits for that too.
    """

    sent: dict[str, float] = field(default_factory=dict)
    stopping: bool = False


def failures_without_end() -> Iterator[tuple[str, Message]]:
    """Invoice ids and the messages of their first failures, without prefix."""
    for number in count():
        invoice_id = f"in_{number}"
        event = first_failure(f"acc_{number // INVOICES_OF_ACCOUNT}", invoice_id, datetime.now(UTC))
        yield invoice_id, payment_failed_message(event)


@asynccontextmanager
async def steady_load(place: Place, per_second: float) -> AsyncIterator[Load]:
    """First failures at even distances until the block ends or the load is told to stop."""
    load = Load()
    async with AIOKafkaProducer(bootstrap_servers=place.bootstrap) as producer:
        sending = asyncio.create_task(_send(place, producer, load, per_second))
        try:
            yield load
        finally:
            load.stopping = True
            await sending


async def _send(place: Place, producer: AIOKafkaProducer, load: Load, per_second: float) -> None:
    began = time.monotonic()
    last = None
    for number, (invoice_id, message) in enumerate(failures_without_end()):
        at = began + number / per_second
        if (ahead := at - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        if load.stopping:
            break
        load.sent[invoice_id] = at
        last = await producer.send(
            place.topic(message.topic), message.value, key=message.key, headers=list(message.headers)
        )
    if last is not None:
        await last


@dataclass(slots=True)
class Seen:
    """Transitions that a subscriber read: when, by their source (`/dunning/<service>`) and invoice; and when the first
    one came that lies at some ends of the topic or behind them."""

    at: dict[tuple[str, str], float] = field(default_factory=dict)
    repeated: int = 0
    first_beyond: float | None = None
    _ends: Mapping[TopicPartition, int] = field(default_factory=dict)

    def watch(self, ends: Mapping[TopicPartition, int]) -> None:
        """Wait for the first one that lies at these ends or behind them."""
        self._ends, self.first_beyond = ends, None

    def note(self, record_headers: Mapping[str, bytes], partition: TopicPartition, offset: int, now: float) -> None:
        name = record_headers["ce_source"].decode(), record_headers["ce_subject"].decode()
        self.repeated += name in self.at
        self.at.setdefault(name, now)
        if self.first_beyond is None and partition in self._ends and offset >= self._ends[partition]:
            self.first_beyond = now


@asynccontextmanager
async def subscriber(place: Place) -> AsyncIterator[Seen]:
    """Reads what is committed, from the beginning, as any subscriber would."""
    seen = Seen()
    consumer = AIOKafkaConsumer(
        place.topic(STAGE_CHANGED),
        bootstrap_servers=place.bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer:
        reading = asyncio.create_task(_read(consumer, seen))
        try:
            yield seen
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(consumer: AIOKafkaConsumer, seen: Seen) -> None:
    while True:
        found = await consumer.getmany(timeout_ms=1000)
        now = time.monotonic()
        for partition, records in found.items():
            for record in records:
                seen.note(dict(record.headers), partition, record.offset, now)


async def ends_of(place: Place) -> dict[TopicPartition, int]:
    """Where the topic of transitions ends, what is not committed included."""
    async with AIOKafkaConsumer(bootstrap_servers=place.bootstrap) as consumer:
        partitions = [TopicPartition(place.topic(STAGE_CHANGED), number) for number in range(PARTITIONS)]
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends


def behind(seen: Seen, load: Load, services: Sequence[str]) -> int:
    """Transitions that are still to come of what was sent."""
    return len(load.sent) * len(services) - len(seen.at)


async def keeping_up(seen: Seen, load: Load, services: Sequence[str], per_second: float) -> None:
    """Wait until the services have caught up with the load, or for so long that they will not."""
    close = per_second * len(services) * _CLOSE_SECONDS
    with suppress(Wrong):
        await until(lambda: bool(seen.at) and behind(seen, load, services) <= close, "the services to catch up", 30)


async def until(true: Callable[[], bool], what: str, seconds_max: float = PATIENCE_SECONDS) -> None:
    """Look again and again. Raises Wrong where it does not come true in time."""
    give_up = time.monotonic() + seconds_max
    while not true():
        if time.monotonic() > give_up:
            raise Wrong(f"waited {seconds_max} s for {what}")
        await asyncio.sleep(_LOOK_SECONDS)
