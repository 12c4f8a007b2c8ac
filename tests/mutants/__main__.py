"""`python -m tests.mutants --sample 300 --seed 1`: how many small mistakes the quick tests see (docs/mutants.md)."""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import hypothesis
import pytest

from tests.mutants.mistakes import Mistake, mistakes_in
from tests.mutants.trial import Trial, Verdict

ROOT = Path(__file__).parents[2]
_HASHED = "PYTHONHASHSEED"
KERNEL = (
    "consumer",
    "fold",
    "lane",
    "outbox_watch",
    "read_through",
    "reading",
    "relay",
    "rounds",
    "shared",
    "sweep",
    "timers",
    "turn",
)
TESTS = (
    "tests/unit/rules",
    "tests/unit/runtime",
    "tests/unit/declines",
    "tests/unit/retry_scheduler",
    "tests/unit/notification_dispatcher",
    "tests/unit/policy",
    "tests/property/test_decisions.py",
    "tests/mutants/seeds.py",
)
SECONDS_OF_A_TEST_MAX = 120  # the slowest takes 16 without a mistake where each call is noted, on a machine with time
_NOT_DECIDING = ("metrics.py", "settings.py", "__main__.py", "service.py")


@dataclass
class Verdicts:
    """All of them, told one by one."""

    file: Path
    verdicts: list[Verdict] = field(default_factory=list)

    def tell(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        line = {
            "mistake": str(verdict.mistake),
            "tests": verdict.tests,
            "seen_by": verdict.seen_by,
            "seconds": round(verdict.seconds, 1),
        }
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600, help="end after so long, with what was tried by then")
    parser.add_argument("--only", default="", help="a part of the mistakes' text")
    options = parser.parse_args()
    if os.environ.get(_HASHED) != "0":  # as the seeds want it
        os.execve(sys.executable, [sys.executable, "-m", "tests.mutants", *sys.argv[1:]], {**os.environ, _HASHED: "0"})
    hypothesis.settings.register_profile(
        "mutants", database=None, derandomize=True, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
    )
    hypothesis.settings.load_profile("mutants")
    every = [each for each in all_mistakes() if options.only in str(each)]
    chosen = choose(every, options.sample, options.seed)
    results = ROOT / "build" / "mutants.jsonl"
    results.parent.mkdir(exist_ok=True)
    results.write_text("")
    verdicts = Verdicts(results)
    trial = Trial(ROOT, chosen, verdicts.tell, time.time() + 60 * options.minutes)
    pytest.main(["-qq", "-p", "no:cacheprovider", "-o", f"timeout={SECONDS_OF_A_TEST_MAX}", *TESTS], plugins=[trial])
    if trial.reached.failed:
        print(f"without any mistake these fail, so they were shown none: {', '.join(trial.reached.failed)}")
    _tell(len(every), verdicts.verdicts)
    return 0


def choose(every: Sequence[Mistake], sample: int, seed: int) -> list[Mistake]:
    """So many of them, in an order that a seed gives. It goes by what each mistake is and not by its place: code that
    is added or moved elsewhere changes nothing about who else is chosen."""
    named: Counter[str] = Counter()
    ordered: list[tuple[str, Mistake]] = []
    for mistake in every:
        name = f"{mistake.file} {mistake.function} {mistake.what}"
        named[name] += 1
        ordered.append((sha256(f"{seed} {name} {named[name]}".encode()).hexdigest(), mistake))
    return [mistake for _, mistake in sorted(ordered, key=lambda each: each[0])[:sample]]


def all_mistakes() -> list[Mistake]:
    """In the rules, the services' decisions and the kernel."""
    return [mistake for file in _files() for mistake in mistakes_in(file, ROOT)]


def _files() -> Sequence[Path]:
    services = ROOT / "services"
    found = sorted((services / "dunning" / "domain").glob("*.py"))
    for service in ("retry_scheduler", "notification_dispatcher", "account_enforcement"):
        found += sorted(file for file in (services / service).glob("*.py") if file.name not in _NOT_DECIDING)
    return found + [services / "dunning" / "runtime" / f"{name}.py" for name in KERNEL]


def _tell(every: int, verdicts: Sequence[Verdict]) -> None:
    seen = [each for each in verdicts if each.seen_by]
    reached = [each for each in verdicts if each.tests]
    print(f"{every} mistakes are possible; {len(verdicts)} were made, {len(reached)} in functions that a test reaches")
    print(f"{len(seen)} were seen; not seen:")
    for each in verdicts:
        if not each.seen_by:
            print(f"  {each.mistake}{'' if each.tests else ' (no test reaches it)'}")


if __name__ == "__main__":
    sys.exit(main())
