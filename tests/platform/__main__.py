"""`python -m tests.platform --seeds 1000 --from 1`: play many seeds; `--seed N` replays one and tells what happened."""

import argparse
import os
import sys

from tests.platform.bugs import planted
from tests.platform.many import many, search_all, told
from tests.platform.run import be_quiet, play

_HASHED = "PYTHONHASHSEED"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.platform", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--from", type=int, default=1, dest="first", metavar="SEED")
    parser.add_argument("--seed", type=int, help="replay this one and tell what happened")
    parser.add_argument("--bug", help="plant a bug (tests/platform/bugs.py)")
    parser.add_argument("--every-bug", action="store_true", help="plant each alone, and tell which seed finds it")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if os.environ.get(_HASHED) != "0":  # sets of names keep their order, whoever runs it
        os.execve(sys.executable, [sys.executable, "-m", "tests.platform", *sys.argv[1:]], {**os.environ, _HASHED: "0"})
    if options.seed is not None:
        return _replay(options.seed, options.bug)
    if options.every_bug:
        return search_all(options.seeds, options.workers)
    return told(many(options.first, options.seeds, options.bug, options.workers))


def _replay(seed: int, bug: str | None) -> int:
    be_quiet()
    with planted(bug):
        run = play(seed, tell=print)
    for wrong in run.wrong:
        print(f"WRONG {wrong}")
    print(f"seed {seed}: {run.steps} steps, {run.events} records, faults {dict(run.faults)}")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
