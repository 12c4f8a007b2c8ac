"""Switching a service's mode from outside (rule 42), so that when it is done nothing slips out any more.

The word is committed first: from then on no timer fires, no errand begins and no row is fetched for publishing. What
the relays were sending at that very moment is fenced off at the broker, like a stale instance (rule 41); and errands
that were begun before, such as a mail in the middle of a conversation with a server, are waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

import asyncpg

from dunning.contracts.topics import PAYMENT_FAILED, inputs_of, observed_topic, outputs_of_services
from dunning.runtime.broker_log import KAFKA_TROUBLES, BrokerLog
from dunning.runtime.mode import Mode, observed_schema
from dunning.runtime.observer import observing_settings
from dunning.runtime.postgres.connections import driver_errors_translated
from dunning.runtime.postgres.modes import Switch, present_mode, switch_mode
from dunning.runtime.postgres.shadow import follow
from dunning.runtime.publisher import Publisher
from dunning.runtime.settings import Settings
from dunning.runtime.store import TopicPartition

_BEGUN_LOOK_SECONDS = 0.1
_SHARDS = "select value::text::integer from facts where name = 'outbox_shards'"
# Whose lease ran out is in nobody's hands: its worker vanished, and the next one says so once the service acts again.
_BEGUN = "select count(*) from errands where state = 'begun' and due_at > clock_timestamp()"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@dataclass(frozen=True, slots=True)
class Switched:
    """What a switch did. Without `switch`, the mode was the wanted one already."""

    service: str
    mode: Mode
    switch: Switch | None
    unfenced: str | None = None  # why what was just being published could not be stopped
    begun: int = 0  # errands that were begun before and have not ended yet


async def switch(
    settings: Settings, service: str, to: Mode, by: str, reason: str, *, patience_seconds: float = 30
) -> Switched:
    """Switch one service, and wait until nothing of the former mode can go out any more.

    Said again, it makes sure again: whoever switched before may have died, or Kafka may not have answered.
    """
    peers_at = await _ends_of_shadows(settings, service) if to is Mode.OBSERVE else {}
    async with service_schema(settings, service) as connection:
        done = await _commit(connection, service, to, by, reason, peers_at)
        shards, unfenced = await connection.fetchval(_SHARDS), None
        if done is not None and done.from_mode is Mode.OBSERVE:
            unfenced = await _fence(settings, observing_settings(settings), service, shards)
        if to is Mode.ACT:
            return Switched(service, to, done, unfenced)
        unfenced = await _fence(settings, settings, service, shards) or unfenced
        return Switched(service, to, done, unfenced, await _wait_for_the_begun(connection, patience_seconds))


async def begin(connection: Connection, service: str, initial: Mode) -> Mode:
    """The mode in force; at the first start of a service the one that its settings say."""
    known = await present_mode(connection)
    if known is not None:
        return known
    await _commit(connection, service, initial, "DUNNING_MODE", "the first start", {}, only_first=True)
    return await present_mode(connection) or initial


async def _commit(
    connection: Connection,
    service: str,
    to: Mode,
    by: str,
    reason: str,
    peers_at: Mapping[TopicPartition, int],
    *,
    only_first: bool = False,
) -> Switch | None:
    """One transaction. The table's lock waits for whoever is about to act, and is taken before the snapshot is: so the
    shadow is made of all that was done."""
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("lock table present_mode in exclusive mode")
        if only_first and await present_mode(connection) is not None:  # another instance was first
            return None
        done = await switch_mode(connection, to, by, reason)
        if done is not None:
            await follow(connection, service, observed_schema(service), to, peers_at)
        return done


@asynccontextmanager
async def service_schema(settings: Settings, service: str) -> AsyncIterator[Connection]:
    """A connection that sees the schema of one service and may write to it."""
    with driver_errors_translated():
        connection = await asyncpg.connect(
            settings.database_url.get_secret_value(),
            timeout=10,
            ssl=settings.database_tls(),
            server_settings={"search_path": service, "application_name": "dunning mode", "timezone": "UTC"},
        )
    try:
        with driver_errors_translated():
            yield connection
    finally:
        await connection.close()


async def _ends_of_shadows(settings: Settings, service: str) -> dict[TopicPartition, int]:
    """What the peers' shadows said before belongs to an earlier observation."""
    outputs = outputs_of_services()
    topics = [settings.topic_prefix + observed_topic(topic) for topic in inputs_of(service) if topic in outputs]
    if not topics:
        return {}
    async with BrokerLog(settings, topics) as log:
        return dict(await log.ends(list(await log.partitions())))


async def _fence(settings: Settings, own: Settings, service: str, shards: int) -> str | None:
    """Take each shard's producer away from whoever has it: its open transaction ends, one way or the other. An instance
    gets it back when it looks again, and finds nothing that may leave."""
    marker_topic = settings.topic_prefix + PAYMENT_FAILED

    async def one(shard: int) -> None:
        async with Publisher(own, service, shard, marker_topic):
            pass

    try:
        await asyncio.gather(*(one(shard) for shard in range(shards)))
    except KAFKA_TROUBLES as error:
        return str(error) or type(error).__name__
    return None


async def _wait_for_the_begun(connection: Connection, patience_seconds: float) -> int:
    deadline = monotonic() + patience_seconds
    while True:
        begun: int = await connection.fetchval(_BEGUN)
        if not begun or monotonic() > deadline:
            return begun
        await asyncio.sleep(_BEGUN_LOOK_SECONDS)
