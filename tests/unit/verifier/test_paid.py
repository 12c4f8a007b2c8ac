"""Promise 4: what was paid is left alone."""

import pytest

from dunning_verifier import verify
from tests.unit.verifier.story import Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STAGES = "dunning.stage.changed"
REQUESTS = "dunning.retry.requested"


def a_charge_a_day_after_the_failure(paid_at: str, logged: str = "") -> Story:
    """A request at 10:00 on the 3rd, and a payment at another time."""
    return (
        Story()
        .failed("2026-03-02T10:00:00Z")
        .moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
        .succeeded(paid_at, logged=logged)
        .requested("2026-03-03T10:00:00Z", 2, "2026-03-04T10:00:00Z")
    )


def test_a_charge_of_what_was_paid_an_hour_before_is_rejected() -> None:
    story = a_charge_a_day_after_the_failure(paid_at="2026-03-03T09:00:00Z")

    found = assert_broken(story, 4, "attempt 2 requested although the invoice was paid", f"{REQUESTS}/0@0")
    assert found.case_id == story.case


def test_a_charge_of_what_was_paid_two_seconds_before_it_was_due_is_rejected() -> None:
    story = a_charge_a_day_after_the_failure(paid_at="2026-03-03T09:59:58Z")

    assert_broken(story, 4, "although the invoice was paid", f"{REQUESTS}/0@0")


def test_a_payment_whose_event_came_after_the_charge_could_not_be_known() -> None:
    story = a_charge_a_day_after_the_failure(paid_at="2026-03-03T09:00:00Z", logged="2026-03-03T10:00:01Z")
    story.moved("retry", "2026-03-03T10:00:02Z", "requested", "recovered", "paid_elsewhere")

    assert_kept(story, settled=False)


def test_services_that_were_down_read_the_payment_before_they_charge() -> None:
    """The charge was due on the 3rd and the payment came on the 4th, both while everything was down until the 5th."""
    story = a_charge_a_day_after_the_failure(paid_at="2026-03-04T12:00:00Z")
    story.changed(REQUESTS, {}, not_after="2026-03-09T10:00:00Z")
    for topic in (STAGES, REQUESTS):
        story.events[-1 if topic == REQUESTS else -2]["at"] = "2026-03-05T10:00:00Z"

    assert_broken(story, 4, "although the invoice was paid", f"{REQUESTS}/0@0")


def test_a_charge_for_a_failure_after_the_payment_is_the_next_case_s() -> None:
    story = (
        a_recovered_case()
        .failed("2026-03-06T12:00:00Z", 3)
        .next_case(2)
        .moved("retry", "2026-03-06T12:00:01Z", "none", "scheduled")
        .moved("account", "2026-03-06T12:00:01Z", "active", "past_due")
        .status("2026-03-06T12:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-06T12:00:01Z", "none", "payment_failed")
        .requested("2026-03-07T12:00:00Z", 4, "2026-03-08T12:00:00Z")
    )

    assert_kept(story)


def test_a_late_failure_that_reopens_what_was_paid_is_rejected() -> None:
    """A failure before the success that closed the case changes nothing, however late it comes."""
    story = (
        a_recovered_case()
        .failed("2026-03-03T12:00:00Z", 3, logged="2026-03-06T12:00:00Z")
        .next_case(2)
        .moved("account", "2026-03-06T12:00:01Z", "active", "past_due")
        .status("2026-03-06T12:00:01Z", "active", "past_due")
    )

    assert_broken(story, 4, "account step to past_due although the invoice was paid", f"{STAGES}/0@8")


def test_a_suspension_of_what_was_paid_is_rejected() -> None:
    story = a_suspended_case().succeeded("2026-03-15T10:00:00Z")

    assert_broken(story, 4, "account step to suspended although the invoice was paid", f"{STAGES}/0@3")


def test_a_warning_about_what_was_paid_is_rejected() -> None:
    story = a_suspended_case().succeeded("2026-03-12T10:00:00Z")

    found = assert_broken(story, 4, "notice of suspension_warning sent although", "dunning.notice.result/0@2")
    assert found.case_id == story.case


