"""Kafka or PostgreSQL out of reach, silent or slow for a while: what is owed waits, then everything happens once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr

from dunning.contracts.topics import STAGE_CHANGED
from dunning.runtime.clients import Clients
from dunning.runtime.instance import Instance
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import OutboxRow, TopicPartition
from dunning.testing.toy import ToyAccount
from tests.faults.sizes import SIZES
from tests.kernel import SHARDS, Kernel, eventually
from tests.proxy import Proxy, database_proxy, kafka_proxy

IMPATIENT: dict[str, Any] = {"kafka_request_timeout_seconds": 3.0, "database_statement_timeout_seconds": 1.0}
ACCOUNTS, ROUNDS = 6, 3
SHARD = shard_of("acc-0", SHARDS)

How = Callable[[Proxy], AbstractAsyncContextManager[None]]
UNREACHABLE = [
    pytest.param(lambda proxy: proxy.cut(), id="cut"),
    pytest.param(lambda proxy: proxy.hanging(), id="hanging"),
]


@asynccontextmanager
async def lines(kernel: Kernel) -> AsyncIterator[tuple[Proxy, Proxy, dict[str, Any]]]:
    """Proxies before Kafka and PostgreSQL, and the settings of an instance that goes through them."""
    url = kernel.settings.database_url.get_secret_value()
    async with kafka_proxy(kernel.settings.kafka_bootstrap_servers) as kafka, database_proxy(url) as database:
        through = {
            "kafka_bootstrap_servers": kafka.address,
            "database_url": SecretStr(database.url_instead_of(url)),
        }
        yield kafka, database, {**through, **IMPATIENT}


async def failures(kernel: Kernel, round_number: int) -> None:
    """One of each account."""
    long_ago = datetime.now(UTC) - timedelta(days=1, hours=1)
    for number in range(ACCOUNTS):
        failed_at = long_ago + timedelta(minutes=round_number)
        await kernel.fails(f"acc-{number}", f"pay-{round_number}", failed_at=failed_at, partition=number % 2)


async def all_of(kernel: Kernel, rounds: int) -> None:
    """Each account's transitions are there, once and in order."""
    expected = {f"acc-{number}": list(range(1, rounds + 1)) for number in range(ACCOUNTS)}
    assert await kernel.transitions(ACCOUNTS * rounds) == expected


@pytest.mark.parametrize("how", UNREACHABLE)
async def test_a_broker_that_is_out_of_reach_leaves_the_outbox_full_and_nothing_lost(kernel: Kernel, how: How) -> None:
    async with lines(kernel) as (kafka, _, through), kernel.instance(**through) as instance, kernel.store() as store:
        await failures(kernel, 1)
        await all_of(kernel, 1)
        async with how(kafka):
            await failures(kernel, 2)
            row = OutboxRow(kernel.topic(STAGE_CHANGED), "acc-9", b"{}", (("ce_sequence", b"1"),), None, "acc-9")
            async with store.transaction() as tx:
                await tx.publish([row])

            async def told() -> bool:
                return any("DUN-R002" in each for part, each in instance.health.troubles.items() if "outbox" in part)

            await eventually(told, "an alarm of the relay")
            await asyncio.sleep(SIZES.broker_away_seconds)
            assert sum([len(await store.pending(shard, 10)) for shard in range(store.shards)]) == 1
        found = await kernel.transitions(ACCOUNTS * 2 + 1)
        await kernel.ready(instance)

    assert found == {"acc-9": [1], **{f"acc-{number}": [1, 2] for number in range(ACCOUNTS)}}


@pytest.mark.parametrize("how", UNREACHABLE)
async def test_where_only_publishing_has_no_broker_intake_goes_on_to_the_bound_of_the_outbox_and_waits(
    kernel: Kernel, how: How
) -> None:
    """What was asked for before the bound was told is taken still, one batch of a lane; what comes later is not."""
    bound, batch, behind_it = 40, 10, 160
    tp = TopicPartition(kernel.topic("payment.failed"), 0)
    async with lines(kernel) as (kafka, _, _), kernel.store() as store:
        only_publishing = Clients(producer=partial(through, kafka))
        async with kernel.instance(
            clients=only_publishing, outbox_rows_max=bound, batch_records=batch, **IMPATIENT
        ) as instance:
            await kernel.ready(instance)
            async with how(kafka):
                await one_account(kernel, range(bound))
                await eventually(lambda: has_trouble(instance, "outbox", "DUN-R015"), "the bound")
                await one_account(kernel, range(bound, bound + behind_it))
                await eventually(
                    lambda: has_trouble(instance, f"outbox shard {SHARD}", "DUN-R002"), "the relay's alarm"
                )
                waiting = len(await store.pending(SHARD, 1000))
                await asyncio.sleep(SIZES.broker_away_seconds)
                assert len(await store.pending(SHARD, 1000)) == waiting == (await instance.intake.done())[tp].offset
                assert bound <= waiting <= bound + batch
            found = await kernel.transitions(bound + behind_it)
            await kernel.ready(instance)

    assert found == {"acc-0": list(range(1, bound + behind_it + 1))}


def through(kafka: Proxy, **arguments: Any) -> AIOKafkaProducer:
    """A producer whose line goes through a proxy."""
    return AIOKafkaProducer(**{**arguments, "bootstrap_servers": kafka.address})


async def one_account(kernel: Kernel, payments: range) -> None:
    for number in payments:
        await kernel.fails("acc-0", f"pay-{number}")


async def has_trouble(instance: Instance[ToyAccount], part: str, code: str) -> bool:
    return code in instance.health.troubles.get(part, "")


@pytest.mark.parametrize("how", UNREACHABLE)
async def test_a_database_that_is_out_of_reach_costs_no_event_and_doubles_none(kernel: Kernel, how: How) -> None:
    async with lines(kernel) as (_, database, through), kernel.instance(**through) as instance:
        await failures(kernel, 1)
        await all_of(kernel, 1)
        async with how(database):
            await failures(kernel, 2)

            async def told() -> bool:
                return any("DUN-R003" in each for each in instance.health.troubles.values())

            await eventually(told, "an alarm")
        await all_of(kernel, 2)
        await kernel.ready(instance)


async def test_slow_lines_slow_down_and_nothing_else(kernel: Kernel) -> None:
    async with (
        lines(kernel) as (kafka, database, through),
        kernel.instance(**through),
        kafka.slow(0.1),
        database.slow(0.02),
    ):
        for number in range(1, ROUNDS + 1):
            await failures(kernel, number)
        await all_of(kernel, ROUNDS)


async def test_lines_that_break_again_and_again_under_load(kernel: Kernel) -> None:
    async with lines(kernel) as (kafka, database, through), kernel.instance(**through):

        async def break_them() -> None:
            for number in range(1, ROUNDS + 1):
                async with kafka.cut(), database.cut():
                    await failures(kernel, number)
                await kernel.published_at_least(number)

        await asyncio.wait_for(break_them(), 60)
        await all_of(kernel, ROUNDS)
