"""A failure and a part of the money that both answer one request: their own times decide, not which is read first."""

from itertools import permutations
from typing import Any

import pytest

from dunning.domain import ids
from dunning.domain.events import Failure, PaymentFailed, PaymentSucceeded
from tests.builders import NEEDS_CUSTOMER, SOFT, Story, failed, only_retries, paid

FIRST_RETRY = f"{ids.case_id('acc_1', 'in_1', 1)}:2"


@pytest.mark.parametrize(
    ("plan", "failure", "failed_at", "paid_at", "end"),
    [
        ({}, SOFT, "12:00", "14:00", ["03-06 14:00 retry in_1 scheduled>requested"]),
        ({}, SOFT, "14:00", "12:00", ["03-06 14:00 retry in_1 scheduled>requested"]),
        ({}, NEEDS_CUSTOMER, "12:00", "14:00", ["03-06 14:00 retry in_1 scheduled>requested"]),
        ({}, NEEDS_CUSTOMER, "14:00", "12:00", []),
        ({"after": ["1d"]}, NEEDS_CUSTOMER, "14:00", "12:00", []),
    ],
)
def test_of_two_answers_to_one_request_the_later_decides_what_follows(
    plan: dict[str, Any], failure: Failure, failed_at: str, paid_at: str, end: list[str]
) -> None:
    answers: list[PaymentFailed | PaymentSucceeded] = [
        failed(f"03-03 {failed_at}", attempt_number=2, retry_id=FIRST_RETRY, failure=failure),
        paid(f"03-03 {paid_at}", remaining=1900, retry_id=FIRST_RETRY),
    ]
    stages = set()
    for order in permutations(answers):
        story = Story(only_retries(**plan)).reads(failed("03-02 10:00")).until("03-03 11:00")
        story.at("03-03 15:00", *order).until("03-04 00:00")
        stages.add(story.lines("retry")[-1].rpartition(">")[2])
        assert story.until("03-06 20:00").since("03-04", "retry") == end

    assert len(stages) == 1


def test_a_plan_was_full_when_the_earlier_of_two_answers_ended_the_request_whichever_is_read_first() -> None:
    part = paid("03-03 12:00", remaining=1900, retry_id=FIRST_RETRY)
    refused = failed("03-03 14:00", attempt_number=2, retry_id=FIRST_RETRY, failure=NEEDS_CUSTOMER)
    answers: list[PaymentFailed | PaymentSucceeded] = [part, refused]
    for order in permutations(answers):
        story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00")).until("03-03 11:00")

        story.at("03-03 15:00", *order).until("03-04 00:00")
        assert story.lines("retry")[-1].endswith(">exhausted")


def test_an_answer_behind_the_end_of_an_answered_request_is_no_attempt() -> None:
    story = Story(only_retries(after=["2d", "5d"], timeout="6h")).reads(failed("03-02 10:00")).until("03-04 10:00")
    story.at("03-04 12:00", failed("03-04 12:00", attempt_number=2, retry_id=FIRST_RETRY))

    story.at("03-05 10:00", paid("03-04 16:00", remaining=1900, retry_id=FIRST_RETRY)).until("03-09 13:00")

    assert story.since("03-05", "retry") == ["03-09 12:00 retry in_1 scheduled>requested"]


def test_of_two_words_on_one_charge_of_one_instant_the_first_stands() -> None:
    """They come through one topic, so they are always read in one order."""
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00")).until("03-03 11:00")
    story.reads(failed("03-03 12:00", attempt_number=2, retry_id=FIRST_RETRY, failure=NEEDS_CUSTOMER))

    story.reads(failed("03-03 12:00", attempt_number=2)).until("04-01 00:00")

    assert story.since("03-03 12", "retry") == ["03-03 12:00 retry in_1 requested>waiting_for_customer"]
