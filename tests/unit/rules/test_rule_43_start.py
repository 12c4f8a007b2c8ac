"""Failures before the start open no case, whatever is read first (rules 8 and 43)."""

from functools import partial
from itertools import permutations

import pytest

from dunning.domain.events import Failure
from dunning_cli.simulation.world import World
from tests.builders import HARD, Story, a_policy, failed, instant, only_retries, paid

SINCE_MARCH = partial(World, start=instant("03-01 00:00"))


def test_a_failure_before_the_start_opens_no_case_and_one_at_the_start_does() -> None:
    early = Story(world=SINCE_MARCH).reads(failed("02-28 23:59:59")).until("06-01 00:00")
    at_the_start = Story(world=SINCE_MARCH).reads(failed("03-01 00:00")).until("03-01 00:00")

    assert early.events == []
    assert at_the_start.lines("account") == ["03-01 00:00 account in_1 active>past_due"]


def test_without_a_start_a_failure_of_any_time_opens_a_case() -> None:
    assert Story().reads(failed("1999-01-01 00:00")).until("1999-01-01 00:00").lines("account") != []


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_case_begins_with_the_first_failure_since_the_start_in_whatever_order_they_are_read(
    order: tuple[int, ...],
) -> None:
    failures = [
        failed("02-20 10:00", amount_due_minor=9900),
        failed("03-02 10:00", attempt_number=2),
        failed("03-03 10:00", attempt_number=3),
    ]
    story = Story(only_retries(), world=SINCE_MARCH)

    story.at("03-03 12:00", *(failures[number] for number in order)).until("03-04 10:00")

    assert story.lines("charge") == ["03-04 10:00 charge in_1 #4 4900 EUR"]
    assert story.lines("account") == ["03-03 12:00 account in_1 active>past_due"]


def test_what_was_seen_before_the_start_is_known_all_the_same() -> None:
    """Attempt numbers are never used twice, a card that was declined hard stays barred, and closings are counted."""
    story = Story(only_retries(), world=SINCE_MARCH).reads(
        failed("02-20 10:00", attempt_number=6), paid("02-21 10:00"), failed("03-02 10:00", attempt_number=1)
    )
    barred = Story(only_retries(), world=SINCE_MARCH).reads(
        failed("02-20 10:00", failure=HARD), failed("03-02 10:00", attempt_number=2, failure=Failure("try_again_later"))
    )

    assert story.until("03-03 10:00").lines("charge") == ["03-03 10:00 charge in_1 #7 4900 EUR"]
    assert {event.case_id for _, event in story.events if hasattr(event, "case_id")} == {_case_number(2)}
    assert barred.until("03-20 10:00").lines("retry") == ["03-02 10:00 retry in_1 none>waiting_for_customer"]


def test_a_case_that_no_policy_wants_is_no_dead_letter_before_the_start() -> None:
    story = Story(a_policy(match={"currencies": ["USD"]}), world=SINCE_MARCH)

    assert story.reads(failed("02-20 10:00")).set_aside == []
    assert story.reads(failed("03-02 10:00", attempt_number=2)).set_aside == ["no_policy"]


def _case_number(number: int) -> str:
    from uuid import NAMESPACE_URL, uuid5

    return str(uuid5(NAMESPACE_URL, f"acc_1/in_1/{number}"))
