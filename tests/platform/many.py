"""Many seeds, over all cores."""

import gc
import multiprocessing
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.platform.bugs import planted
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
    with multiprocessing.get_context("spawn").Pool(workers, be_quiet) as pool:
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
