"""Doing to the running platform what the plan says."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import assert_never

import asyncpg

from tests.chaos.instances import Instances
from tests.chaos.plan import Fault, Kind
from tests.e2e.own_stack import OwnStack
from tests.proxy import Proxy

_SLOW_SECONDS = 0.2  # each answer, and each question
_TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"


@dataclass(frozen=True)
class Lines:
    """What one side reaches the servers through."""

    kafka: Proxy
    database: Proxy


@dataclass(frozen=True)
class World:
    """All that something can happen to."""

    servers: OwnStack
    database_url: str
    lines: dict[int, Lines]
    instances: Instances

    def signal_to(self, part: str, number: signal.Signals) -> None:
        """To a server, if it runs at this moment."""
        process = self.servers.process_of(part)
        if process is not None:
            process.send(number)


async def happen(world: World, plan: Sequence[Fault], begun_at: float) -> Counter[Kind]:
    """All of the plan, each at its time; over when the last one is healed."""
    happened: Counter[Kind] = Counter()
    async with asyncio.TaskGroup() as under_way:
        for fault in plan:
            await asyncio.sleep(max(0.0, begun_at + fault.at_seconds - time.monotonic()))
            happened[fault.kind] += 1
            under_way.create_task(_happens(world, fault))
    return happened


async def _happens(world: World, fault: Fault) -> None:
    lines = world.lines[fault.side]
    match fault.kind:
        case Kind.KILLED:
            world.instances.send(fault.instance, signal.SIGKILL)
        case Kind.STOPPED:
            world.instances.send(fault.instance, signal.SIGTERM)
        case Kind.FROZEN:
            await _lasts(fault, world.instances.frozen(fault.instance))
        case Kind.KAFKA_CUT:
            await _lasts(fault, lines.kafka.cut())
        case Kind.KAFKA_HANGS:
            await _lasts(fault, lines.kafka.hanging())
        case Kind.KAFKA_SLOW:
            await _lasts(fault, lines.kafka.slow(_SLOW_SECONDS))
        case Kind.DATABASE_CUT:
            await _lasts(fault, lines.database.cut())
        case Kind.DATABASE_HANGS:
            await _lasts(fault, lines.database.hanging())
        case Kind.DATABASE_SLOW:
            await _lasts(fault, lines.database.slow(_SLOW_SECONDS))
        case Kind.SESSIONS_ENDED:
            await _end_sessions(world.database_url)
        case Kind.BROKER_KILLED:
            world.signal_to("kafka", signal.SIGKILL)
        case Kind.BROKER_RESTARTED:
            world.signal_to("kafka", signal.SIGTERM)
        case Kind.DATABASE_STOPPED:
            world.signal_to("postgres", signal.SIGQUIT)
        case Kind.MAIL_KILLED:
            world.signal_to("mail_sink", signal.SIGKILL)
        case _:
            assert_never(fault.kind)


async def _lasts(fault: Fault, trouble: AbstractAsyncContextManager[None]) -> None:
    async with trouble:
        await asyncio.sleep(fault.lasts_seconds)


async def _end_sessions(url: str) -> None:
    with suppress(OSError, asyncpg.PostgresError, TimeoutError):  # it may be away just now
        connection = await asyncpg.connect(url, timeout=5)
        try:
            await connection.execute(_TERMINATE)
        finally:
            await connection.close(timeout=5)
