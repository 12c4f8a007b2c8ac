"""Whatever topic is read first, an account ends the same where no timer fires between the readings (rule 8)."""

import random
from collections import defaultdict
from dataclasses import replace

from tests.model.compare import policies_of, simulated
from tests.model.generate import Scenario
from tests.model.history import Data
from tests.model.live.crowd import crowd
from tests.model.live.ending import ending
from tests.model.live.lockstep import pieces
from tests.model.live.play import in_one_order

ACCOUNTS, DAYS, SEED, ORDERS = 100, 40, 1, 3


def in_another_order(given: Scenario, rng: random.Random) -> Scenario:
    """The lines of each instant with their topics merged at random."""
    instants: dict[str, list[Data]] = defaultdict(list)
    for line in given.lines:
        instants[line["at"]].append(line)
    return replace(given, lines=[line for at in instants.values() for piece in pieces(at, rng) for line in piece])


def test_the_order_in_which_the_topics_of_an_instant_are_read_changes_no_ending() -> None:
    given = crowd(SEED, ACCOUNTS, DAYS)
    policies = policies_of(given.policies)
    members = [one for one in given.members.values() if not in_one_order(one.lines)]

    for one in members:
        expected = ending(simulated(one, policies)[0])
        for number in range(ORDERS):
            other = in_another_order(one, random.Random(number))
            assert ending(simulated(other, policies)[0]) == expected, (one.account, number)
    assert len(members) >= 10
