"""Looking for a history on which simulator and model differ, and telling a person how to replay it."""

import difflib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.model.compare import Unusable, both, event_text, policies_of, policy_text
from tests.model.generate import Scenario, policies, scenario
from tests.model.history import Data

ACCOUNTS_PER_POLICY = 10
TELL_EVERY = 1_000


@dataclass(frozen=True)
class Found:
    """A difference."""

    seed: int
    scenario: Scenario

    def report(self) -> str:
        """The files, the command, and how the two outputs differ."""
        given = self.scenario
        parts = [f"--- policy{number}.yaml\n{policy_text(one)}" for number, one in enumerate(given.policies)]
        parts.append(f"--- events.ndjson\n{event_text(given.lines)}")
        charges = ""
        if isinstance(given.charges, list):
            parts.append(f"--- charges.ndjson\n{event_text(given.charges)}")
            charges = " --charges charges.ndjson"
        elif given.charges:
            charges = f" --charges {given.charges}"
        names = " ".join(f"--policy policy{number}.yaml" for number in range(len(given.policies)))
        parts.append(f"dunning simulate {names} --events events.ndjson --until {given.until.isoformat()}{charges}\n")
        return "\n".join([*parts, *difflib.unified_diff(*both(given), "simulator", "model", lineterm="", n=0)])

    def write_to(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(self.scenario.policies):
            (folder / f"policy{number}.yaml").write_text(policy_text(one))
        (folder / "events.ndjson").write_text(event_text(self.scenario.lines))
        if isinstance(self.scenario.charges, list):
            (folder / "charges.ndjson").write_text(event_text(self.scenario.charges))


def usable_policies(seed: int) -> tuple[list[Data], Any]:
    """Random ones that the simulator loads, and as it loaded them."""
    rng = random.Random(seed)
    while True:
        found = policies(rng)
        try:
            return found, policies_of(found)
        except Unusable:
            continue


def hunt(seed: int, accounts: int, told: Callable[[int], None] = lambda done: None) -> Found | None:
    """The first of `accounts` histories from `seed` on that differs; every few share their policies."""
    shared: tuple[list[Data], Any] | None = None
    for number in range(seed, seed + accounts):
        if shared is None or number % ACCOUNTS_PER_POLICY == 0:
            shared = usable_policies(number // ACCOUNTS_PER_POLICY)
        given = scenario(number, shared[0])
        real, model = both(given, shared[1])
        if real != model:
            return Found(number, given)
        if (number - seed + 1) % TELL_EVERY == 0:
            told(number - seed + 1)
    return None
