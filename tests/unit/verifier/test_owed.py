"""Promise 10: what is owed is told alike everywhere, and by the inputs (rule 11)."""

import pytest

from tests.unit.verifier.story import Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STAGES, STATUS = "dunning.stage.changed", "dunning.account.status"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"amount_minor": 1900}, "tells of 1900 EUR, but 4900 remained"),
        ({"currency": "USD"}, "tells of 4900 USD, but the invoice is in EUR"),
    ],
)
def test_a_transition_that_tells_of_another_amount_is_rejected(data: dict[str, object], says: str) -> None:
    story = a_suspended_case().changed(STAGES, {"to_stage": "suspended"}, **data)

    found = assert_broken(story, 10, says, f"{STAGES}/0@3")
    assert found.case_id == story.case


def test_a_status_that_told_of_another_amount_is_rejected_also_when_it_is_not_the_last() -> None:
    story = a_suspended_case().owing("past_due", 1900)

    assert_broken(story, 10, "tells of 1900 EUR, but 4900 remained", f"{STATUS}/0@0")


def test_what_is_said_because_something_was_read_may_be_of_before_the_news() -> None:
    """A service that was away reads an answer to its charge before a part of the money from elsewhere."""
    story = a_recovered_case().succeeded("2026-03-02T18:00:00Z", remaining=1900)
    story.changed(STAGES, {"to_stage": "requested"}, amount_minor=1900)
    story.changed("dunning.retry.requested", {}, amount_minor=1900)
    story.changed(STAGES, {"to_stage": "scheduled", "from_stage": "requested"}, amount_minor=4900)

    assert_kept(story)
    story.changed(STAGES, {"to_stage": "scheduled", "from_stage": "requested"}, amount_minor=7)
    assert_broken(story, 10, "tells of 7 EUR", f"{STAGES}/0@4")


def test_what_was_paid_in_part_just_before_may_be_told_of_as_a_whole() -> None:
    story = a_suspended_case().succeeded("2026-03-16T09:59:30Z", remaining=1900)
    story.status("2026-03-16T10:00:01Z", "suspended", "suspended", owed=1900, since="2026-03-16T10:00:00Z")

    assert_kept(story)


def test_an_end_tells_of_what_was_owed_until_then() -> None:
    """The services may read the end and the part before it in one turn, in either order."""
    story = a_recovered_case().succeeded("2026-03-03T12:00:00Z", remaining=1900)
    story.changed(STAGES, {"to_stage": "recovered", "track": "retry"}, amount_minor=1900)

    assert_kept(story)
    story.changed(STAGES, {"to_stage": "recovered", "track": "retry"}, amount_minor=7)
    assert_broken(story, 10, "tells of 7 EUR, but 1900 or 4900 remained", f"{STAGES}/0@5")


def test_a_voided_case_tells_of_what_was_owed() -> None:
    story = Story().failed("2026-03-02T10:00:00Z").signal("invoice.voided", "2026-03-02T11:00:00Z", invoice_id="in_1")
    story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
    story.moved("retry", "2026-03-02T11:00:01Z", "scheduled", "cancelled", "voided")

    assert_kept(story)
