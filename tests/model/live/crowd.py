"""Many accounts on one clock: the histories of `tests.model.generate` under names and at times that they can share.

The broker and the database are shared too, so every account, card and policy gets a name of its own; what one account
does must not count for another. Times are moved to one beginning and onto a grid of hours: the clock has to stop at
every instant, and on a grid the accounts meet at the same ones. Lines of an account meet there as well, as they should:
only lines of one instant can be read in another order.
"""

import json
import math
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.model.compare import Unusable, policies_of
from tests.model.dates import instant, written
from tests.model.generate import Scenario, scenario
from tests.model.history import Data
from tests.model.hunt import ACCOUNTS_PER_POLICY, usable_policies

BEGINNINGS = (  # with a change of clocks, a new year or nothing in the weeks after
    datetime(2026, 1, 12, tzinfo=UTC),
    datetime(2026, 3, 9, tzinfo=UTC),
    datetime(2026, 5, 11, tzinfo=UTC),
    datetime(2026, 9, 14, tzinfo=UTC),
    datetime(2026, 10, 12, tzinfo=UTC),
    datetime(2026, 12, 7, tzinfo=UTC),
)
GRID = timedelta(hours=6)  # of what happens
READINGS = tuple(timedelta(hours=hours) for hours in (6, 6, 24, 72))  # of when an account's lines are read
LATER = timedelta(minutes=1)  # of two words on a fact from one instant, the one read last would count
INVOICES, CASES = ("in_1", "in_2", "in_3"), (1, 2)  # whose requests the histories may answer


@dataclass(frozen=True)
class Crowd:
    """What the services and the simulator are given."""

    policies: list[Data]
    members: dict[str, Scenario]  # by account
    begins: datetime
    until: datetime


def crowd(seed: int, accounts: int, days: int) -> Crowd:
    """The histories of `accounts` seeds from `seed` on, every few with policies of their own."""
    begins = random.Random(seed).choice(BEGINNINGS)
    until = begins + timedelta(days=days)
    policies: dict[str, list[Data]] = {}
    members = {}
    for number in range(seed, seed + accounts):
        group = str(number // ACCOUNTS_PER_POLICY)
        if group not in policies:
            policies[group] = usable_policies(int(group))[0]
        given = scenario(number, policies[group])
        account = f"acc_{number}"
        lines = on_the_grid(random.Random(number), given.lines, begins)
        charges = given.charges if isinstance(given.charges, str | None) else [*map(renamer(number), given.charges)]
        members[account] = Scenario([], [in_group(renamer(number)(line), group) for line in lines], until, charges)
        members[account] = replace(members[account], account=account)
    shared = [of_group(policy, group) for group in policies for policy in policies[group]]
    return Crowd(without_unusable(shared), members, begins, until)


def without_unusable(policies: list[Data]) -> list[Data]:
    """Each group can be loaded, so all can; said here, and not by a service that does not start."""
    try:
        policies_of(policies)
    except Unusable as error:
        raise AssertionError(f"policies of several groups do not go together: {error}") from error
    return policies


def renamer(number: int) -> Callable[[Data], Data]:
    """Gives what is the account's own a name that no other account has: itself, its cases and its cards."""
    account = f"acc_{number}"
    names = {'"acc_1"': f'"{account}"', '"pm_': f'"pm_{number}_', '"fp_': f'"fp_{number}_'}
    for invoice in INVOICES:
        for case in CASES:
            names[case_id("acc_1", invoice, case)] = case_id(account, invoice, case)

    def renamed(line: Data) -> Data:
        text = json.dumps(line)
        for name, own in names.items():
            text = text.replace(name, own)
        found: Data = json.loads(text)
        return found

    return renamed


def case_id(account: str, invoice: str, number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{account}/{invoice}/{number}"))


def of_group(policy: Data, group: str) -> Data:
    """The same policy for the failures of one group only, told by their segment."""
    match = policy.get("match", {})
    segments = [segment(name, group) for name in match.get("segments", [None, "self_serve"])]
    return {**policy, "id": f"{policy['id']}_{group}", "match": {**match, "segments": segments}}


def in_group(line: Data, group: str) -> Data:
    if line["topic"] != "payment.failed":
        return line
    return {**line, "data": {**line["data"], "segment": segment(line["data"].get("segment"), group)}}


def segment(name: str | None, group: str) -> str:
    return f"{name}_{group}" if name else f"group_{group}"


def on_the_grid(rng: random.Random, lines: list[Data], begins: datetime) -> list[Data]:
    """The lines from a common beginning on. What would now say two things of one attempt at one instant is left out, as
    the histories do (docs/random-histories.md)."""
    first = min(own_time(line) for line in lines).replace(hour=0, minute=0)
    reading = rng.choice(READINGS)

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: moved(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [moved(inner) for inner in value]
        return written(onto(value, GRID, math.floor)) if is_instant(value) else value

    def onto(value: str, grid: timedelta, rounding: Callable[[float], int]) -> datetime:
        return begins + grid * rounding((instant(value) - first) / grid)

    found: list[Data] = []
    attempts: set[tuple[Any, ...]] = set()
    for line in lines:
        data = moved(line["data"])
        if data.get("kind") == "customer.updated":
            data["at"] = written(instant(data["at"]) + LATER)
        attempt = tuple(data.get(name) for name in ("failed_at", "payment_id", "attempt_number"))
        if attempt[0] is not None and "again" not in data.get("metadata", {}):
            if attempt in attempts:
                continue
            attempts.add(attempt)
        found.append({**line, "at": written(onto(line["at"], reading, math.ceil)), "data": data})
    return found


def own_time(line: Data) -> datetime:
    data = line["data"]
    return instant(data.get("failed_at") or data.get("succeeded_at") or data["at"])


def is_instant(value: object) -> bool:
    return isinstance(value, str) and len(value) >= 20 and value[4] == "-" and value[10] == "T"
