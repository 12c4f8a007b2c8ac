"""How much memory a service takes while it works off very many events, and while very many timers are due at once.

Its resident size is sampled from the first to the last of them. Growth is the median of the last quarter of the samples
in relation to that of the first.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dunning.contracts.topics import RETRY_SCHEDULER
from tests.bench.figures import Figure, Goal, Part, course, growth, number
from tests.bench.load import write
from tests.bench.measure import measure
from tests.bench.place import Place, own_place
from tests.bench.timers import fire

FLAT = Goal(1.1, at_most=True)
SAMPLE_SECONDS = 0.25
_SERVICES = (RETRY_SCHEDULER,)


@dataclass(slots=True)
class Samples:
    """Resident size by the monotonic clock."""

    taken: list[tuple[float, float]] = field(default_factory=list)  # when, MiB

    def within(self, began: float, seconds: float) -> "Sizes":
        return Sizes([size for at, size in self.taken if began <= at <= began + seconds])


@dataclass(frozen=True, slots=True)
class Sizes:
    """MiB in the order of time."""

    mebibytes: Sequence[float]

    @property
    def growth(self) -> float:
        return growth(self.mebibytes)

    @property
    def most(self) -> float:
        return max(self.mebibytes)


def measure_memory(events: int, due: int) -> Part:
    """The part of `make bench`: first the events, then the timers."""
    with own_place() as place:
        of_events = asyncio.run(while_events(place, events))
    print(f"  {number(events)} events: {described(of_events)}", flush=True)
    with own_place() as place:
        of_timers = while_timers(place, due)
    print(f"  {number(due)} timers: {described(of_timers)}", flush=True)
    names = {f"{number(events)} events": of_events, f"{number(due)} timers due in one second": of_timers}
    figures = []
    for name, sizes in names.items():
        figures.append(Figure(f"memory over {name}: last quarter to first", "times", [sizes.growth], FLAT))
        figures.append(Figure(f"memory over {name}: at most", "MiB", [sizes.most]))
    return Part(figures, {name: list(sizes.mebibytes) for name, sizes in names.items()})


async def while_events(place: Place, events: int) -> Sizes:
    """So many first failures through the retry scheduler. Raises Wrong."""
    await place.prepare(_SERVICES)
    await write(place.bootstrap, place.prefix, events)
    with place.running(_SERVICES) as pids, sampled(pids[RETRY_SCHEDULER]) as samples:
        measured = await measure(place.database, _SERVICES, events, pids)
    return samples.within(measured.began, measured.seconds)


def while_timers(place: Place, due: int) -> Sizes:
    """So many timers, all due within one second, and none besides. Raises Wrong."""
    kept: list[Samples] = []

    @contextmanager
    def keep(pid: int) -> Iterator[None]:
        with sampled(pid) as samples:
            kept.append(samples)
            yield

    window = fire(place, due, due, keep).window
    return kept[0].within(window.began, window.seconds)


@contextmanager
def sampled(pid: int) -> Iterator[Samples]:
    """Samples of a process while the block lasts, taken in a thread of its own."""
    samples, stop = Samples(), threading.Event()

    def sample() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            samples.taken.append((time.monotonic(), resident_mebibytes(pid)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def resident_mebibytes(pid: int) -> float:
    """Its resident size now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")


def described(sizes: Sizes) -> str:
    course_of = " ".join(f"{size:.0f}" for size in course(sizes.mebibytes))
    ends = f"{sizes.mebibytes[0]:.0f} MiB at first, {sizes.most:.0f} at most"
    return f"{ends}, {sizes.growth:.2f} times in the last quarter; by tenths of the time {course_of} MiB"
