"""Switching a running service off and on: nothing slips out, nothing is lost (rule 42)."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from dunning.contracts.topics import STAGE_CHANGED
from dunning.runtime.mode import Mode
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.postgres.modes import switch_mode
from dunning.runtime.publisher import Publisher
from dunning.runtime.store import OutboxRow
from dunning.runtime.switch import Switched, switch
from tests.integration.test_kernel_errands import World
from tests.kernel import Kernel, eventually


async def switched(kernel: Kernel, to: Mode, **options: Any) -> Switched:
    return await switch(kernel.settings, "toy", to, "ada", "a test", **options)


async def is_counted(kernel: Kernel, account: str) -> bool:
    async with kernel.store() as store, store.connection() as connection:
        return bool(await connection.fetchval("select 1 from cases where account_id = $1", account))


async def test_a_stopped_service_reads_and_records_and_goes_on_where_it_was(kernel: Kernel) -> None:
    async with kernel.instance() as instance:
        await kernel.ready(instance)
        await kernel.fails("acc-1", payment="pay-1")
        await kernel.published(1)
        await switched(kernel, Mode.STOP)

        long_due = datetime.now(UTC) - timedelta(days=9)
        await kernel.fails("acc-2", code="toy_timer", failed_at=long_due)
        await kernel.send("payment.failed", b"{", key="acc-3")
        await kernel.fails("acc-4", code="toy_errand", failed_at=long_due)
        await kernel.dead_letters(1)
        await eventually(lambda: is_counted(kernel, "acc-4"), "the input of a stopped service")
        assert list(await kernel.transitions(1)) == ["acc-1"]

        await switched(kernel, Mode.ACT)
        assert await kernel.transitions(9) == {"acc-1": [1], "acc-2": [1, 2, 3, 4], "acc-4": [1, 2, 3, 4]}


async def test_an_errand_in_hand_is_not_begun_after_the_switch_and_is_done_after_the_next(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.prepare_for_long) as instance:
        await kernel.ready(instance)
        await kernel.fails("acc-1", code="toy_errand", failed_at=datetime.now(UTC))

        async def is_asked() -> bool:
            return world.asked > 0

        await eventually(is_asked, "the errand to be in hand")
        await switched(kernel, Mode.STOP)
        world.let_go_on.set()
        async with kernel.store() as store, store.connection() as connection:

            async def waits_again() -> bool:
                return bool(await connection.fetchval("select state = 'waiting' from errands"))

            await eventually(waits_again, "the errand to be given back")
        assert world.touched == []

        await switched(kernel, Mode.ACT)
        await kernel.published(2)
        assert len(world.touched) == 1


async def test_a_switch_waits_for_an_errand_that_was_begun_and_says_so_where_it_does_not_end(kernel: Kernel) -> None:
    world = World()
    async with kernel.running(perform=world.hang_once_begun) as (instance, _):
        await kernel.ready(instance)
        await kernel.fails("acc-1", code="toy_errand", failed_at=datetime.now(UTC))

        async def is_begun() -> bool:
            return bool(world.touched)

        await eventually(is_begun, "the errand to be begun")
        assert (await switched(kernel, Mode.STOP, patience_seconds=0.2)).begun == 1


@pytest.mark.parametrize("was_interrupted", [False, True])
async def test_what_is_just_being_published_is_cut_off(kernel: Kernel, was_interrupted: bool) -> None:
    """Also by a switch that is said again because the first one died, or found no Kafka, once its word was written."""
    async with kernel.store() as store, store.transaction() as tx:
        await tx.publish([OutboxRow(kernel.topic(STAGE_CHANGED), "acc-1", b"late", (), None, "acc-1")])
    async with (
        kernel.store() as store,
        Publisher(kernel.settings, "toy", _shard(store), kernel.topic("payment.failed")) as publisher,
    ):
        sent, switched_off = asyncio.Event(), asyncio.Event()
        assert publisher._producer is not None
        commit = publisher._producer.commit_transaction

        async def commit_later() -> None:
            sent.set()
            await switched_off.wait()
            await commit()

        publisher._producer.commit_transaction = commit_later
        publishing = asyncio.create_task(publisher.publish(await store.pending(_shard(store), 10)))
        await sent.wait()
        if was_interrupted:
            async with store.connection() as connection, connection.transaction():
                await switch_mode(connection, Mode.STOP, "ada", "")
        await switched(kernel, Mode.STOP)
        switched_off.set()
        with pytest.raises(KafkaError):
            await publishing
    await kernel.published(0)


async def test_only_the_word_in_the_database_counts(kernel: Kernel) -> None:
    """Whoever switches without fencing is obeyed within a moment all the same."""
    async with kernel.instance() as instance:
        await kernel.ready(instance)
        async with kernel.store() as store, store.connection() as connection, connection.transaction():
            await switch_mode(connection, Mode.OBSERVE, "ada", "")
        await kernel.fails("acc-1")
        await eventually(lambda: is_counted(kernel, "acc-1"), "the input of an observing service")

        async def is_shown() -> bool:
            return bool(instance.metrics.mode.labels("observe")._value.get())

        await eventually(is_shown, "the mode in the metrics")
        await kernel.published(0)


def _shard(store: PostgresStore[Any]) -> int:
    from dunning.runtime.sharding import shard_of

    return shard_of("acc-1", store.shards)
