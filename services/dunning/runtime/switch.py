"""Switching a service's mode from outside (rule 42), so that when it is done nothing slips out any more.

The word is committed first: from then on no timer fires, no errand begins and no row is fetched for publishing. What
the relays were sending at that very moment is fenced off at the broker, like a stale instance (rule 41); and errands
that were begun before, such as a mail in the middle of a conversation with a server, are waited for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

import asyncpg

from dunning.contracts.topics import PAYMENT_FAILED
from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.mode import Mode
from dunning.runtime.postgres.connections import driver_errors_translated
from dunning.runtime.postgres.modes import Switch, present_mode, switch_mode
from dunning.runtime.publisher import Publisher
from dunning.runtime.settings import Settings

_BEGUN_LOOK_SECONDS = 0.1
_SHARDS = "select value::text::integer from facts where name = 'outbox_shards'"
_BEGUN = "select count(*) from errands where state = 'begun'"
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
    """Switch one service, and wait until nothing of the former mode can go out any more."""
    async with service_schema(settings, service) as connection:
        former = await present_mode(connection)
        async with connection.transaction():
            done = await switch_mode(connection, to, by, reason)
        if done is None or former in (Mode.OBSERVE, Mode.STOP):
            return Switched(service, to, done)
        shards = await connection.fetchval(_SHARDS)
        unfenced = await _fence(settings, service, shards)
        return Switched(service, to, done, unfenced, await _wait_for_the_begun(connection, patience_seconds))


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


async def _fence(settings: Settings, service: str, shards: int) -> str | None:
    """Take each shard's producer away from whoever has it: its open transaction ends, one way or the other. An instance
    gets it back when it looks again, and finds nothing that may leave."""
    marker_topic = settings.topic_prefix + PAYMENT_FAILED

    async def one(shard: int) -> None:
        async with Publisher(settings, service, shard, marker_topic):
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
