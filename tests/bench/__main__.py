"""Measure the services and the simulator on this machine, and print every figure beside its goal.

Without a part all are measured, each in servers of its own. A rate is printed only where the outcome is what the input
implies. Sizes are those of the goals; `--quick` takes so small ones that everything is over in a few minutes, which
says that it works and nothing else.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.figures import Part, table
from tests.bench.growth import measure_growth
from tests.bench.latency import measure_latency
from tests.bench.machine import described, machine
from tests.bench.measure import Wrong
from tests.bench.memory import measure_memory
from tests.bench.restart import measure_restart
from tests.bench.simulation import measure_lifetimes
from tests.bench.throughput import measure_services
from tests.bench.timers import measure_timers

KEPT_IN = Path("build") / "bench"
PARTS: Mapping[str, Callable[[argparse.Namespace], Part]] = {
    "services": lambda sizes: measure_services(sizes.events, sizes.runs),
    "timers": lambda sizes: measure_timers(sizes.pending, sizes.due, sizes.runs),
    "latency": lambda sizes: measure_latency(sizes.rate, sizes.seconds, sizes.runs),
    "restart": lambda sizes: measure_restart(sizes.rate, sizes.kills),
    "memory": lambda sizes: measure_memory(sizes.memory_events, sizes.memory_timers),
    "growth": lambda sizes: measure_growth(tuple(sizes.open_cases), sizes.growth_events, sizes.runs),
    "simulate": lambda sizes: measure_lifetimes(sizes.lifetimes, sizes.runs),
}
QUICK = {
    "events": 3_000,
    "pending": 6_000,
    "due": 3_000,
    "rate": 200,
    "seconds": 5,
    "kills": 2,
    "memory_events": 10_000,
    "memory_timers": 6_000,
    "open_cases": [6_000, 30_000],
    "growth_events": 2_000,
    "lifetimes": 200,
    "runs": 1,
}


def main() -> int:
    sizes = parsed(sys.argv[1:])
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of topics just made, a leader is still to be elected
    began = datetime.now(UTC)
    kept: dict[str, object] = {"began": began.isoformat(timespec="seconds"), **described(), "sizes": _as_json(sizes)}
    file = sizes.json or KEPT_IN / f"{began:%Y-%m-%dT%H%M%S}.json"
    parts: dict[str, object] = {}
    failed = False
    for name in sizes.parts or PARTS:
        print(f"\n{name} on {machine()}", flush=True)
        since = time.monotonic()
        try:
            part = PARTS[name](sizes)
        except Wrong as error:
            failed = True
            print(f"{name}: no figures: {error}", file=sys.stderr, flush=True)
            parts[name] = {"no figures": str(error)}
        else:
            print(f"\n{table(part.figures)}", flush=True)
            parts[name] = {"minutes": (time.monotonic() - since) / 60, **part.as_json()}
        print(f"{name} took {(time.monotonic() - since) / 60:.1f} minutes", flush=True)
        _keep(file, {**kept, "parts": parts})
    print(f"\nkept in {file}")
    return int(failed)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Parts and sizes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"what to measure, of {', '.join(PARTS)}; default: all"
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="tiny sizes, for what is not given")
    add("--runs", type=int, default=3, help="interleaved runs; medians are printed")
    add("--events", type=int, default=300_000, help="services: first failures, as many cases are open in the end")
    add("--pending", type=int, default=1_000_000, help="timers: so many cases wait")
    add("--due", type=int, default=100_000, help="timers: so many of them are due")
    add("--rate", type=int, default=1_000, help="latency and restart: events a second")
    add("--seconds", type=int, default=30, help="latency: for so long in each run")
    add("--kills", type=int, default=7, help="restart: so often")
    add("--memory-events", type=int, default=2_000_000, help="memory: first failures")
    add("--memory-timers", type=int, default=1_000_000, help="memory: all due within one second")
    add("--open-cases", type=int, nargs=2, default=[100_000, 3_000_000], help="growth: few and many")
    add("--growth-events", type=int, default=30_000, help="growth: events in each run, an even number")
    add("--lifetimes", type=int, default=10_000, help="simulate: about so many cases")
    add("--json", type=Path, help=f"keep everything in this file instead of one in {KEPT_IN}")
    if "--quick" in arguments:
        parser.set_defaults(**QUICK)
    sizes = parser.parse_args(arguments)
    if unknown := [name for name in sizes.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}, only {', '.join(PARTS)}")
    return sizes


def _as_json(sizes: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(sizes).items() if name not in ("json", "parts")}


def _keep(file: Path, written: Mapping[str, object]) -> None:
    """After every part, so that one that is interrupted costs only itself."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