def test_a_transition_after_recovered_is_rejected() -> None:
    story = a_recovered_case().moved("retry", "2026-03-04T09:00:05Z", "recovered", "scheduled")

    assert_broken(story, 4, "retry goes from recovered to scheduled after it was paid", f"{STAGES}/0@8")


def test_a_charge_after_the_same_service_said_recovered_is_rejected() -> None:
    story = a_recovered_case().requested("2026-03-04T09:00:10Z", 3, "2026-03-05T09:00:00Z")

    assert_broken(story, 4, "attempt 3 requested after the case was recovered", f"{REQUESTS}/0@1")


def test_a_notice_after_the_same_service_said_recovered_is_rejected_but_a_mail_under_way_is_not() -> None:
    late, under_way = a_recovered_case(), a_recovered_case()
    for story, at in ((late, "2026-03-04T11:00:00Z"), (under_way, "2026-03-04T09:00:02Z")):
        story.moved("notice", "2026-03-03T12:00:00Z", "payment_failed", "payment_failed")
        story.noticed(at, "payment_failed", "sent", notice_id="another", channel="letter")

    assert_broken(late, 4, "sent after the case was recovered", "dunning.notice.result/0@2")
    assert not [one for one in verify(under_way.history()) if "after the case was recovered" in one.what]


def test_a_paid_case_that_is_still_suspended_is_rejected() -> None:
    story = a_suspended_case().succeeded("2026-03-17T10:00:00Z")

    found = assert_broken(story, 4, "the invoice was paid, but account ends as suspended", f"{STAGES}/0@3")
    assert found.case_id == story.case


def test_a_paid_case_whose_retry_track_never_ended_is_rejected() -> None:
    story = a_recovered_case().without(STAGES, track="retry", to_stage="recovered")

    assert_broken(story, 4, "the invoice was paid, but retry ends as scheduled", f"{STAGES}/0@4")


def test_an_adjustment_to_nothing_is_a_payment_in_full() -> None:
    adjusted = {"id": "in_1", "amount_remaining_minor": 0}
    story = a_suspended_case().signal("invoice.adjusted", "2026-03-15T10:00:00Z", invoice=adjusted)

    assert_broken(story, 4, "account step to suspended although the invoice was paid", f"{STAGES}/0@3")


def test_a_payment_in_part_closes_nothing() -> None:
    story = a_suspended_case().succeeded("2026-03-12T10:00:00Z", remaining=1900)
    for stage in ("suspension_warning", "suspended"):
        story.changed(STAGES, {"to_stage": stage}, amount_minor=1900)
    story.owing("suspended", 1900)

    assert_kept(story)


def test_what_lay_in_one_partition_before_it_came_again_in_another_could_be_read_there() -> None:
    story = a_suspended_case()
    failure = story.find("payment.failed")
    paid = story.succeeded("2026-03-17T10:00:00Z")
    paid.events.append({**failure, "partition": 1, "offset": 0})
    failure["at"] = "2026-03-20T10:00:00Z"  # the copy in partition 0, which comes first in the order of the logs

    assert not [one for one in verify(paid.history()) if "although the invoice was paid" in one.what]


@pytest.mark.parametrize("kind", ["invoice.voided", "case.closed"])
@pytest.mark.parametrize(
    ("at", "says", "place"),
    [
        ("2026-03-15T10:00:00Z", "account step to suspended", f"{STAGES}/0@3"),
        ("2026-03-12T10:00:00Z", "notice of suspension_warning sent", "dunning.notice.result/0@2"),
    ],
)
def test_a_step_of_what_was_voided_or_written_off_is_rejected(kind: str, at: str, says: str, place: str) -> None:
    story = a_suspended_case().signal(kind, at, invoice_id="in_1", reason="bankrupt")

    assert_broken(story, 4, f"{says} although the invoice was voided or written off", place)


def test_a_charge_of_what_was_voided_is_rejected_whatever_the_void_s_own_time() -> None:
    story = a_recovered_case().signal("invoice.voided", "2026-03-01T10:00:00Z", invoice_id="in_1")
    assert_broken(
        story, 4, "charge of attempt 2 requested although the invoice was voided", "dunning.retry.requested/0@0"
    )

    story.events[-1]["at"] = "2026-03-03T10:00:00Z"  # in the log when it was charged already
    assert not [one for one in verify(story.history()) if "requested although the invoice" in one.what]
