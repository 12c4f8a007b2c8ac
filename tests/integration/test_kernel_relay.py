"""What goes out: once, in order, by one owner at a time (rule 41)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from secrets import token_hex
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from dunning.contracts.topics import STAGE_CHANGED
from dunning.runtime import relay
from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.instance import Instance
from dunning.runtime.publisher import Publisher
from dunning.runtime.shard_lock import ShardLocks
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import OutboxRow, PendingRow
from dunning.testing.toy import ToyAccount
from tests.kernel import SHARDS, Kernel, eventually

KEY = "acc-1"
SHARD = shard_of(KEY, SHARDS)


def publisher(kernel: Kernel) -> Publisher:
    return Publisher(kernel.settings, "toy", SHARD, kernel.topic("payment.failed"))


async def rows_for(kernel: Kernel, *values: str, key: str = KEY) -> None:
    """Outbox rows without a turn."""
    rows = [OutboxRow(kernel.topic(STAGE_CHANGED), key, value.encode(), (), None, key) for value in values]
    async with kernel.store() as store, store.transaction() as tx:
        await tx.publish(rows)


async def pending(kernel: Kernel) -> list[PendingRow]:
    async with kernel.store() as store:
        return await store.pending(SHARD, 1000)


async def values(kernel: Kernel, count: int) -> list[str]:
    return [record.value.decode() for record in await kernel.published(count)]


async def committed(publisher: Publisher, row_ids: set[int]) -> None:
    """Until these are what was published last. A broker that was never asked for a group cannot tell for a moment; a
    commit shows a moment after it was answered; whoever enters as the next publisher waits for that."""

    async def told() -> bool:
        with suppress(*KAFKA_TROUBLES):
            return (await publisher.last_committed()).ids == row_ids
        return False

    await eventually(told, f"the broker to say that {row_ids or 'nothing'} was published last")


async def test_rows_go_out_in_their_order(kernel: Kernel) -> None:
    sent = [str(number) for number in range(500)]
    await rows_for(kernel, *sent)
    async with kernel.instance(outbox_batch_rows=64):
        assert await values(kernel, 500) == sent


async def test_what_was_published_and_not_finished_is_not_published_again(kernel: Kernel) -> None:
    await rows_for(kernel, "1", "2")
    async with publisher(kernel) as died_before_finishing:
        await died_before_finishing.publish(await pending(kernel))
    await rows_for(kernel, "3")
    async with kernel.instance():
        assert await values(kernel, 3) == ["1", "2", "3"]


async def test_a_database_that_went_back_gives_numbers_again_and_what_has_them_now_is_published(kernel: Kernel) -> None:
    await rows_for(kernel, "1", "2")
    async with kernel.instance():
        assert await values(kernel, 2) == ["1", "2"]
    async with kernel.store() as store, store.connection() as connection:
        await connection.execute("select setval('outbox_id_seq', 1, false)")
    await rows_for(kernel, "3", "4")
    async with kernel.instance():
        assert await values(kernel, 4) == ["1", "2", "3", "4"]


async def test_all_that_was_published_is_finished_first_though_older_rows_were_committed_since(kernel: Kernel) -> None:
    await rows_for(kernel, "1", "2", "3")
    async with publisher(kernel) as died_before_finishing:
        await died_before_finishing.publish(await pending(kernel))
    late = "select shard, 0, topic, 'late', headers, 'late', null, key, recorded_at from outbox limit 1"
    async with kernel.store() as store, store.connection() as connection:
        await connection.execute(f"insert into outbox overriding system value {late}")
    async with kernel.instance(outbox_batch_rows=1):
        assert await values(kernel, 4) == ["1", "2", "3", "late"]


async def test_rows_that_weigh_much_go_out_in_several_transactions(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_BYTES_MAX", 100_000)
    heavy = [str(number) * 60_000 for number in range(5)]
    await rows_for(kernel, *heavy)
    async with kernel.instance():
        assert await values(kernel, 5) == heavy


async def test_what_was_sent_and_not_committed_is_published_by_the_successor(kernel: Kernel) -> None:
    await rows_for(kernel, "1", "2")
    async with publisher(kernel) as frozen:
        producer = frozen._producer
        assert producer is not None
        await producer.begin_transaction()
        await producer.send_and_wait(kernel.topic(STAGE_CHANGED), b"1", key=KEY.encode())
        async with kernel.instance():
            assert await values(kernel, 2) == ["1", "2"]
            with pytest.raises(KAFKA_TROUBLES):
                await producer.commit_transaction()
            assert await values(kernel, 2) == ["1", "2"]


async def test_whoever_was_replaced_publishes_nothing_any_more(kernel: Kernel) -> None:
    await rows_for(kernel, "1")
    async with publisher(kernel) as older:
        stale = await pending(kernel)
        async with publisher(kernel) as newer:
            with pytest.raises(KAFKA_TROUBLES):
                await older.publish(stale)
            await committed(newer, set())
            await newer.publish(stale)
            await committed(newer, {stale[0].id})

    assert await values(kernel, 1) == ["1"]


async def test_a_shard_has_one_owner_and_another_when_that_is_gone(kernel: Kernel) -> None:
    first, second = ShardLocks(kernel.settings, "toy"), ShardLocks(kernel.settings, "toy")
    try:
        assert await first.acquire(0)
        assert await first.acquire(0)
        assert not await second.acquire(0)
        assert await second.acquire(1)
        await first.close()

        async def got() -> bool:
            return await second.acquire(0)

        await eventually(got, "the shard of an owner that is gone")
        assert not await first.holds(0)
    finally:
        await first.close()
        await second.close()


async def test_a_stopped_instance_leaves_its_shards_to_the_next(kernel: Kernel) -> None:
    async with kernel.instance("two"):
        async with kernel.instance("one") as one:
            await kernel.ready(one)
        await rows_for(kernel, "1")
        await rows_for(kernel, "2", key="acc-2")
        assert sorted(await values(kernel, 2)) == ["1", "2"]


async def set_size(kernel: Kernel, bytes_max: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kernel.settings.kafka_bootstrap_servers)
    await admin.start()
    configs = {"max.message.bytes": str(bytes_max)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, kernel.topic(STAGE_CHANGED), configs)])
    await admin.close()


async def test_a_row_that_kafka_refuses_holds_its_own_key_only(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_PARKED_SECONDS", 0.5)
    other = next(f"other-{n}" for n in range(99) if shard_of(f"other-{n}", SHARDS) == SHARD)
    await set_size(kernel, 2000)
    await rows_for(kernel, "before")
    large = token_hex(5000)
    await rows_for(kernel, large, "after")
    await rows_for(kernel, "not mine", key=other)
    async with kernel.instance() as instance:
        assert sorted(await values(kernel, 2)) == ["before", "not mine"]

        async def alarmed() -> Any:
            return instance.health.troubles.get(f"outbox shard {SHARD} row")

        assert "DUN-R011" in await eventually(alarmed, "an alarm")
        await set_size(kernel, 100_000)
        await kernel.published_at_least(6)
        mine = [record.value.decode() for record in await kernel.published(4) if record.key == KEY.encode()]
        assert mine == ["before", large, "after"]
        await kernel.ready(instance)


async def test_what_came_compressed_can_leave_compressed(kernel: Kernel) -> None:
    bomb = b" " * 3_000_000  # a few kilobytes as they came
    producer = AIOKafkaProducer(
        bootstrap_servers=kernel.settings.kafka_bootstrap_servers, compression_type="gzip", max_request_size=10_000_000
    )
    await producer.start()
    await producer.send_and_wait(kernel.topic("payment.failed"), bomb, key=b"acc-1", partition=0)
    await producer.stop()
    await kernel.send("payment.failed", b"{", key="acc-1")

    async with kernel.instance() as instance:
        letters = await kernel.dead_letters(2)

        assert [letter.value for letter in letters] == [bomb, b"{"]
        await kernel.ready(instance)


async def test_a_key_keeps_its_order_while_instances_come_and_go(kernel: Kernel) -> None:
    sent = [str(number) for number in range(120)]

    async def fill() -> None:
        for value in sent:
            await rows_for(kernel, value)

    filling = asyncio.create_task(fill())
    for number in range(3):
        async with kernel.running():
            await kernel.published_at_least(20 * (number + 1))
    async with kernel.instance():
        await filling
        assert await values(kernel, 120) == sent


async def test_when_too_much_waits_for_kafka_nothing_is_read_until_it_is_published(kernel: Kernel) -> None:
    await rows_for(kernel, "1", "2", "3")
    async with somebody_else_who_hangs(kernel) as somebody, kernel.instance(outbox_rows_max=3) as instance:
        await kernel.fails("acc-7")

        async def told() -> bool:
            return "DUN-R015" in instance.health.troubles.get("outbox", "")

        await eventually(told, "the alarm")
        await eventually(lambda: settled(instance), "its partitions")
        assert {done.offset for done in (await instance.intake.done()).values()} == {0}
        await somebody.close()
        assert [record.key.decode() for record in await kernel.published(4)] == [KEY, KEY, KEY, "acc-7"]


@asynccontextmanager
async def somebody_else_who_hangs(kernel: Kernel) -> AsyncIterator[ShardLocks]:
    """Holds all shards, and publishes nothing."""
    locks = ShardLocks(kernel.settings, "toy")
    for shard in range(SHARDS):
        assert await locks.acquire(shard)
    holding = asyncio.create_task(locks.keep_alive())
    try:
        yield locks
    finally:
        holding.cancel()
        await locks.close()


async def settled(instance: Instance[ToyAccount]) -> bool:
    return instance.intake.settled
