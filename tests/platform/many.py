"""Many seeds, over all cores."""

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.pool import Pool

from tests.platform.bugs import BUGS, planted
from tests.platform.run import Run, be_quiet, play

_GARBAGE_EVERY = 20


@dataclass
class Runs:
    """What became of many seeds; the first that was wrong ends them."""

    first: int
    bug: str | None
    done: int = 0
    steps: int = 0
    events: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failed: Run | None = None


def one(task: tuple[int, str | None]) -> Run:
    """One seed, in a process that plays many."""
    seed, bug = task
    with planted(bug):
        run = play(seed)
    if seed % _GARBAGE_EVERY == 0:
        gc.collect()
    return run


def many(first: int, seeds: int, bug: str | None = None, workers: int = 2) -> Runs:
    """Seeds from `first` on."""
    began = time.monotonic()
    runs = Runs(first, bug)
    tasks = [(seed, bug) for seed in range(first, first + seeds)]
    with _workers(workers) as pool:
        for run in pool.imap(one, tasks, chunksize=2):
            runs.done += 1
            runs.faults += run.faults
            runs.steps += run.steps
            runs.events += run.events
            if run.wrong:
                runs.failed = run
                pool.terminate()
                break
    runs.seconds = time.monotonic() - began
    return runs


def search(task: tuple[str, int]) -> tuple[str, Run | None]:
    """A planted bug, and the first of so many seeds that shows it."""
    bug, seeds = task
    runs = (one((seed, bug)) for seed in range(1, seeds + 1))
    return bug, next((run for run in runs if run.wrong), None)


def search_all(seeds: int, workers: int = 2) -> int:
    """Plant every bug alone, and say which seed found it, and how; the exit code says whether all were found."""
    missed = 0
    with _workers(workers) as pool:
        tasks = [(bug, seeds) for bug in BUGS]
        for bug, run in pool.imap_unordered(search, tasks):
            missed += run is None
            print(f"{bug}: seed {run.seed}: {run.wrong[0]}" if run else f"{bug}: not found by {seeds} seeds")
    return 1 if missed else 0


@contextmanager
def _workers(count: int) -> Iterator[Pool]:
    """Processes that have read all code already; what they inherit is no garbage to look through."""
    be_quiet()
    gc.collect()
    gc.freeze()
    with multiprocessing.get_context("fork").Pool(count) as pool:
        yield pool


def told(runs: Runs) -> int:
    """Say it, and give the exit code."""
    failed = runs.failed
    if failed is not None:
        named = f" --bug '{runs.bug}'" if runs.bug else ""
        print(f"seed {failed.seed}: {failed.wrong[0]}")
        print(f"({len(failed.wrong)} things are wrong; {runs.done - 1} seeds from {runs.first} on were right)")
        print(f"replay it with: python -m tests.platform --seed {failed.seed}{named}")
        return 1
    rate = runs.done / runs.seconds
    print(f"{runs.done} seeds from {runs.first} on: nothing is wrong ({runs.seconds:.0f} s, {rate:.1f} a second)")
    print(f"{runs.steps} steps, {runs.events} records, {runs.faults.total()} faults:")
    for kind, count in sorted(runs.faults.items()):
        print(f"  {count:7d} {kind}")
    return 0
