"""What the kernel's tests on real servers say often: topics, events, instances, and waiting for what must come true."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dunning.contracts.topics import STAGE_CHANGED, dead_letter_topic
from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.instance import Instance
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.run import postgres_settings
from dunning.runtime.service import Perform, Service
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import TopicPartition
from dunning.testing.toy import TOPICS, ToyAccount, migrate_toy, toy_service
from tests.beside import beside
from tests.faults.sizes import SIZES

PARTITIONS = 2
SHARDS = 2
PATIENCE_SECONDS = 30.0 * SIZES.patience


async def eventually(true: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Wait until something is true, and give it back; a test never waits for a time to pass."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = await true()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Kernel:
    """A broker with the toy's topics, a database with its schema, and whatever instances a test starts."""

    settings: Settings
    producer: AIOKafkaProducer
    service: Service[ToyAccount] = field(default_factory=toy_service)

    def topic(self, name: str) -> str:
        return self.settings.topic_prefix + name

    def settings_for(self, instance_id: str, **changes: Any) -> Settings:
        """The settings of one of several instances."""
        return self.settings.model_copy(update={"instance_id": instance_id, **changes})

    @asynccontextmanager
    async def store(self, settings: Settings | None = None) -> AsyncIterator[PostgresStore[ToyAccount]]:
        async with PostgresStore.open(postgres_settings(settings or self.settings), self.service) as store:
            yield store

    @asynccontextmanager
    async def instance(
        self,
        instance_id: str = "one",
        *,
        perform: Perform | None = None,
        clients: Clients = AIOKAFKA,
        **changes: Any,
    ) -> AsyncIterator[Instance[ToyAccount]]:
        """A running instance; at the end of the block it stops gracefully."""
        async with self.running(instance_id, perform=perform, clients=clients, **changes) as (instance, task):
            yield instance
            instance.stop()
            await asyncio.wait_for(task, PATIENCE_SECONDS)

    @asynccontextmanager
    async def running(
        self,
        instance_id: str = "one",
        *,
        perform: Perform | None = None,
        clients: Clients = AIOKAFKA,
        **changes: Any,
    ) -> AsyncIterator[tuple[Instance[ToyAccount], asyncio.Task[None]]]:
        """A running instance and its task; at the end of the block it is cut off."""
        settings = self.settings_for(instance_id, **changes)
        topics = [self.topic(name) for name in self.service.topics]
        async with self.store(settings) as store, BrokerLog(settings, topics) as log:
            instance = Instance(self.service, store, log, settings, perform=perform, clients=clients)
            async with beside(instance.run()) as task:
                yield instance, task

    async def ready(self, *instances: Instance[ToyAccount]) -> None:
        """Until they read everything that is theirs."""

        async def all_ready() -> bool:
            return all(not each.health.troubles for each in instances)

        await eventually(all_ready, f"ready: {[each.health.troubles for each in instances]}")

    async def send(self, topic: str, value: bytes | None, *, key: str | None = None, partition: int = 0) -> int:
        """Write one record; returns its offset."""
        sent = await self.producer.send_and_wait(
            self.topic(topic), value, key=key.encode() if key is not None else None, partition=partition
        )
        offset: int = sent.offset
        return offset

    async def fails(self, account: str, payment: str = "pay-1", *, partition: int = 0, **changes: Any) -> int:
        """A failed payment, as plain JSON."""
        return await self.send("payment.failed", failure(account, payment, **changes), key=account, partition=partition)

    async def succeeds(self, account: str, payment: str = "pay-2", *, partition: int = 0) -> int:
        return await self.send("payment.succeeded", success(account, payment), key=account, partition=partition)

    async def published(self, count: int, name: str = STAGE_CHANGED) -> list[ConsumerRecord]:
        """Everything that was published to a topic, once it holds so many records; then a moment longer, so that a
        record too many is seen as well."""
        async with self.reader(name) as reader:
            return await _read(reader, count, name)

    def reader(self, name: str = STAGE_CHANGED) -> AIOKafkaConsumer:
        """Of what is committed in a topic, from its beginning; started and stopped by `async with`."""
        return AIOKafkaConsumer(
            self.topic(name),
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
        )

    async def published_at_least(self, count: int, name: str = STAGE_CHANGED) -> None:
        """Until a topic holds so many records, counting markers too: for tests that interrupt what goes on."""

        async def enough() -> bool:
            partitions = [TopicPartition(self.topic(name), number) for number in range(PARTITIONS)]
            async with BrokerLog(self.settings, [self.topic(name)]) as log:
                return sum((await log.ends(partitions)).values()) >= count

        await eventually(enough, f"{count} records in {name}")

    async def transitions(self, count: int) -> dict[str, list[int]]:
        """The sequences that were published per account, in the order of the topic."""
        found: dict[str, list[int]] = {}
        for record in await self.published(count):
            found.setdefault(record.key.decode(), []).append(int(dict(record.headers)["ce_sequence"]))
        return found

    async def dead_letters(self, count: int, topic: str = "payment.failed") -> list[ConsumerRecord]:
        return await self.published(count, dead_letter_topic(topic, self.service.name))


async def _read(reader: AIOKafkaConsumer, count: int, name: str) -> list[ConsumerRecord]:
    records: list[ConsumerRecord] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(records) < count:
        for found in (await reader.getmany(timeout_ms=100)).values():
            records += found
        assert time.monotonic() < deadline, f"{name}: {len(records)} of {count} records came"
    for found in (await reader.getmany(timeout_ms=150)).values():
        records += found
    assert len(records) == count, f"{name}: {len(records)} records instead of {count}"
    return records


def failure(
    account: str, payment: str = "pay-1", *, code: str = "toy_quiet", failed_at: datetime | None = None
) -> bytes:
    """The body of a failed payment that plans nothing unless the code says so."""
    return orjson.dumps(
        {
            "payment_id": payment,
            "attempt_number": 1,
            "account_id": account,
            "invoice": {"id": f"inv-{account}", "amount_due_minor": 1200},
            "amount_minor": 1200,
            "currency": "EUR",
            "failed_at": (failed_at or datetime(2026, 3, 2, 10, tzinfo=UTC)).isoformat(),
            "failure": {"code": code},
        }
    )


def success(account: str, payment: str = "pay-2", *, succeeded_at: datetime | None = None) -> bytes:
    """The body of a payment in full."""
    return orjson.dumps(
        {
            "payment_id": payment,
            "account_id": account,
            "invoice": {"id": f"inv-{account}", "amount_remaining_minor": 0},
            "amount_minor": 1200,
            "currency": "EUR",
            "succeeded_at": (succeeded_at or datetime(2026, 3, 3, 10, tzinfo=UTC)).isoformat(),
        }
    )


async def make_topics(bootstrap: str, names: Sequence[str], **configs: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=configs) for name in names])
    finally:
        await admin.close()


@asynccontextmanager
async def a_kernel(bootstrap: str, database_url: str, prefix: str) -> AsyncIterator[Kernel]:
    """Topics, schema and a sender, for one test."""
    outputs = [STAGE_CHANGED, *(dead_letter_topic(topic, toy_service().name) for topic in TOPICS)]
    await make_topics(bootstrap, [prefix + name for name in (*TOPICS, *outputs)])
    await migrate_toy(database_url, shards=SHARDS)
    settings = load_settings(
        Settings,
        kafka_bootstrap_servers=bootstrap,
        database_url=database_url,
        topic_prefix=prefix,
        kafka_session_timeout_seconds=6,
        instance_id="one",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    try:
        yield Kernel(settings, producer)
    finally:
        await producer.stop()
