"""Nothing due is done before the news is read (rule 40), and markers of transactions are no news."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from dunning.domain.decision import Decision
from dunning.domain.events import Input, TimerDue
from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.instance import Instance
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.store import StoreUnavailable, TopicPartition
from dunning.testing.toy import ToyAccount, decide
from tests.kernel import Kernel, eventually, success


def long_due() -> datetime:
    """A failure of then has a timer that is due since an hour."""
    return datetime.now(UTC) - timedelta(days=1, hours=1)


@asynccontextmanager
async def transactional_sender(kernel: Kernel) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kernel.settings.kafka_bootstrap_servers,
        transactional_id=f"{kernel.settings.topic_prefix}sender",
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def reasons(kernel: Kernel, count: int) -> list[str]:
    return [orjson.loads(record.value)["reason"] for record in await kernel.published(count)]


async def test_what_is_due_is_done_once_everything_is_read(kernel: Kernel) -> None:
    async with kernel.instance():
        await kernel.fails("acc-1", code="x", failed_at=long_due())

        assert await reasons(kernel, 2) == ["PaymentFailed", "TimerDue"]


async def test_what_was_paid_while_everybody_was_down_is_not_done_on_the_word_of_who_died(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was due had been read through, but not done, when the only instance died a moment ago."""

    async def not_yet() -> bool:
        return False

    partitions = [TopicPartition(kernel.topic(name), n) for name in kernel.service.topics for n in range(2)]
    topics = [kernel.topic(name) for name in kernel.service.topics]
    async with kernel.store() as store:
        async with kernel.running() as (former, _):
            monkeypatch.setattr(former.timers, "fire", not_yet)
            await kernel.fails("acc-1", code="x", failed_at=long_due())
            assert await reasons(kernel, 1) == ["PaymentFailed"]
            await eventually(lambda: store.horizon(partitions), "everything is read through")
        await kernel.succeeds("acc-1")
        async with BrokerLog(kernel.settings, topics) as log:
            await Instance(kernel.service, store, log, kernel.settings).timers.fire()
    async with kernel.instance():
        assert await reasons(kernel, 2) == ["PaymentFailed", "PaymentSucceeded"]


async def test_what_was_read_before_the_database_was_away_is_nothing_to_act_on(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kernel.instance() as instance:
        horizon = instance.timers._horizon
        await eventually(horizon.get, "a horizon to act on")
        monkeypatch.setattr(instance.read_through, "look", nothing)  # nobody reads on
        assert await horizon.get()
        with monkeypatch.context() as away:
            away.setattr(PostgresStore, "horizon", unavailable)
            with pytest.raises(StoreUnavailable):
                await horizon.get()

        assert await horizon.get() is None


async def nothing() -> None:
    """What a part does that hangs."""


async def unavailable(*_: object) -> None:
    raise StoreUnavailable("away")


async def test_a_payment_behind_an_open_transaction_is_read_before_anything_due_is_done(kernel: Kernel) -> None:
    """A reader of committed records cannot see it, and the last stable offset hides it; the high watermark does not."""
    async with transactional_sender(kernel) as sender:
        await sender.begin_transaction()
        await sender.send_and_wait(kernel.topic("payment.succeeded"), success("acc-9"), partition=1)
        await kernel.succeeds("acc-1", partition=1)
        await kernel.fails("acc-1", code="x", failed_at=long_due())
        async with kernel.instance() as instance:
            assert await reasons(kernel, 1) == ["PaymentFailed"]
            for _ in range(5):
                await instance.read_through.look()
                assert not await instance.timers.fire()
            await sender.abort_transaction()

            assert await reasons(kernel, 2) == ["PaymentFailed", "PaymentSucceeded"]
            await kernel.ready(instance)
            assert not await instance.timers.fire()


async def test_a_partition_that_ends_with_markers_is_read_through_and_stored_to_its_end(kernel: Kernel) -> None:
    topic = kernel.topic("payment.failed")
    tp = TopicPartition(topic, 0)
    async with transactional_sender(kernel) as sender, kernel.instance() as instance, kernel.store() as store:
        async with sender.transaction():
            await sender.send_and_wait(kernel.topic("payment.succeeded"), success("acc-1"), partition=1)
            await sender.send_and_wait(topic, success("acc-1"), partition=0)  # no failure: a dead letter
        await sender.begin_transaction()
        await sender.send_and_wait(topic, success("acc-2"), partition=0)
        await sender.abort_transaction()
        await kernel.ready(instance)
        partitions = [TopicPartition(kernel.topic(name), n) for name in kernel.service.topics for n in range(2)]

        async def through_until_now(since: datetime) -> bool:
            horizon = await store.horizon(partitions)
            return horizon is not None and horizon > since

        now = datetime.now(UTC)
        await eventually(lambda: through_until_now(now), "read through")
        assert (await instance.intake.done())[tp].offset == 4  # a record, its marker, a record taken back, its marker

        async def stored_to_the_end() -> bool:
            async with store.connection() as connection:
                query = "select next_offset from offsets where topic = $1 and partition = 0"
                return bool(await connection.fetchval(query, topic) == 4)

        await eventually(stored_to_the_end, "stored to the end")


async def test_a_partition_that_nobody_reads_holds_everything_due_with_an_alarm(kernel: Kernel) -> None:
    async with kernel.instance(unread_alarm_seconds=0.2, horizon_age_seconds_max=1.0) as instance:
        await kernel.ready(instance)
        instance.intake.hold([TopicPartition(kernel.topic("payment.succeeded"), 1)])
        await kernel.fails("acc-1", code="x", failed_at=long_due())

        async def alarmed() -> str:
            return instance.health.troubles.get("horizon", "")

        assert "DUN-R012" in await eventually(alarmed, "an alarm")
        assert not await instance.timers.fire()


def decide_with_a_broken_timer(account: ToyAccount, event: Input, now: datetime) -> Decision:
    if isinstance(event, TimerDue) and account.account_id == "acc-1":
        raise RuntimeError("a mistake")
    return decide(account, event, now)


async def test_a_timer_that_cannot_be_decided_does_not_hold_the_others(kernel: Kernel) -> None:
    kernel.service = replace(kernel.service, decide=decide_with_a_broken_timer)
    async with kernel.instance() as instance:
        await kernel.fails("acc-1", code="x", failed_at=long_due() - timedelta(minutes=5))
        await kernel.fails("acc-2", code="x", failed_at=long_due())

        assert await kernel.transitions(3) == {"acc-1": [1], "acc-2": [1, 2]}
        assert "DUN-R013" in instance.health.troubles["stuck timers"]


@pytest.mark.parametrize("hours", [-1, 1])
async def test_intake_and_timers_wait_while_the_clocks_disagree(kernel: Kernel, hours: int) -> None:
    async with kernel.instance() as instance:
        await kernel.ready(instance)
        instance.clock.host = lambda: datetime.now(UTC) + timedelta(hours=hours)
        await instance.read_through.look()
        await kernel.fails("acc-1")

        assert "DUN-R009" in instance.health.troubles["clock"]
        instance.clock.host = lambda: datetime.now(UTC)
        assert await kernel.transitions(1) == {"acc-1": [1]}
