"""Measure the throughput of one service and of all three, beside one transaction per event and two stream processors;
and of the simulator.

Two baselines are the same service with batches of one record: the same decisions, tables and events, one transaction
for each event, one at a time and eight at once. So their ratio shows what batching is worth here, and nothing else.
Faust and Quix Streams (`tests/bench/peers`) do less than a service. The simulator's baseline is itself, in one process.
"""

import argparse
import asyncio
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from dunning.contracts.topics import ACCOUNT_ENFORCEMENT, NOTIFICATION_DISPATCHER, RETRY_SCHEDULER
from dunning.runtime.migrate import migrate
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.topics import create_topics
from tests import stack
from tests.bench import simulation
from tests.bench.load import write
from tests.bench.measure import Measured, Wrong, measure, running
from tests.bench.peers import PEERS, Peer, measure_peer

ALL = (RETRY_SCHEDULER, NOTIFICATION_DISPATCHER, ACCOUNT_ENFORCEMENT)
SERVICES, SIMULATE = "services", "simulate"
ONE_SERVICE, ALL_SERVICES = "one service", "all three services"


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of doing the job."""

    name: str
    services: tuple[str, ...]
    events: int
    settings: Mapping[str, str]


def trials(events: int) -> list[Trial]:
    """The baseline gets fewer events: it would take an hour otherwise."""
    one_at_a_time = {"DUNNING_BATCH_RECORDS": "1", "DUNNING_LANES": "1"}
    eight_at_a_time = {"DUNNING_BATCH_RECORDS": "1", "DUNNING_LANES": "8"}
    return [
        Trial("one transaction per event, one at a time", (RETRY_SCHEDULER,), max(500, events // 40), one_at_a_time),
        Trial("one transaction per event, eight at once", (RETRY_SCHEDULER,), max(500, events // 10), eight_at_a_time),
        Trial(ONE_SERVICE, (RETRY_SCHEDULER,), events, {}),
        Trial(ALL_SERVICES, ALL, events, {}),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[SERVICES, SIMULATE, []], help="leave out the rest; default: both")
    parser.add_argument("--events", type=int, default=30_000, help="first failures per measurement of services")
    parser.add_argument("--lifetimes", type=int, default=3_000, help="about so many cases per simulation")
    parser.add_argument("--runs", type=int, default=3, help="interleaved runs; the medians are printed")
    parser.add_argument("--json", type=Path, help="also write what was measured to this file")
    options = parser.parse_args()
    what = options.what or [SERVICES, SIMULATE]
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of topics just made, a leader is still to be elected
    written: dict[str, object] = {"machine": machine(), "commit": commit()}
    try:
        if SERVICES in what:
            print(f"{options.runs} interleaved runs of {options.events} events on {machine()}", flush=True)
            written["results"] = as_json(measure_services(options.events, options.runs))
        if SIMULATE in what:
            print(f"{options.runs} interleaved runs of the simulator on {machine()}", flush=True)
            lifetimes = simulation.measure_simulation(options.lifetimes, options.runs)
            simulation.report(lifetimes)
            written["simulations"] = simulation.as_json(lifetimes)
    except Wrong as error:
        print(f"no figures: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    return 0


def measure_services(events: int, runs: int) -> dict[str, list[Measured]]:
    """Interleaved runs of all trials, and the report. Raises Wrong."""
    results: dict[str, list[Measured]] = {}
    for number in range(runs):
        for trial in trials(events):
            measured = one(trial)
            results.setdefault(trial.name, []).append(measured)
            print(f"  run {number + 1}  {described(trial.name, [measured])}", flush=True)
        for peer in PEERS:
            measured = beside(peer, events)
            results.setdefault(peer.name, []).append(measured)
            print(f"  run {number + 1}  {described(peer.name, [measured])}", flush=True)
    report(results)
    return results


def one(trial: Trial) -> Measured:
    """A measurement in a stack of its own, so that none inherits another's tables, caches and logs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)  # the database server runs as a user of its own where we are root
        with stack.kept(root / "stack") as settings:
            return asyncio.run(_one(trial, settings, root))


def beside(peer: Peer, events: int) -> Measured:
    """The same input for a stream processor, in a stack of its own as well."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)
        with stack.kept(root / "stack") as settings:
            return asyncio.run(_beside(peer, settings, events, root))


async def _beside(peer: Peer, settings: Mapping[str, str], events: int, root: Path) -> Measured:
    prefix, bootstrap = f"bench{uuid.uuid4().hex[:8]}.", settings[stack.KAFKA]
    given = {"kafka_bootstrap_servers": bootstrap, "database_url": settings[stack.DATABASE], "topic_prefix": prefix}
    await create_topics(load_settings(Settings, **given))
    await write(bootstrap, prefix, events)
    return await measure_peer(peer, bootstrap, prefix, events, int(settings["DUNNING_PIDS_KAFKA"]), root)


async def _one(trial: Trial, settings: Mapping[str, str], root: Path) -> Measured:
    prefix = f"bench{uuid.uuid4().hex[:8]}."
    bootstrap, database = settings[stack.KAFKA], settings[stack.DATABASE]
    environment = {
        stack.KAFKA: bootstrap,
        stack.DATABASE: database,
        "DUNNING_TOPIC_PREFIX": prefix,
        "DUNNING_POLICY_DIR": str(Path(__file__).parent / "policies"),
        "DUNNING_MAX_RESTRICTIONS_PER_DAY": "1000000000",
        **trial.settings,
    }
    given = {"kafka_bootstrap_servers": bootstrap, "database_url": database, "topic_prefix": prefix}
    await create_topics(load_settings(Settings, **given))
    for service in trial.services:
        await migrate(database, service, start=datetime(2000, 1, 1, tzinfo=UTC))
    await write(bootstrap, prefix, trial.events)
    infra = {name: int(settings[f"DUNNING_PIDS_{name.upper()}"]) for name in ("kafka", "postgres")}
    with running(trial.services, environment, root) as pids:
        try:
            return await measure(database, trial.services, trial.events, {**pids, **infra})
        except Wrong as error:
            raise Wrong(f"{trial.name}: {error}; {_last_words(root, trial.services)}") from None


def _last_words(root: Path, services: Sequence[str]) -> str:
    said = ((root / f"{service}.log").read_text().strip().splitlines() for service in services)
    return "; ".join(lines[-1] for lines in said if lines)


def report(results: Mapping[str, Sequence[Measured]]) -> None:
    """Medians, and ratios to the baseline of the same run."""
    print("\nmedians")
    for name, measured in results.items():
        print(f"  {described(name, measured)}")
    for name, baseline in product((ONE_SERVICE, ALL_SERVICES), results):
        if baseline not in (ONE_SERVICE, ALL_SERVICES):
            print(f"  {name}: {_rate(results[name]) / _rate(results[baseline]):.2f} times the rate of {baseline}")


def described(name: str, measured: Sequence[Measured]) -> str:
    cpu = statistics.median(each.cpu_microseconds for each in measured)
    return f"{name:<42} {_rate(measured):>9.0f} events/s  {cpu:>7.0f} us CPU an event"


def _rate(measured: Sequence[Measured]) -> float:
    return statistics.median(each.per_second for each in measured)


def machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {platform.system()}"


def commit() -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()


def as_json(results: Mapping[str, Sequence[Measured]]) -> dict[str, object]:
    return {
        name: [
            {"events": each.events, "seconds": each.seconds, "cpu_seconds": dict(each.cpu_seconds)} for each in measured
        ]
        for name, measured in results.items()
    }


if __name__ == "__main__":
    sys.exit(main())
