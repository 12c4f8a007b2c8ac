"""`python -m tests.chaos --seed N --minutes 10`: faults of a seed on the real platform. Exits with 1 if it gave in."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from tests.chaos.plan import Kind
from tests.chaos.run import Outcome, play

_SHOWN_MAX = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=_positive, default=10)
    parser.add_argument("--per-second", type=_positive, default=2, help="new failed payments")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that is away is the point of it
    evidence = Path("build") / f"chaos-{options.seed}"
    print(f"seed {options.seed}: {options.minutes:g} minutes of faults", flush=True)
    outcome = asyncio.run(play(options.seed, options.minutes * 60, per_second=options.per_second, evidence=evidence))
    _tell(outcome)
    if not outcome.is_good:
        print(f"logs and events: {evidence}")
    return 0 if outcome.is_good else 1


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def _tell(outcome: Outcome) -> None:
    for kind in Kind:
        print(f"{outcome.faults[kind]:>6}  {kind}")
    print(
        f"{outcome.faults.total():>6}  faults; settled {outcome.settled_after_seconds:.0f} s after the last was healed"
    )
    for name, number in outcome.looked_at.items():
        print(f"{number:>6}  {name}")
    for line in outcome.ended_by_themselves:
        print(f"not told to end: {line}")
    for line in outcome.unwell:
        print(f"not ready though everything is healed: {line}")
    for name in outcome.stubborn:
        print(f"did not end when it was told to: {name}")
    for violation in outcome.violations[:_SHOWN_MAX]:
        print(f"WRONG {violation}")
    print("every promise was kept" if outcome.is_good else f"{len(outcome.violations)} violations")


if __name__ == "__main__":
    sys.exit(main())
