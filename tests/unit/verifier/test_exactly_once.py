"""Promises 1 and 2: every input takes effect exactly once, and state and events change together."""

from datetime import timedelta
from typing import Any

import pytest

from dunning_verifier import Tolerance
from dunning_verifier.checks import together
from tests.unit.verifier.story import Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STAGES = "dunning.stage.changed"
RESULTS, STATUS = "dunning.notice.result", "dunning.account.status"
A_LINE = {"case_id": Story().case, "invoice_id": "in_1", "amount_minor": 4900, "currency": "EUR"}


def a_returned_payment() -> Story:
    """The recovered case, and then its payment comes back: the invoice's second case."""
    return (
        a_recovered_case()
        .failed("2026-03-06T12:00:00Z", 3)
        .next_case(2)
        .moved("retry", "2026-03-06T12:00:01Z", "none", "scheduled")
        .moved("account", "2026-03-06T12:00:01Z", "active", "past_due", "payment_failed")
        .status("2026-03-06T12:00:01Z", "active", "past_due")
    )


def test_a_recovered_case_and_a_suspended_one_keep_every_promise() -> None:
    assert_kept(a_recovered_case())
    assert_kept(a_suspended_case())


def test_a_returned_payment_opens_the_second_case() -> None:
    assert_kept(a_returned_payment())


def test_an_input_that_is_sent_twice_in_two_forms_is_one_input() -> None:
    story = a_recovered_case()
    event = story.find("payment.failed", attempt_number=1)
    story.record("payment.failed", event["at"], id="evt-1", source="/billing", data=event["data"])

    assert_kept(story)
    assert story.history().repeated == 1


def test_a_record_that_is_published_again_is_counted_and_forgiven() -> None:
    story = a_recovered_case().again("dunning.retry.requested", attempt_number=2)

    assert_kept(story)


def test_one_id_with_two_contents_is_rejected() -> None:
    story = a_recovered_case().again(STAGES, to_stage="recovered", track="notice")
    story.events[-1]["data"] = {**story.events[-1]["data"], "reason": "voided"}

    found = assert_broken(story, 1, "published before with another content", f"{STAGES}/0@8")
    assert found.case_id == story.case


def test_two_transitions_with_one_sequence_are_rejected() -> None:
    story = a_recovered_case().again(STAGES, to_stage="requested")
    story.events[-1]["id"] = "of-a-zombie"

    assert_broken(story, 1, "a second transition with sequence 2, the first at dunning.stage.changed/0@3")


def test_a_case_under_a_wrong_number_is_rejected() -> None:
    """The failure came before any payment, so its case is the first."""
    story = Story().failed("2026-03-02T10:00:00Z").next_case(2)
    story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")

    found = assert_broken(story, 1, "not a case number of invoice in_1", f"{STAGES}/0@0")
    assert (found.case_id, found.account_id) == (story.case, "acc_1")


def test_a_second_case_without_a_failure_after_the_payment_is_rejected() -> None:
    story = a_recovered_case().next_case(2).moved("retry", "2026-03-04T09:00:02Z", "none", "scheduled")

    assert_broken(story, 1, "which has no failure after that payment", f"{STAGES}/0@8")


def test_a_case_of_an_invoice_that_never_failed_is_rejected() -> None:
    story = a_recovered_case()
    story.invoice = "in_2"
    story.next_case(1).moved("retry", "2026-03-04T09:00:02Z", "none", "scheduled")

    assert_broken(story, 1, "invoice in_2, which has no failure", f"{STAGES}/0@8")


def test_a_recovery_without_a_payment_is_rejected() -> None:
    story = a_recovered_case().without("payment.succeeded")

    assert_broken(story, 1, "no payment in full is among the inputs", f"{STAGES}/0@5")


def test_a_failure_that_one_service_never_saw_is_rejected() -> None:
    story = a_suspended_case().without(STAGES, to_stage="past_due").without(STAGES, to_stage="suspended")

    found = assert_broken(story, 1, "account_enforcement opened no case", "payment.failed/0@0")
    assert found.case_id == story.case


def test_a_transition_of_a_track_by_another_service_is_rejected() -> None:
    story = a_recovered_case()
    story.find(STAGES, to_stage="past_due")["source"] = "/dunning/retry_scheduler"

    assert_broken(story, 2, "written by /dunning/retry_scheduler", f"{STAGES}/0@1")


def test_a_request_without_its_transition_is_rejected() -> None:
    story = a_recovered_case().without(STAGES, to_stage="requested")

    assert_broken(story, 2, "1 charge requests, but 0 transitions to requested", "dunning.retry.requested/0@0")


