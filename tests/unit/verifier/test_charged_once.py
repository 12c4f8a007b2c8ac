"""Promise 5, the charges: at most one per attempt, for what remains, and never twice at the processor."""

from dataclasses import replace

import pytest

from tests.unit.verifier.story import Story, a_recovered_case, assert_broken, assert_kept

REQUESTS = "dunning.retry.requested"


def two_charges(second_at: str = "2026-03-06T10:00:00Z", answered: bool = True) -> Story:
    """A request on the 3rd that stands for two weeks, and another one."""
    story = Story().failed("2026-03-02T10:00:00Z").moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
    story.requested("2026-03-03T10:00:00Z", 2, "2026-03-17T10:00:00Z")
    if answered:
        story.failed("2026-03-03T10:00:02Z", 2, retry_id=f"{story.case}:2")
    story.moved("retry", "2026-03-03T10:00:03Z", "requested", "scheduled")
    story.requested(second_at, 3, "2026-03-07T10:00:00Z")
    return story


def test_two_charges_one_after_the_other_are_as_they_should_be() -> None:
    story = two_charges().charged(2, "2026-03-03T10:00:02Z").charged(3, "2026-03-06T10:00:02Z")

    assert_kept(story, settled=False)


def test_a_second_request_of_one_attempt_is_rejected() -> None:
    story = two_charges().changed(REQUESTS, {"attempt_number": 3}, attempt_number=2)

    found = assert_broken(story, 5, "attempt 2 of invoice in_1 requested before", f"{REQUESTS}/0@1")
    assert found.case_id == story.case


def test_a_retry_id_that_is_not_the_case_and_its_attempt_is_rejected() -> None:
    story = two_charges().changed(REQUESTS, {"attempt_number": 2}, retry_id="r-1")

    assert_broken(story, 5, "retry_id is r-1", f"{REQUESTS}/0@0")


def test_a_second_request_before_the_first_was_answered_is_rejected() -> None:
    story = two_charges(answered=False)

    found = assert_broken(story, 5, "was answered", f"{REQUESTS}/0@1")
    assert found.account_id == "acc_1"


def test_a_second_request_after_the_first_ran_out_of_time_is_as_it_should_be() -> None:
    story = two_charges(answered=False).changed(REQUESTS, {"attempt_number": 2}, not_after="2026-03-04T10:00:00Z")

    assert_kept(story, settled=False)


def test_a_request_for_the_whole_after_a_payment_in_part_is_rejected() -> None:
    story = two_charges().succeeded("2026-03-05T10:00:00Z", remaining=1900)

    assert_broken(story, 5, "asks for 4900 EUR, but 1900 remained", f"{REQUESTS}/0@1")


def test_a_request_for_what_remains_is_as_it_should_be() -> None:
    story = two_charges().succeeded("2026-03-05T10:00:00Z", remaining=1900)
    story.changed(REQUESTS, {"attempt_number": 3}, amount_minor=1900)
    story.events[-3]["data"]["amount_minor"] = 1900  # the step to `requested`

    assert_kept(story, settled=False)


def test_the_latest_dated_word_decides_what_remains_not_the_last_that_came() -> None:
    story = two_charges().succeeded("2026-03-05T10:00:00Z", remaining=1900)
    earlier = {"id": "in_1", "amount_remaining_minor": 3000}
    story.signal("invoice.adjusted", "2026-03-04T10:00:00Z", invoice=earlier)
    story.changed(REQUESTS, {"attempt_number": 3}, amount_minor=3000)

    assert_broken(story, 5, "asks for 3000 EUR, but 1900 remained", f"{REQUESTS}/0@1")


def test_an_attempt_number_that_was_used_by_the_platform_is_rejected() -> None:
    story = two_charges().failed("2026-03-05T10:00:00Z", 3, payment_id="pay_1", initiated_by="merchant")

    assert_broken(story, 5, "attempt 3 had been made already", f"{REQUESTS}/0@1")


def test_a_doubled_charge_is_rejected() -> None:
    story = a_recovered_case().charged(2, "2026-03-03T10:00:02Z").charged(2, "2026-03-03T10:00:03Z")

    found = assert_broken(story, 5, "was charged twice, first at ledger line 1", "ledger line 2")
    assert found.case_id == story.case


def test_a_charge_out_of_time_is_rejected() -> None:
    story = a_recovered_case().charged(2, "2026-03-04T10:00:00Z")

    assert_broken(story, 5, "after it was out of time", "ledger line 1")


def test_a_charge_that_nobody_requested_is_rejected() -> None:
    assert_broken(a_recovered_case().charged(7, "2026-03-03T10:00:02Z"), 5, "but never requested", "ledger line 1")


def test_a_charge_of_another_amount_is_rejected() -> None:
    story = a_recovered_case().charged(2, "2026-03-03T10:00:02Z", amount=9800)

    assert_broken(story, 5, "charged 9800 EUR, asked were 4900", "ledger line 1")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"currency": "USD"}, "asks for 4900 USD, but the invoice is in EUR"),
        ({"payment_id": "pay_9"}, "asks to charge payment pay_9, but the invoice's is pay_1"),
    ],
)
def test_a_charge_of_something_else_is_rejected(data: dict[str, str], says: str) -> None:
    story = a_recovered_case().changed("dunning.retry.requested", {}, **data)

    assert_broken(story, 5, says, "dunning.retry.requested/0@0")


def test_a_charge_for_another_invoice_is_rejected() -> None:
    story = a_recovered_case().charged(2, "2026-03-03T10:00:02Z")
    story.charges = [replace(charge, invoice_id="in_9") for charge in story.charges or []]

    assert_broken(story, 5, "charged for invoice in_9, asked was for in_1", "ledger line 1")


def test_a_request_at_another_instant_than_its_transition_is_rejected() -> None:
    story = a_recovered_case()
    story.find(REQUESTS)["at"] = "2026-03-03T18:00:00Z"

    assert_broken(story, 2, "when no transition to requested took effect", f"{REQUESTS}/0@0")
