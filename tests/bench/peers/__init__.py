"""Stream processors beside which the services are measured, in the same run.

What they do is less than a service does, and as much as makes a comparison fair: read the failures, open a case for an
invoice's first one, keep it, and publish a transition. Neither decides a retry, checks what it reads, knows an event
under two names, or has timers; Faust's effects are not exactly once. Each runs as its manual shows it, in one process,
in `.venv/peers`, which `make bench` installs from `requirements/peers.txt`.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dunning.contracts.topics import PARTITIONS, PAYMENT_FAILED
from tests.bench.measure import STALL_SECONDS_MAX, Measured, Wrong, cpu_of

HERE = Path(__file__).parent
PYTHON = HERE.parents[2] / ".venv" / "peers" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Peer:
    """A stream processor and how it is started."""

    name: str
    arguments: tuple[str, ...]


FAUST = Peer("a Faust agent with a table", ("faust_agent.py", "worker", "--loglevel", "warn", "--without-web"))
QUIX = Peer("Quix Streams, exactly once, no timers, no SQL", ("quix_streams.py",))


def require_installed() -> None:
    """Raises Wrong where the peers have no environment: said before all else was measured for nothing."""
    if not PYTHON.exists():
        raise Wrong(f"{PYTHON} is missing; `make bench` installs it")


async def measure_peer(
    peer: Peer, bootstrap: str, prefix: str, expected: int, servers: Mapping[str, int], folder: Path
) -> Measured:
    """From the last look at which no transition could be read to the last one. Raises Wrong where one is missing."""
    target = f"{prefix}peer.stage.changed"
    await _create(bootstrap, target)
    with _running(peer, bootstrap, prefix, target, folder) as process:
        try:
            return await _read(bootstrap, target, expected, process, servers)
        except Wrong as error:
            raise Wrong(f"{peer.name}: {error}; {_last_words(folder)}") from None


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    finally:
        await admin.close()


async def _read(
    bootstrap: str, topic: str, expected: int, process: subprocess.Popen[bytes], servers: Mapping[str, int]
) -> Measured:
    """Counts what can be read; the reader's own work is part of the machine's, as a subscriber's would be."""
    pids = {"peer": process.pid, **servers}
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer:
        seen, give_up = set[bytes](), time.monotonic() + STALL_SECONDS_MAX
        began, cpu = time.monotonic(), cpu_of(pids)
        while len(seen) < expected:
            if not seen:
                began, cpu = time.monotonic(), cpu_of(pids)
            found = await consumer.getmany(timeout_ms=50)
            records = [record for batch in found.values() for record in batch]
            seen.update(record.value for record in records)
            if records:
                give_up = time.monotonic() + STALL_SECONDS_MAX
            if process.poll() is not None or time.monotonic() > give_up:
                raise Wrong(f"{len(seen)} transitions were published instead of {expected}")
        seconds, used = time.monotonic() - began, cpu_of(pids)
    return Measured(expected, seconds, began, {name: used[name] - cpu[name] for name in used})


@contextmanager
def _running(peer: Peer, bootstrap: str, prefix: str, target: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "BOOTSTRAP": bootstrap,
        "SOURCE": f"{prefix}{PAYMENT_FAILED}",
        "TARGET": target,
        "PARTITIONS": str(PARTITIONS),
        "STATE": str(folder / "state"),
    }
    script, *arguments = peer.arguments
    with (folder / "peer.log").open("ab") as log:
        process = subprocess.Popen(
            [PYTHON, HERE / script, *arguments],
            env={**os.environ, **environment},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()


def _last_words(folder: Path) -> str:
    return next(iter((folder / "peer.log").read_text().strip().splitlines()[-1:]), "it said nothing")