def test_a_lost_request_is_rejected() -> None:
    story = a_recovered_case().without("dunning.retry.requested")

    assert_broken(story, 2, "0 charge requests, but 1 transitions to requested", f"{STAGES}/0@3")


def test_a_notice_of_a_rung_that_was_never_entered_is_rejected() -> None:
    story = a_suspended_case().without(STAGES, to_stage="suspension_warning")

    assert_broken(story, 2, "the notice track never entered it", "dunning.notice.result/0@2")


@pytest.mark.parametrize(("reason", "is_kept"), [("carried_over", True), ("rung_due", False)])
def test_a_notice_of_a_rung_that_the_case_entered_under_its_former_number_is_kept(reason: str, is_kept: bool) -> None:
    """A payment of before its failures was read late, and gave the case another number."""
    story = Story().failed("2026-03-02T10:00:00Z").moved("notice", "2026-03-02T10:00:01Z", "none", "hello")
    story.moved("notice", "2026-03-02T10:00:01Z", "hello", "second").succeeded("2026-03-01T10:00:00Z")
    story.next_case(2).moved("notice", "2026-03-02T10:00:02Z", "none", "second", reason)
    story.noticed("2026-03-02T10:00:03Z", "hello")

    said = [each.what for each in together.check(story.history()) if "never entered" in each.what]

    assert (said == []) is is_kept


def test_an_account_without_a_status_is_rejected() -> None:
    story = a_suspended_case().without("dunning.account.status").without("dunning.account.status")

    assert_broken(story, 2, "the account has no status", f"{STAGES}/0@0")


def test_a_failure_read_before_the_payment_that_it_followed_may_stand_in_the_former_case_for_a_while() -> None:
    """Rule 7: the later failure is handed over, and the service that read in the other order never had that case."""
    story = (
        Story()
        .failed("2026-03-06T12:00:00Z")
        .moved("retry", "2026-03-06T12:00:01Z", "none", "scheduled")
        .moved("account", "2026-03-06T12:00:01Z", "active", "past_due", "payment_failed")
        .status("2026-03-06T12:00:01Z", "active", "past_due")
        .succeeded("2026-03-04T09:00:00Z", logged="2026-03-06T12:00:02Z")
        .moved("retry", "2026-03-06T12:00:03Z", "scheduled", "recovered", "paid_elsewhere")
        .moved("account", "2026-03-06T12:00:03Z", "past_due", "active", "paid")
        .next_case(2)
        .moved("retry", "2026-03-06T12:00:03Z", "none", "scheduled")
        .moved("account", "2026-03-06T12:00:03Z", "active", "past_due", "payment_failed")
        .status("2026-03-06T12:00:03Z", "past_due", "past_due")
    )

    assert_kept(story, tolerance=Tolerance(timedelta(seconds=1), timedelta(seconds=5)))


@pytest.mark.parametrize(
    ("topic", "data", "says"),
    [
        (STAGES, {"invoice_id": "in_9"}, "a case of invoice in_9, which has no failure among the inputs"),
        (RESULTS, {"case_ids": [Story("acc_2").case]}, "is none of the account's"),
        (RESULTS, {"account_id": "acc_2"}, "is none of the account's"),
        (STATUS, {"open_cases": [{**A_LINE, "invoice_id": "in_9"}]}, "a case of invoice in_9"),
        (STATUS, {"open_cases": [{**A_LINE, "case_id": Story("acc_2").case}]}, "not a case number of invoice in_1"),
    ],
)
def test_a_case_that_is_named_as_another_s_is_rejected_wherever_that_is(
    topic: str, data: dict[str, Any], says: str
) -> None:
    story = a_suspended_case()
    last = [event for event in story.events if event["topic"] == topic][-1]
    last["data"].update(data)

    assert_broken(story, 1, says, f"{topic}/0@{last['offset']}")


@pytest.mark.parametrize(
    ("event", "data", "says"),
    [
        ({}, {"amount_minor": "4900"}, "amount_minor is not written as an integer"),
        ({}, {"effective_at": "2026-03-16T10:00:00"}, "effective_at is not a time with an offset"),
        ({"type": "payment.failed.v1"}, {}, "payment.failed.v1 is of another topic"),
    ],
)
def test_what_the_services_write_has_the_shape_of_the_contract(
    event: dict[str, Any], data: dict[str, Any], says: str
) -> None:
    """What a lenient reader would forgive a sender is no peer's to guess."""
    story = a_suspended_case().changed(STAGES, {"to_stage": "suspended"}, **data)
    story.find(STAGES, to_stage="suspended").update(event)

    assert_broken(story, 9, f"retry_scheduler lost it: no dead letter ({says})", f"{STAGES}/0@3")
