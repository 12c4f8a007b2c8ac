"""Promise 5, when a charge is asked for: by the plan, its distances, its window and its number of retries."""

from typing import Any

import pytest

from tests.unit.verifier.story import STANDARD, Story, assert_broken, assert_kept

REQUESTS = "dunning.retry.requested"
CARD = {"id": "pm_1", "type": "card", "brand": "visa"}


def with_retries(**more: Any) -> dict[str, Any]:
    return {**STANDARD, "retries": {**STANDARD["retries"], **more}}


def a_charge(
    at: str = "2026-03-03T10:00:00Z",
    until: str = "2026-03-04T10:00:00Z",
    policy: dict[str, Any] = STANDARD,
    **data: Any,
) -> Story:
    """One request after a failure on the 2nd at 10:00, planned for the next day."""
    planned = {"stage": "requested", "due_at": "2026-03-03T10:00:00Z"}
    return (
        Story(policy=policy)
        .failed("2026-03-02T10:00:00Z", payment_method=CARD)
        .moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled", next=planned)
        .requested(at, 2, until, **data)
    )


def kept(story: Story) -> None:
    assert_kept(story, settled=False)


def broken(story: Story, says: str, at: str = f"{REQUESTS}/0@0") -> None:
    found = assert_broken(story, 5, says, at, settled=False)
    assert found.case_id == story.case


def test_a_charge_as_it_was_planned_is_as_it_should_be() -> None:
    kept(a_charge())


@pytest.mark.parametrize("until", ["2026-03-12T10:00:00Z", "2026-03-03T10:01:00Z", "2026-04-12T10:00:00Z"])
def test_a_request_that_stands_for_another_time_is_rejected(until: str) -> None:
    broken(a_charge(until=until), f"stands until {until[:-1]}+00:00")


def test_a_request_stands_for_the_policy_s_time_and_never_beyond_the_window() -> None:
    kept(a_charge(until="2026-03-03T16:00:00Z", policy=with_retries(timeout="6h")))
    kept(a_charge(until="2026-03-03T22:00:00Z", policy=with_retries(window="36h")))
    broken(a_charge(policy=with_retries(timeout="6h")), "beyond 2026-03-03T16:00:00")
    broken(a_charge(until="2026-03-03T12:00:00Z", policy=with_retries(window="36h")), "not until 2026-03-03T22:00:00")


def test_a_request_of_what_was_paused_may_stand_for_longer_than_the_window_but_not_than_its_time() -> None:
    story = a_charge(until="2026-03-03T20:00:00Z", policy=with_retries(window="30h"))
    broken(story, "not until 2026-03-03T16:00:00")

    kept(story.signal("case.extended", "2026-03-02T12:00:00Z", invoice_id="in_1", by="4h"))


def test_a_request_before_it_was_planned_is_rejected() -> None:
    story = a_charge(policy=with_retries(after=["1h"])).changed(
        "dunning.stage.changed",
        {"to_stage": "scheduled"},
        next={"stage": "requested", "due_at": "2026-03-04T10:00:00Z"},
    )
    broken(story, "requested before 2026-03-04T10:00:00")

    story.changed(REQUESTS, {}, attempt_number=3, retry_id=f"{story.case}:3")
    kept(story.failed("2026-03-03T08:00:00Z", 2, payment_method=CARD, failure={"code": "processing_error"}))


def test_a_first_request_before_its_distance_is_rejected() -> None:
    early = a_charge("2026-03-02T18:00:00Z", "2026-03-03T18:00:00Z")
    early.find("dunning.stage.changed", to_stage="scheduled")["data"]["next"] = None
    broken(early, "requested before 2026-03-03T10:00:00+00:00; the attempt before it was at 2026-03-02")

    early.find("payment.failed")["data"]["failure"] = {"code": "processing_error"}  # may come in ten minutes
    kept(early)


def test_a_second_request_before_any_distance_is_rejected() -> None:
    story = a_charge().failed("2026-03-03T10:00:02Z", 2, retry_id=f"{Story().case}:2", payment_method=CARD)
    story.moved("retry", "2026-03-03T10:00:03Z", "requested", "scheduled")
    story.requested("2026-03-03T10:05:00Z", 3, "2026-03-04T10:05:00Z")

    broken(story, "requested before 2026-03-03T10:10:00", f"{REQUESTS}/0@1")


def test_a_case_that_took_over_the_request_of_the_one_before_it_goes_on_from_there() -> None:
    story = a_charge().failed("2026-03-03T14:00:00Z", 8, payment_id="pay_2", payment_method=CARD)
    story.succeeded("2026-03-03T15:00:00Z", succeeded_at="2026-03-03T12:00:00Z")
    story.moved("retry", "2026-03-03T15:00:01Z", "requested", "recovered", reason="paid_elsewhere")
    story.next_case(2).moved("retry", "2026-03-03T15:00:01Z", "none", "scheduled")
    taken_over = "2026-03-03T15:00:02Z"
    story.moved("retry", taken_over, "scheduled", "requested")
    story.moved("retry", "2026-03-04T10:00:00Z", "requested", "scheduled", reason="technical")
    story.requested("2026-03-04T10:10:00Z", 9, "2026-03-05T10:10:00Z", reason="technical")

    kept(story)
    story.find("dunning.stage.changed", effective_at=taken_over)["data"]["to_stage"] = "paused"
    broken(story, "requested before 2026-03-04T14:00:00", f"{REQUESTS}/0@1")


def test_a_request_after_the_window_is_rejected() -> None:
    story = a_charge("2026-03-05T10:00:00Z", "2026-03-06T10:00:00Z", with_retries(window="2d"))

    broken(story, "requested after the window's end 2026-03-04T10:00:00")


def test_a_new_method_passes_over_plan_and_window() -> None:
    story = a_charge("2026-03-05T10:00:00Z", "2026-03-06T10:00:00Z", with_retries(window="2d"))

    kept(story.signal("payment_method.updated", "2026-03-05T09:59:59Z", payment_method={"id": "pm_2"}))


def test_more_requests_than_the_policy_has_are_rejected() -> None:
    policy = with_retries(after=["1d"], technical_after=[])
    story = a_charge(policy=policy).failed("2026-03-03T10:00:02Z", 2, retry_id=f"{Story().case}:2", payment_method=CARD)
    story.moved("retry", "2026-03-03T10:00:03Z", "requested", "scheduled")
    story.requested("2026-03-04T10:00:02Z", 3, "2026-03-05T10:00:02Z")

    broken(story, "request 2 of a case; the policy has 1", f"{REQUESTS}/0@1")


def test_an_attempt_number_that_leaves_some_out_is_rejected() -> None:
    broken(a_charge(attempt_number=7, retry_id=f"{Story().case}:7"), "attempt 7, but the next one can have been 2")


def test_a_request_outside_the_hours_is_rejected_whatever_was_planned() -> None:
    policy = with_retries(hours=["08:00", "20:00"])

    broken(
        a_charge("2026-03-03T20:00:00Z", "2026-03-04T20:00:00Z", policy), "20:00:00+00:00, outside the policy's hours"
    )
