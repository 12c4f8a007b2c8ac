"""A found difference, made as small as it gets: fewer lines, fewer keys, a simpler policy."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.model.compare import Unusable, differs
from tests.model.generate import Scenario
from tests.model.history import Data

REQUIRED = (
    "account_id payment_id attempt_number invoice id amount_minor currency kind at amount_due_minor code reason "
    "amount_remaining_minor failed_at succeeded_at failure invoice_id rung channel payment_method customer "
    "by tag allowed pay_by installments"
)
KEPT = set(REQUIRED.split())


def still(given: Scenario) -> bool:
    try:
        return differs(given)
    except Unusable:
        return False


def shrunk(given: Scenario, fails: Callable[[Scenario], bool] = still) -> Scenario:
    """Try each smaller scenario until none differs any more."""
    while True:
        smaller = next((one for one in smaller_ones(given) if fails(one)), None)
        if smaller is None:
            return given
        given = smaller


def smaller_ones(given: Scenario) -> Iterator[Scenario]:
    for number in range(len(given.lines)):
        yield replace(given, lines=given.lines[:number] + given.lines[number + 1 :])
    if given.charges is not None:
        yield replace(given, charges=None)
    if isinstance(given.charges, list):
        yield replace(given, charges="fail")
        for number in range(len(given.charges)):
            yield replace(given, charges=given.charges[:number] + given.charges[number + 1 :])
    for number, one in enumerate(given.policies):
        if len(given.policies) > 1:
            yield replace(given, policies=given.policies[:number] + given.policies[number + 1 :])
        for policy in without_one(one, {"id", "version", "rung", "at", "template"}):
            yield replace(given, policies=[*given.policies[:number], policy, *given.policies[number + 1 :]])
    for number, line in enumerate(given.lines):
        for data in without_one(line["data"], KEPT):
            yield replace(given, lines=[*given.lines[:number], {**line, "data": data}, *given.lines[number + 1 :]])


def without_one(value: Data, kept: set[str]) -> Iterator[Data]:
    """The same with one key or one item of a list left out."""
    for path in paths(value):
        if path[-1] in kept:
            continue
        found = copy.deepcopy(value)
        inner: Any = found
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]
        yield found


def paths(value: object, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*before, name)
        yield from paths(inner, (*before, name))
