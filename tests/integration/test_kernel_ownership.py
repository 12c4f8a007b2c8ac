"""Who may read a partition: one instance at a time, from where it was stored, whatever happens to the others."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.postgres.offset_moves import move_offset
from dunning.runtime.store import Fenced, TopicPartition
from tests.kernel import Kernel, eventually


async def test_a_restart_goes_on_where_it_was_stored(kernel: Kernel) -> None:
    await kernel.fails("acc-1", "pay-1")
    async with kernel.instance():
        await kernel.published(1)
    await kernel.fails("acc-1", "pay-2")
    async with kernel.instance() as again:
        assert await kernel.transitions(2) == {"acc-1": [1, 2]}
        assert again.metrics.consumed.labels(kernel.topic("payment.failed"))._value.get() == 1


async def test_an_instance_that_was_cut_off_is_followed_without_loss(kernel: Kernel) -> None:
    async with kernel.running() as (instance, task):
        await kernel.ready(instance)
        sending = [asyncio.create_task(kernel.fails(f"acc-{n % 7}", f"pay-{n}", partition=n % 2)) for n in range(100)]
        await kernel.published_at_least(5)
        task.cancel()
    await asyncio.gather(*sending)
    async with kernel.instance():
        found = await kernel.transitions(100)

    assert {account: sequences == list(range(1, len(sequences) + 1)) for account, sequences in found.items()} == {
        f"acc-{n}": True for n in range(7)
    }


async def test_two_instances_share_the_partitions_and_lose_nothing_on_the_way(kernel: Kernel) -> None:
    async with kernel.instance("one") as one:
        await kernel.ready(one)
        for number in range(20):
            await kernel.fails(f"acc-{number % 4}", f"pay-{number}", partition=number % 2)
        async with kernel.instance("two") as two:

            async def both_read() -> bool:
                return bool(await one.intake.done()) and bool(await two.intake.done())

            await eventually(both_read, "both instances read")
            for number in range(20, 40):
                await kernel.fails(f"acc-{number % 4}", f"pay-{number}", partition=number % 2)
            found = await kernel.transitions(40)

    assert found == {f"acc-{n}": list(range(1, 11)) for n in range(4)}


async def test_whoever_was_replaced_writes_nothing_any_more(kernel: Kernel) -> None:
    tp = TopicPartition(kernel.topic("payment.failed"), 0)
    async with kernel.instance() as instance, kernel.store() as store:
        await kernel.ready(instance)
        replaced = (await instance.intake.done())[tp].epoch
        await store.take_over([tp])

        with pytest.raises(Fenced):
            async with store.transaction() as tx:
                await tx.lock_offsets({tp: replaced})
        await kernel.fails("acc-1")  # Kafka says the partition is still ours, so it is taken over again

        assert await kernel.transitions(1) == {"acc-1": [1]}
        assert (await instance.intake.done())[tp].epoch > replaced + 1


async def test_records_that_are_gone_stop_the_partition_with_an_alarm(kernel: Kernel) -> None:
    topic = kernel.topic("payment.failed")
    await kernel.fails("acc-1", "pay-1")
    async with kernel.instance():
        await kernel.published(1)
    for number in range(2, 5):
        await kernel.fails("acc-1", f"pay-{number}")
    admin = AIOKafkaAdminClient(bootstrap_servers=kernel.settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_records({KafkaPartition(topic, 0): RecordsToDelete(before_offset=3)})
    await admin.close()

    async with kernel.instance() as instance:

        async def alarmed() -> str:
            return instance.health.troubles.get("offsets", "")

        said = await eventually(alarmed, "an alarm")
        await kernel.fails("acc-2", partition=1)

        assert await kernel.transitions(2) == {"acc-1": [1], "acc-2": [1]}
        async with kernel.store() as store, store.connection() as connection:
            await move_offset(connection, TopicPartition(topic, 0), 3, "ada", "two are lost, support knows")
        instance.intake._reading.not_before.clear()  # it would look again in half a minute

        assert await kernel.transitions(3) == {"acc-1": [1, 2], "acc-2": [1]}
        await kernel.ready(instance)
    assert f"we read {topic}[0] up to 1, but its log holds 3 to 4" in said
    assert "DUN-R008" in said


async def test_an_offset_that_is_moved_back_is_followed_though_nothing_new_comes(kernel: Kernel) -> None:
    """What was read before is known: reading it again changes nothing."""
    tp = TopicPartition(kernel.topic("payment.failed"), 0)
    async with kernel.instance() as instance, kernel.store() as store:
        await kernel.fails("acc-1", "pay-1")
        await kernel.transitions(1)
        async with store.connection() as connection:
            await move_offset(connection, tp, 0, "ada", "a drill")

        async def read_again() -> bool:
            return bool(instance.metrics.duplicates.labels(tp.topic)._value.get())

        await eventually(read_again, "the record is read again")
        await kernel.ready(instance)
        assert await kernel.transitions(1) == {"acc-1": [1]}


async def test_a_database_that_goes_back_under_a_running_instance_loses_nothing(kernel: Kernel) -> None:
    """As when a standby takes over that had not heard of the last commits: what they stored is read again, though the
    instance believes to have stored it, and the numbers of outbox rows that were published come to other rows."""
    topic = kernel.topic("payment.failed")
    async with kernel.instance() as instance, kernel.store() as store:
        await kernel.fails("acc-1", "pay-1")
        await kernel.transitions(1)
        async with store.connection() as connection:
            kept = await connection.fetch("select account_id, invoice_id, state from cases")
            known = [row["key"] for row in await connection.fetch("select key from inbox")]
            number = await connection.fetchval("select last_value from outbox_id_seq")
        await kernel.fails("acc-1", "pay-2")
        await kernel.transitions(2)

        async with store.connection() as connection, connection.transaction():
            await connection.execute("update offsets set next_offset = 1 where topic = $1 and partition = 0", topic)
            await connection.execute("delete from inbox where key <> all($1::bigint[])", known)
            for row in kept:
                await connection.execute(
                    "update cases set state = $3 where account_id = $1 and invoice_id = $2",
                    row["account_id"], row["invoice_id"], row["state"],
                )  # fmt: skip
            await connection.execute("select setval('outbox_id_seq', $1)", number)
        await kernel.fails("acc-1", "pay-3")

        assert await kernel.transitions(4) == {"acc-1": [1, 2, 2, 3]}
        assert instance.metrics.fenced.labels("partition")._value.get() >= 1


async def test_partitions_that_are_added_later_are_read_from_their_beginning(kernel: Kernel) -> None:
    """By an instance that was restarted, which in Kafka's eyes is a leader that does not know it."""
    async with kernel.instance() as first:
        await kernel.ready(first)
    async with kernel.instance(kafka_metadata_max_age_seconds=0.5) as instance:
        await kernel.ready(instance)
        admin = AIOKafkaAdminClient(bootstrap_servers=kernel.settings.kafka_bootstrap_servers)
        await admin.start()
        await admin.create_partitions({kernel.topic("payment.failed"): NewPartitions(3)})
        await admin.close()
        await kernel.producer.client.force_metadata_update()
        await kernel.fails("acc-1", partition=2)

        assert await kernel.transitions(1) == {"acc-1": [1]}
