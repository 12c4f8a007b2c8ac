"""Much at once: instances that come and go, clocks that disagree, everything twice, a flood of one account."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from dunning.runtime.instance import Instance
from dunning.runtime.store import TopicPartition
from dunning.testing.toy import ToyAccount
from tests.faults.sizes import SIZES
from tests.integration.steady import steady
from tests.kernel import PATIENCE_SECONDS, Kernel, eventually, failure, success

FLOOD = 5_000
ACCOUNTS_IN_STORM, ROUNDS_OF_STORM_MIN = 2, 4


def long_due(minutes: int = 0) -> datetime:
    """A failure of then has a timer that is due since an hour."""
    return datetime.now(UTC) - timedelta(days=1, hours=1, minutes=minutes)


async def send_all(kernel: Kernel, topic: str, records: list[tuple[str, bytes]], partition: int | None = None) -> None:
    """Key and value of each, as fast as Kafka takes them; the partition is that of the account's number."""
    for account, value in records:
        to = int(account.rpartition("-")[2]) % 2 if partition is None else partition
        await kernel.producer.send(kernel.topic(topic), value, key=account.encode(), partition=to)
    await kernel.producer.flush()


async def reads(instance: Instance[ToyAccount]) -> bool:
    """Whether some partitions are this instance's."""
    return bool(await instance.intake.done())


async def test_instances_that_join_and_leave_all_the_time_stop_nobody(
    kernel: Kernel, tell: Callable[[object], None]
) -> None:
    """After each change of the group something new gets through; the one that stays is never the only one for long."""
    rounds = 0
    async with AsyncExitStack() as stack:
        await kernel.ready(await stack.enter_async_context(kernel.instance("stays")))
        traffic = await stack.enter_async_context(steady(kernel, ACCOUNTS_IN_STORM))
        until = time.monotonic() + SIZES.storm_seconds
        while rounds < ROUNDS_OF_STORM_MIN or time.monotonic() < until:
            async with kernel.instance(f"guest-{rounds % 3}") as guest:
                await eventually(lambda guest=guest: reads(guest), "the guest to read")  # type: ignore[misc]
                await traffic.gets_through()
            await traffic.gets_through()
            rounds += 1
        await traffic.ends()
        tell(f"{2 * rounds} changes; {traffic}")
        session_seconds = kernel.settings.kafka_session_timeout_seconds

        assert await kernel.transitions(traffic.sent) == traffic.in_order
        assert not SIZES.judges_time or traffic.longest_gap_seconds <= session_seconds


@asynccontextmanager
async def one_an_hour_off(kernel: Kernel, hours: int) -> AsyncIterator[tuple[Instance[ToyAccount], ...]]:
    """Two instances that share the partitions; the second one's clock is stepped, and the instance has seen it."""
    async with kernel.instance("right") as right, kernel.instance("wrong") as wrong:

        async def both_read() -> bool:
            return await reads(right) and await reads(wrong)

        await eventually(both_read, "both instances read")
        await kernel.ready(right, wrong)
        wrong.clock.host = lambda: datetime.now(UTC) + timedelta(hours=hours)
        await wrong.read_through.look()
        yield right, wrong


@pytest.mark.parametrize("hours", [-1, 1])
async def test_of_two_instances_the_one_whose_clock_steps_does_nothing_until_it_agrees(
    kernel: Kernel, hours: int
) -> None:
    async with one_an_hour_off(kernel, hours) as (right, wrong):
        theirs = {tp.partition for tp in await right.intake.done() if tp.topic == kernel.topic("payment.failed")}
        for number in range(2):
            await kernel.fails(f"acc-{number}", code="x", failed_at=long_due(), partition=number)
        await kernel.published_at_least(len(theirs))

        assert "DUN-R009" in wrong.health.troubles["clock"]
        assert not await wrong.timers.fire()
        wrong.clock.host = lambda: datetime.now(UTC)
        assert await kernel.transitions(4) == {"acc-0": [1, 2], "acc-1": [1, 2]}


async def test_nobody_is_acted_on_who_paid_while_all_instances_were_down(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers of all are due, and a third has paid; the payments come last of all that waits."""
    accounts = [f"acc-{number}" for number in range(SIZES.unpaid_invoices)]
    payers = accounts[::3]

    async def not_yet() -> bool:
        return False

    async with kernel.instance() as before:
        monkeypatch.setattr(before.timers, "fire", not_yet)
        await send_all(
            kernel, "payment.failed", [(each, failure(each, code="x", failed_at=long_due())) for each in accounts]
        )
        await kernel.published_at_least(len(accounts))
    paid = [(each, success(each, succeeded_at=datetime.now(UTC))) for each in payers]
    await send_all(kernel, "payment.succeeded", paid)
    async with kernel.instance(batch_records=20):
        told = await kernel.published(2 * len(accounts))

    after = {record.key.decode(): orjson.loads(record.value)["reason"] for record in told}
    assert after == {each: "PaymentSucceeded" if each in payers else "TimerDue" for each in accounts}


async def test_every_event_twice_and_all_of_it_again_shuffled_acts_once(kernel: Kernel) -> None:
    chance = random.Random(7)
    events = [(f"acc-{n % 40}", failure(f"acc-{n % 40}", f"pay-{n}")) for n in range(400)]
    doubled = [each for each in events for _ in range(2)]
    again = chance.sample(events, len(events))
    async with kernel.instance() as instance:
        await send_all(kernel, "payment.failed", doubled)
        await send_all(kernel, "payment.failed", again)
        found = await kernel.transitions(len(events))

        async def all_read() -> bool:
            seen_before = instance.metrics.duplicates.labels(kernel.topic("payment.failed"))._value.get()
            return bool(seen_before == 2 * len(events))

        await eventually(all_read, "the repetitions to be read")
        assert await kernel.transitions(len(events)) == found
    assert found == {f"acc-{n}": list(range(1, 11)) for n in range(40)}


async def test_a_flood_of_one_account_does_not_keep_other_partitions_waiting(kernel: Kernel) -> None:
    """What comes behind the flood in the other partition is published before the flood is through."""
    flood = [("acc-0", failure("acc-0", f"pay-{number}")) for number in range(FLOOD)]
    others = [f"acc-{number}" for number in range(1, 200, 2)]
    tp = TopicPartition(kernel.topic("payment.failed"), 0)
    async with kernel.instance(batch_records=100) as instance:
        await kernel.ready(instance)
        await send_all(kernel, "payment.failed", flood)
        await send_all(kernel, "payment.failed", [(each, failure(each)) for each in others])

        async def others_are_known() -> bool:
            async with kernel.store() as store, store.connection() as connection:
                return bool(await connection.fetchval("select count(*) = 100 from cases where account_id <> 'acc-0'"))

        await eventually(others_are_known, "the other accounts")
        taken = (await instance.intake.done())[tp].offset
        found = await asyncio.wait_for(kernel.transitions(FLOOD + len(others)), 2 * PATIENCE_SECONDS)

    assert taken < FLOOD
    assert found == {"acc-0": list(range(1, FLOOD + 1)), **{each: [1] for each in others}}
