"""Random faults of a seed on the real platform, as long as a test may take; `make chaos` goes on for ten minutes."""

from collections.abc import Callable

import pytest

from tests.chaos.plan import Kind, planned
from tests.chaos.run import play
from tests.faults.sizes import SIZES

SECONDS = SIZES.kills_seconds


@pytest.mark.timeout(600)
async def test_instances_that_are_killed_every_second_or_two_keep_every_promise(tell: Callable[[object], None]) -> None:
    outcome = await play(5, SECONDS, per_second=4, kinds=[Kind.KILLED])
    tell(outcome)

    assert outcome.is_good, outcome
    assert outcome.faults[Kind.KILLED] >= SECONDS / 2 - 1
    assert outcome.looked_at["suspensions and terminations"] > 0


def test_the_plan_is_the_seeds_and_holds_every_kind() -> None:
    plan = planned(1, 600)

    assert plan == planned(1, 600) != planned(2, 600)
    assert {fault.kind for fault in plan} == set(Kind)
