"""Looking for a history on which simulator and model differ, and telling a person how to replay it."""

import difflib
import gc
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.model.compare import Readings, Unusable, both, differs, event_text, policy_text, readings_of
from tests.model.generate import Scenario, scenario
from tests.model.history import Data
from tests.model.random_policies import policies

ACCOUNTS_PER_POLICY = 10
ACCOUNTS_PER_CHUNK = 250


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


def usable_policies(seed: int) -> tuple[list[Data], Readings]:
    """Random ones that the simulator loads, and as they were read."""
    rng = random.Random(seed)
    while True:
        found = policies(rng)
        try:
            return found, readings_of(found)
        except Unusable:
            continue


def hunt(
    seed: int, accounts: int, told: Callable[[int], None] = lambda done: None, jobs: int = 1, times: int = 1
) -> Found | None:
    """The first of `accounts` histories from `seed` on that differs; `told` hears how many were compared."""
    return next(iter(all_found(seed, accounts, told, jobs, times)), None)


def all_found(
    seed: int, accounts: int, told: Callable[[int], None] = lambda done: None, jobs: int = 1, times: int = 1
) -> Iterator[Found]:
    """Every one that differs, as they are found. `times` as much as usual happens in each history."""
    ends = [*range(seed + ACCOUNTS_PER_CHUNK, seed + accounts, ACCOUNTS_PER_CHUNK), seed + accounts]
    chunks = list(zip([seed, *ends], ends, strict=False))
    compared = partial(_differing, times=times)
    if jobs == 1:
        yield from _told(map(compared, chunks), chunks, told, times)
        return
    with ProcessPoolExecutor(jobs, initializer=gc.disable) as pool:
        try:
            yield from _told(pool.map(compared, chunks), chunks, told, times)
        finally:
            pool.shutdown(cancel_futures=True)


def _told(
    results: Iterable[list[int]], chunks: list[tuple[int, int]], told: Callable[[int], None], times: int
) -> Iterator[Found]:
    first = chunks[0][0]
    for (_, end), seeds in zip(chunks, results, strict=True):
        for number in seeds:
            yield Found(number, scenario(number, usable_policies(number // ACCOUNTS_PER_POLICY)[0], times))
        told(end - first)


def _differing(chunk: tuple[int, int], times: int = 1) -> list[int]:
    """The seeds of those that differ. Every few histories share their policies."""
    found = []
    shared: tuple[list[Data], Readings] | None = None
    for number in range(*chunk):
        if shared is None or number % ACCOUNTS_PER_POLICY == 0:
            shared = usable_policies(number // ACCOUNTS_PER_POLICY)
        if differs(scenario(number, shared[0], times), shared[1]):
            found.append(number)
    gc.collect()
    return found
