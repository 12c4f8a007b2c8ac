"""`python -m tests.model --accounts 10000 --seed 1`: compare that many random histories."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.model.hunt import Found, all_found, hunt
from tests.model.shrink import shrunk

TELL_EVERY = 1_000


def teller(seed: int) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done % TELL_EVERY == 0:
            print(f"{done} accounts from seed {seed} on", flush=True)

    return tell


def every(options: argparse.Namespace) -> int:
    """The seeds of all that differ, for a night; none is made small."""
    number = 0
    for found in all_found(options.seed, options.accounts, teller(options.seed), options.jobs, options.times):
        print(f"seed {found.seed}: simulator and model differ", flush=True)
        number += 1
    return number


def first(options: argparse.Namespace) -> int:
    found = hunt(options.seed, options.accounts, teller(options.seed), options.jobs, options.times)
    if found is None:
        return 0
    print(f"seed {found.seed}: simulator and model differ; making it small", flush=True)
    small = Found(found.seed, shrunk(found.scenario))
    print(small.report())
    if options.out:
        small.write_to(options.out)
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first account; the next ones follow it")
    parser.add_argument("--times", type=int, default=1, help="as much as usual happens in each history")
    parser.add_argument("--jobs", type=int, default=1, help="processes that compare at the same time")
    parser.add_argument("--all", action="store_true", help="go on after a difference, and name the seeds of all")
    parser.add_argument("--out", type=Path, default=None, help="where to leave the files of a difference")
    options = parser.parse_args()
    started = time.monotonic()
    differing = every(options) if options.all else first(options)
    if differing == 0 or options.all:
        told, seconds = f"{differing} differ" if differing else "no difference", time.monotonic() - started
        print(f"{options.accounts} accounts from seed {options.seed} on: {told} ({seconds:.0f} s)")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
