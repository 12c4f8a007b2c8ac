"""One measurement: real processes, from the last look at which nothing was stored to the last published event."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

TICKS = os.sysconf("SC_CLK_TCK")
POLL_SECONDS = 0.05
STALL_SECONDS_MAX = 120  # without any progress
DRAIN_SECONDS_MAX = 600
_STORED = "select coalesce(sum(next_offset), 0)::bigint from {schema}.offsets where topic like '%payment.failed'"
_UNPUBLISHED = "select exists (select from {schema}.outbox)"
_CASES = "select count(*) from {schema}.cases where is_open"


class Wrong(Exception):
    """The outcome is not what the input implies: no rate is worth printing."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out. `events` were dealt with, all that follows from them published, within `seconds`, which began at
    `began` of the monotonic clock."""

    events: int
    seconds: float
    began: float
    cpu_seconds: Mapping[str, float]  # by component, over that time

    @property
    def per_second(self) -> float:
        return self.events / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """CPU of all components together, per event."""
        return sum(self.cpu_seconds.values()) / self.events * 1e6

    def as_json(self) -> dict[str, object]:
        """As it is kept."""
        return {"events": self.events, "seconds": self.seconds, "cpu_seconds": dict(self.cpu_seconds)}


@contextmanager
def running(services: Sequence[str], environment: Mapping[str, str], log_dir: Path) -> Iterator[dict[str, int]]:
    """The services as processes; yields their process ids."""
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for service in services:
            with (log_dir / f"{service}.log").open("ab") as log:
                processes[service] = subprocess.Popen(
                    [sys.executable, "-m", service],
                    env={**os.environ, **environment, "DUNNING_INSTANCE_ID": f"{service}-1"},
                    stdout=log,
                    stderr=log,
                )
        yield {service: process.pid for service, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


async def measure(database_url: str, schemas: Sequence[str], expected: int, pids: Mapping[str, int]) -> Measured:
    """Wait until every schema has stored all events and published what follows. Raises Wrong."""
    connection = await asyncpg.connect(database_url)
    try:
        began, cpu = await _last_look_at_nothing(connection, schemas, pids)
        await _until_stored(connection, schemas, expected)
        await _until_published(connection, schemas)
        seconds, used = time.monotonic() - began, cpu_of(pids)
        for schema in schemas:
            cases = await connection.fetchval(_CASES.format(schema=schema))
            if cases != expected:
                raise Wrong(f"{schema} has {cases} open cases after {expected} first failures")
    finally:
        await connection.close()
    return Measured(expected, seconds, began, {name: used[name] - cpu.get(name, 0.0) for name in used})


async def _last_look_at_nothing(
    connection: "asyncpg.Connection[asyncpg.Record]", schemas: Sequence[str], pids: Mapping[str, int]
) -> tuple[float, dict[str, float]]:
    """Wait until something is stored; returns when it was not yet, and what CPU had been used by then."""
    began, used = time.monotonic(), cpu_of(pids)
    give_up = began + STALL_SECONDS_MAX
    while True:
        now, cpu = time.monotonic(), cpu_of(pids)
        if await _stored(connection, schemas):
            return began, used
        if now > give_up:
            raise Wrong(f"nothing was stored within {STALL_SECONDS_MAX} s")
        began, used = now, cpu
        await asyncio.sleep(POLL_SECONDS)


async def _until_stored(connection: "asyncpg.Connection[asyncpg.Record]", schemas: Sequence[str], count: int) -> None:
    give_up, stored = time.monotonic() + STALL_SECONDS_MAX, 0
    while stored < count:
        before, stored = stored, await _stored(connection, schemas)
        if stored > before:
            give_up = time.monotonic() + STALL_SECONDS_MAX
        elif time.monotonic() > give_up:
            raise Wrong(f"{stored} events were stored instead of {count}, and then no more")
        await asyncio.sleep(POLL_SECONDS)


async def _stored(connection: "asyncpg.Connection[asyncpg.Record]", schemas: Sequence[str]) -> int:
    """What the slowest service has stored."""
    stored: list[int] = [await connection.fetchval(_STORED.format(schema=schema)) for schema in schemas]
    return min(stored)


async def _until_published(connection: "asyncpg.Connection[asyncpg.Record]", schemas: Sequence[str]) -> None:
    give_up = time.monotonic() + DRAIN_SECONDS_MAX
    for schema in schemas:
        while await connection.fetchval(_UNPUBLISHED.format(schema=schema)):
            if time.monotonic() > give_up:
                raise Wrong(f"the outbox of {schema} was not empty within {DRAIN_SECONDS_MAX} s")
            await asyncio.sleep(POLL_SECONDS)


def cpu_of(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds that each process and its children used so far."""
    return {name: sum(_own_cpu(each) for each in _family(pid)) for name, pid in pids.items()}


def _own_cpu(pid: int) -> float:
    """User and system time, that of ended and waited-for children included."""
    with suppress(OSError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, after_name[11:15])) / TICKS
    return 0.0


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _family(int(child))
