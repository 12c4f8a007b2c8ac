"""`python -m tests.model --accounts 10000 --seed 1`: compare that many random histories."""

import argparse
import sys
import time
from pathlib import Path

from tests.model.hunt import Found, hunt
from tests.model.shrink import shrunk

TELL_EVERY = 1_000


def tell(seed: int, done: int) -> None:
    if done % TELL_EVERY == 0:
        print(f"{done} accounts from seed {seed} on", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first account; the next ones follow it")
    parser.add_argument("--jobs", type=int, default=1, help="processes that compare at the same time")
    parser.add_argument("--out", type=Path, default=None, help="where to leave the files of a difference")
    options = parser.parse_args()
    started = time.monotonic()
    found = hunt(options.seed, options.accounts, told=lambda done: tell(options.seed, done), jobs=options.jobs)
    if found is None:
        seconds = time.monotonic() - started
        print(f"{options.accounts} accounts from seed {options.seed} on: no difference ({seconds:.0f} s)")
        return 0
    print(f"seed {found.seed}: simulator and model differ; making it small", flush=True)
    small = Found(found.seed, shrunk(found.scenario))
    print(small.report())
    if options.out:
        small.write_to(options.out)
    return 1


if __name__ == "__main__":
    sys.exit(main())
