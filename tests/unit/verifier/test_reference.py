"""The reference model says what the final state of every case must be for a given input."""

from typing import Any

import pytest

from dunning_verifier.clock import instant
from dunning_verifier.reference import Final, Given, final_states
from dunning_verifier.values import Transition
from tests.unit.verifier.story import STANDARD, Story, assert_broken

OVERDUE = {"code": "payment_overdue"}
FAILURE = "2026-03-02T10:00:00Z"


def final(story: Story, until: str, number: int = 1, **data: Any) -> Final:
    """What the model makes of a story's inputs and deliveries."""
    history = story.history()
    steps = [move for move in history.transitions if isinstance(move, Transition) and move.track == "account"]
    given = Given(history.inputs, history.policies, instant(until), history.results, steps)
    return next(one for one in final_states(given).values() if one.number == number)


def a_bill(**policy: Any) -> Story:
    return Story(policy={**STANDARD, **policy}).failed(FAILURE, failure=OVERDUE)


def warned(story: Story, at: str = "2026-03-13T10:00:00Z") -> Story:
    return story.noticed(at, "suspension_warning")


@pytest.mark.parametrize(
    ("story", "until", "account", "notice"),
    [
        (a_bill(), "2026-03-02T10:00:00Z", {"past_due"}, {"payment_failed"}),
        (a_bill(), "2026-03-13T09:59:59Z", {"past_due"}, {"payment_failed"}),
        (a_bill(), "2026-03-13T10:00:00Z", {"past_due"}, {"suspension_warning"}),
        (a_bill(), "2026-06-01T00:00:00Z", {"past_due"}, {"suspension_warning"}),
        (warned(a_bill()), "2026-03-16T09:59:59Z", {"past_due"}, {"suspension_warning"}),
        (warned(a_bill()), "2026-03-16T10:00:00Z", {"suspended"}, {"suspension_warning"}),
        (warned(a_bill(), "2026-03-14T08:00:00Z"), "2026-03-17T07:59:59Z", {"past_due"}, {"suspension_warning"}),
        (warned(a_bill(), "2026-03-14T08:00:00Z"), "2026-03-17T08:00:00Z", {"suspended"}, {"suspension_warning"}),
        (
            warned(a_bill(conditions={"suspended": {"tags_none": ["vip"]}})),
            "2026-03-20T10:00:00Z",
            {"past_due", "suspended"},
            {"suspension_warning"},
        ),
    ],
)
def test_an_open_case_stands_where_its_ladder_is(story: Story, until: str, account: set[str], notice: set[str]) -> None:
    found = final(story, until)

    assert found.is_open
    assert found.stages == {"retry": {"none"}, "account": account, "notice": notice}


def test_a_rung_that_came_late_moves_those_behind_it() -> None:
    """Suspended on the 18th instead of the 16th: `final_notice`, due on 1 April, comes on the 3rd."""
    story = warned(a_bill()).moved("account", "2026-03-18T10:00:00Z", "past_due", "suspended")

    assert final(story, "2026-04-03T09:59:59Z").stages["notice"] == {"suspension_warning"}
    assert final(story, "2026-04-03T10:00:00Z").stages["notice"] == {"final_notice"}


def test_money_closes_a_case_and_a_later_failure_opens_the_next() -> None:
    story = a_bill().succeeded("2026-03-05T10:00:00Z").failed("2026-03-06T10:00:00Z", 2, failure=OVERDUE)

    first, second = (final(story, "2026-03-07T10:00:00Z", number) for number in (1, 2))
    assert not first.is_open
    assert first.stages == {"retry": {"none", "recovered"}, "notice": {"none", "recovered"}, "account": {"active"}}
    assert second.is_open
    assert second.amounts == {4900}
    assert second.stages["account"] == {"past_due"}


def test_the_latest_dated_word_says_what_remains() -> None:
    story = a_bill().succeeded("2026-03-05T10:00:00Z", remaining=1900).succeeded("2026-03-04T10:00:00Z", remaining=3000)

    assert final(story, "2026-03-07T10:00:00Z").amounts == {1900}


def test_a_void_closes_everything_whenever_it_came() -> None:
    story = a_bill().signal("invoice.voided", "2026-03-01T10:00:00Z", invoice_id="in_1")

    found = final(story, "2026-03-07T10:00:00Z")
    assert not found.is_open
    assert found.stages["account"] == {"active"}


def test_what_a_pause_moved_or_a_decline_holds_is_not_guessed() -> None:
    paused = a_bill().signal("case.paused", "2026-03-03T10:00:00Z", invoice_id="in_1", reason="asked")
    technical = Story().failed(FAILURE, failure={"code": "processing_error"})

    assert final(paused, "2026-03-20T10:00:00Z").stages == {"retry": {"none"}}
    assert final(technical, "2026-03-20T10:00:00Z").stages == {}


def test_a_case_that_ends_elsewhere_is_rejected() -> None:
    story = a_bill().moved("account", FAILURE, "active", "past_due").status(FAILURE, "active", "past_due")
    story.moved("notice", FAILURE, "none", "payment_failed").failed("2026-03-14T10:00:00Z", 2, failure=OVERDUE)

    found = assert_broken(story, 10, "notice ends as payment_failed; by the inputs of the case it has to be suspension")
    assert (found.case_id, str(found.where)) == (story.case, "dunning.stage.changed/0@1")
