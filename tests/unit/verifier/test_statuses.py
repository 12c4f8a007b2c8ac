"""Promises 2 and 10: an account's status is that of its worst open case, whenever it is told, not only at the end."""

from typing import Any

import pytest

from dunning_verifier import verify
from tests.unit.verifier.story import Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STATUS, STAGES = "dunning.account.status", "dunning.stage.changed"
A_LINE = {"case_id": Story().case, "invoice_id": "in_1", "amount_minor": 4900, "currency": "EUR"}


def test_a_status_of_suspended_that_no_case_was_ever_in_is_rejected() -> None:
    story = a_recovered_case().changed(STATUS, {"status": "past_due"}, status="suspended")
    story.changed(STATUS, {"status": "active"}, previous_status="suspended")

    found = assert_broken(story, 2, "says suspended, but the worst case stood at active or past_due", f"{STATUS}/0@0")
    assert found.account_id == "acc_1"


def test_a_suspension_that_no_status_tells_of_is_rejected_also_when_it_was_paid_since() -> None:
    story = (
        a_suspended_case()
        .without(STATUS, status="suspended")
        .succeeded("2026-03-17T10:00:00Z")
        .moved("account", "2026-03-17T10:00:01Z", "suspended", "active", "paid")
        .moved("notice", "2026-03-17T10:00:01Z", "suspension_warning", "recovered", "paid")
        .status("2026-03-17T10:00:01Z", "past_due", "active", owed=0)
    )
    story.find(STATUS, status="active")["sequence"] = 2

    found = assert_broken(story, 2, "the account went to suspended, and no status says so", f"{STAGES}/0@3")
    assert found.case_id == story.case


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"open_cases": [], "to_reinstate": []}, "does not list case"),
        ({"open_cases": [A_LINE, A_LINE]}, "lists a case 2 times"),
        ({"to_reinstate": [{"currency": "EUR", "amount_minor": 1}]}, "to_reinstate is {'EUR': 1}"),
        ({"to_reinstate": []}, "to_reinstate is {}"),
    ],
)
def test_a_former_status_whose_cases_or_sums_were_wrong_is_rejected(data: dict[str, Any], says: str) -> None:
    story = a_suspended_case().changed(STATUS, {"status": "past_due"}, **data)

    assert_broken(story, 10, says, f"{STATUS}/0@0")


@pytest.mark.parametrize("end", ["paid", "voided or written off"])
def test_a_suspension_whose_status_lists_what_was_over_is_rejected(end: str) -> None:
    """What was due then had to wait until that was read; what only follows from reading need not."""
    second = Story(invoice="in_2").failed("2026-03-02T10:00:00Z")
    if end == "paid":
        second.succeeded("2026-03-10T10:00:00Z")
    else:
        second.signal("invoice.voided", "2026-03-10T10:00:00Z", invoice_id="in_2")
    listed = [A_LINE, {**A_LINE, "case_id": second.case, "invoice_id": "in_2"}]
    story = a_suspended_case().with_events_of(second).changed(STATUS, {"status": "suspended"}, open_cases=listed)

    found = assert_broken(story, 10, f"lists in_2, which was {end}", f"{STATUS}/0@1")
    assert found.case_id == second.case
    story.find(STATUS, status="suspended")["at"] = "2026-03-16T10:05:00Z"
    assert not [one for one in verify(story.history()) if "lists in_2" in one.what]


def test_a_status_that_lists_what_was_terminated_is_rejected() -> None:
    story = a_terminated_case()
    assert_kept(story)

    story.changed(STATUS, {"status": "terminated"}, open_cases=[A_LINE])
    assert_broken(story, 10, "which was terminated", f"{STATUS}/0@2")


def a_terminated_case() -> Story:
    return (
        a_suspended_case()
        .moved("notice", "2026-04-01T10:00:00Z", "suspension_warning", "final_notice")
        .noticed("2026-04-01T10:00:00Z", "final_notice")
        .moved("account", "2026-04-16T10:00:00Z", "suspended", "terminated", "grace_period_expired")
        .status("2026-04-16T10:00:00Z", "suspended", "terminated", owed=0)
        .moved("notice", "2026-04-16T10:00:01Z", "final_notice", "closed", "terminated")
    )


def test_a_status_since_another_instant_than_its_own_is_rejected() -> None:
    story = a_suspended_case().changed(STATUS, {"status": "suspended"}, since="2026-03-02T10:00:00Z")

    assert_broken(
        story, 2, "is suspended since 2026-03-02T10:00:00+00:00, but that began at 2026-03-16", f"{STATUS}/0@1"
    )


def test_since_stays_while_the_status_does() -> None:
    """Only what is owed has changed."""
    story = a_suspended_case().succeeded("2026-03-17T10:00:00Z", remaining=1900)
    story.status("2026-03-17T10:00:01Z", "suspended", "suspended", owed=1900)
    assert_kept(story)

    story.events[-1]["data"]["since"] = "2026-03-17T10:00:01Z"
    assert_broken(story, 2, "suspended since 2026-03-17", f"{STATUS}/0@2")


def test_a_status_without_news_is_rejected() -> None:
    story = a_suspended_case().status("2026-03-17T10:00:00Z", "suspended", "suspended")

    assert_broken(story, 2, "says nothing that dunning.account.status/0@1 did not say", f"{STATUS}/0@2")


def test_a_case_that_is_open_and_still_active_is_listed_and_sums_up_to_nothing() -> None:
    story = Story().failed("2026-03-02T10:00:00Z", failure={"code": "processing_error"})
    story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
    story.status("2026-03-02T10:00:01Z", "active", "active", to_reinstate=[])

    assert_kept(story)


def test_two_steps_of_one_instant_have_one_status() -> None:
    """A service that was away walks the rungs it missed in one turn (rule 23)."""
    story = a_suspended_case(suspended_at="2026-03-20T10:00:00Z")
    story.without(STATUS, status="past_due").changed(STATUS, {"status": "suspended"}, previous_status="active")
    story.find(STATUS, status="suspended")["sequence"] = 1
    story.changed(STAGES, {"to_stage": "past_due"}, effective_at="2026-03-20T10:00:00Z")
    story.find(STAGES, to_stage="past_due")["at"] = "2026-03-20T10:00:00Z"

    assert_kept(story)
