"""How many events a second one service and all three work off, beside what does the same job one event at a time, and
beside two stream processors that do less.

Two baselines are the same service with batches of one record: the same decisions, tables and events, one transaction
for each event, one at a time and eight at once. So their ratio shows what batching is worth here, and nothing else.
Faust and Quix Streams (`tests/bench/peers`) keep a case and publish a transition.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dunning.contracts.topics import RETRY_SCHEDULER, SERVICES
from tests.bench.figures import Figure, Goal, Part, ratio
from tests.bench.load import write
from tests.bench.measure import Measured, Wrong, measure
from tests.bench.peers import FAUST, QUIX, Peer, measure_peer, require_installed
from tests.bench.place import Place, own_place

ONE_AT_A_TIME, EIGHT_AT_ONCE = "one transaction per event, one at a time", "one transaction per event, eight at once"
ONE_SERVICE, ALL_SERVICES = "one service", "all three services"
RATE_GOALS = {ONE_SERVICE: Goal(20_000), ALL_SERVICES: Goal(7_000)}
CPU_GOAL = Goal(80, at_most=True)
RATIO_GOALS = {EIGHT_AT_ONCE: Goal(20), FAUST.name: Goal(6), QUIX.name: Goal(0.7)}


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of doing the job."""

    name: str
    services: tuple[str, ...]
    events: int
    settings: Mapping[str, str]


def trials(events: int) -> list[Trial]:
    """The baselines get fewer events: they would take an hour otherwise."""
    one_at_a_time = {"DUNNING_BATCH_RECORDS": "1", "DUNNING_LANES": "1"}
    eight_at_once = {"DUNNING_BATCH_RECORDS": "1", "DUNNING_LANES": "8"}
    return [
        Trial(ONE_AT_A_TIME, (RETRY_SCHEDULER,), max(300, events // 60), one_at_a_time),
        Trial(EIGHT_AT_ONCE, (RETRY_SCHEDULER,), max(500, events // 20), eight_at_once),
        Trial(ONE_SERVICE, (RETRY_SCHEDULER,), events, {}),
        Trial(ALL_SERVICES, SERVICES, events, {}),
    ]


def measure_services(events: int, runs: int) -> Part:
    """The part of `make bench`: each measurement with servers of its own. Raises Wrong."""
    require_installed()
    results: dict[str, list[Measured]] = {}
    for run in range(runs):
        ways: list[Trial | Peer] = [*trials(events), FAUST, QUIX]
        for way in ways:
            try:
                with own_place() as place:
                    doing = of_trial(place, way) if isinstance(way, Trial) else of_peer(place, way, events)
                    measured = asyncio.run(doing)
            except Wrong as error:
                raise Wrong(f"{way.name}: {error}") from None
            results.setdefault(way.name, []).append(measured)
            told = f"{measured.per_second:.0f} events/s, {measured.cpu_microseconds:.0f} us CPU an event"
            print(f"  run {run + 1}  {way.name}: {told}", flush=True)
    return Part(figures_of(results), {name: [each.as_json() for each in runs] for name, runs in results.items()})


async def of_trial(place: Place, trial: Trial) -> Measured:
    """From the last look at which nothing was stored to the last published event. Raises Wrong."""
    await place.prepare(trial.services)
    await write(place.bootstrap, place.prefix, trial.events)
    with place.running(trial.services, **trial.settings) as pids:
        return await measure(place.database, trial.services, trial.events, {**pids, **place.servers})


async def of_peer(place: Place, peer: Peer, events: int) -> Measured:
    """The same input for a stream processor. Raises Wrong."""
    await place.prepare(())
    await write(place.bootstrap, place.prefix, events)
    return await measure_peer(peer, place.bootstrap, place.prefix, events, place.servers, place.folder)


def figures_of(results: Mapping[str, Sequence[Measured]]) -> list[Figure]:
    """Rates and CPU of each, then how many times a service is what it is measured beside."""
    rates = {name: [each.per_second for each in runs] for name, runs in results.items()}
    figures = []
    for name, runs in results.items():
        figures.append(Figure(name, "events/s", rates[name], RATE_GOALS.get(name)))
        cpu = [each.cpu_microseconds for each in runs]
        figures.append(Figure(f"{name}: CPU an event", "us", cpu, CPU_GOAL if name == ONE_SERVICE else None))
    for name, rate in rates.items():
        if name not in RATE_GOALS:
            figures.append(ratio(f"{ONE_SERVICE} to {name}", rates[ONE_SERVICE], rate, RATIO_GOALS.get(name)))
    return figures
