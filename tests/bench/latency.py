"""From produced to published: how long after a failure was sent a subscriber reads what was decided, committed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from dunning.contracts.topics import ACCOUNT_ENFORCEMENT, RETRY_SCHEDULER, SERVICES
from tests.bench.figures import Figure, Goal, Part, number, percentile
from tests.bench.measure import Wrong
from tests.bench.place import Place, own_place
from tests.bench.steady import behind, keeping_up, steady_load, subscriber, until

P50, P99 = Goal(60, at_most=True), Goal(250, at_most=True)
WAYS = {
    "one service": (RETRY_SCHEDULER,),
    "all three services": SERVICES,
}
TELLING = (RETRY_SCHEDULER, ACCOUNT_ENFORCEMENT)  # the policy of the bench has no notice of a first failure
WARM_UP_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds from sent to read, of each transition after the first seconds."""

    milliseconds: Sequence[float]

    @property
    def p50(self) -> float:
        return percentile(self.milliseconds, 50)

    @property
    def p99(self) -> float:
        return percentile(self.milliseconds, 99)


def measure_latency(per_second: int, seconds: int, runs: int) -> Part:
    """The part of `make bench`: one service and all three, in turn."""
    measured: dict[str, list[Delays]] = {}
    for run in range(runs):
        for name, services in WAYS.items():
            with own_place() as place:
                delays = asyncio.run(delays_of(place, services, per_second, seconds))
            measured.setdefault(name, []).append(delays)
            print(f"  run {run + 1}  {name}: p50 {delays.p50:.0f} ms, p99 {delays.p99:.0f} ms", flush=True)
    figures = []
    for name, runs_of in measured.items():
        at = f"produced to published at {number(per_second)}/s, {name}"
        figures.append(Figure(f"{at}: p50", "ms", [each.p50 for each in runs_of], P50))
        figures.append(Figure(f"{at}: p99", "ms", [each.p99 for each in runs_of], P99))
    return Part(figures, {name: [as_json(each) for each in runs_of] for name, runs_of in measured.items()})


async def delays_of(
    place: Place, services: Sequence[str], per_second: float, seconds: float, warm_up_seconds: float = WARM_UP_SECONDS
) -> Delays:
    """So many failures a second for so long, once all keep up. Raises Wrong unless each makes one transition."""
    await place.prepare(services)
    telling = [service for service in services if service in TELLING]
    with place.running(services):
        async with subscriber(place) as seen, steady_load(place, per_second) as load:
            await keeping_up(seen, load, telling, per_second)
            before = len(load.sent)
            await asyncio.sleep(warm_up_seconds + seconds)
            load.stopping = True
            await until(lambda: behind(seen, load, telling) == 0, "all transitions")
    invoices = list(load.sent)[before + round(per_second * warm_up_seconds) :]
    if seen.repeated or behind(seen, load, telling):
        raise Wrong(f"{len(seen.at)} transitions, {seen.repeated} repeated, of {len(load.sent)} failures")
    sent_by = [(f"/dunning/{each}", invoice) for invoice in invoices for each in telling]
    return Delays([(seen.at[name] - load.sent[name[1]]) * 1000 for name in sent_by])


def as_json(delays: Delays) -> dict[str, object]:
    return {"transitions": len(delays.milliseconds), "p50_ms": delays.p50, "p99_ms": delays.p99}
