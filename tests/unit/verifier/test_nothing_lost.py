"""Promise 10: at the end, all that was owed has happened and all words agree."""

from dunning_verifier import verify
from dunning_verifier.clock import instant
from tests.unit.verifier.story import STANDARD, Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

STATUS = "dunning.account.status"


def test_a_failure_that_nobody_ever_saw_is_rejected() -> None:
    story = a_recovered_case().with_events_of(Story("acc_2", "in_9").failed("2026-03-03T13:00:00Z"))

    found = assert_broken(story, 10, "invoice in_9 failed and is unpaid, but has no case", "payment.failed/0@2")
    assert (found.account_id, found.case_id) == ("acc_2", Story("acc_2", "in_9").case)


def test_while_the_run_goes_on_a_case_may_still_come() -> None:
    assert_kept(a_recovered_case().with_events_of(Story("acc_2").failed("2026-03-03T13:00:00Z")), settled=False)


def test_a_failure_of_what_was_paid_or_voided_since_needs_no_case() -> None:
    paid = Story("acc_2").failed("2026-03-03T13:00:00Z").succeeded("2026-03-03T14:00:00Z")
    voided = Story("acc_3").failed("2026-03-03T13:00:00Z")
    voided.signal("invoice.voided", "2026-03-01T13:00:00Z", invoice_id="in_1")

    assert_kept(a_recovered_case().with_events_of(paid, voided))


def test_a_failure_before_the_start_or_in_test_mode_or_of_an_ignored_customer_needs_no_case() -> None:
    failure = Story("acc_2").failed("2026-03-01T13:00:00Z")
    test_mode = Story("acc_3").failed("2026-03-03T13:00:00Z", livemode=False)
    ignored = Story(policy={**STANDARD, "ignore": True}).failed("2026-03-03T13:00:00Z")

    story = a_recovered_case().with_events_of(failure, test_mode)
    assert_kept(story, starts_at=instant("2026-03-02T00:00:00Z"))
    assert_kept(ignored)


def test_a_status_that_disagrees_with_the_worst_open_case_is_rejected() -> None:
    story = a_suspended_case().without(STATUS, status="suspended")

    found = assert_broken(story, 10, "last status is past_due, but its worst open case is suspended", f"{STATUS}/0@0")
    assert found.account_id == "acc_1"


def test_the_worst_of_several_cases_is_the_account_s_status() -> None:
    """The second invoice is only past due; a status that took it for the account's is wrong."""
    second = (
        Story(invoice="in_2")
        .failed("2026-03-19T10:00:00Z", failure={"code": "payment_overdue"})
        .moved("account", "2026-03-19T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-19T10:00:01Z", "none", "payment_failed")
    )
    story = a_suspended_case().with_events_of(second)
    owed = [
        {"case_id": one.case, "invoice_id": one.invoice, "amount_minor": 4900, "currency": "EUR"}
        for one in (story, second)
    ]
    story.status("2026-03-19T10:00:01Z", "suspended", "suspended", open_cases=owed)
    story.events[-1]["data"]["to_reinstate"] = [{"currency": "EUR", "amount_minor": 9800}]

    assert_kept(story)
    story.changed(STATUS, {"previous_status": "suspended"}, status="past_due")
    assert_broken(story, 10, "last status is past_due, but its worst open case is suspended", f"{STATUS}/0@2")


def test_an_open_case_that_the_status_forgets_is_rejected() -> None:
    story = a_suspended_case().changed(STATUS, {"status": "suspended"}, open_cases=[], to_reinstate=[])

    found = assert_broken(story, 10, "an open case is missing in open_cases", f"{STATUS}/0@1")
    assert found.case_id == story.case


def test_a_paid_case_that_the_status_still_lists_is_rejected() -> None:
    line = {"case_id": a_recovered_case().case, "invoice_id": "in_1", "amount_minor": 4900, "currency": "EUR"}
    story = a_recovered_case().changed(STATUS, {"status": "active"}, open_cases=[line])

    assert_broken(story, 10, "in_1 is paid, but stands in open_cases", f"{STATUS}/0@1")


def test_a_wrong_sum_to_reinstate_is_rejected() -> None:
    wrong = [{"currency": "EUR", "amount_minor": 1}]
    story = a_suspended_case().changed(STATUS, {"status": "suspended"}, to_reinstate=wrong)

    assert_broken(story, 10, "to_reinstate is {'EUR': 1}, but the cases that are not active owe", f"{STATUS}/0@1")


def test_a_charge_that_was_planned_and_never_came_is_rejected() -> None:
    planned = {"stage": "requested", "due_at": "2026-03-03T10:00:00Z"}
    story = (
        Story()
        .failed("2026-03-02T10:00:00Z")
        .moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled", next=planned)
        .moved("account", "2026-03-02T10:00:01Z", "active", "past_due")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
    )
    assert_kept(story)

    story.with_events_of(Story("acc_2").failed("2026-03-04T10:00:00Z"))
    found = assert_broken(story, 10, "retry still stands at scheduled", "dunning.stage.changed/0@0")
    assert found.case_id == story.case


def test_a_planned_charge_of_a_card_that_was_tried_often_may_wait_for_its_network() -> None:
    card = {"id": "pm_1", "type": "card", "fingerprint": "fp_1", "brand": "visa"}
    planned = {"stage": "requested", "due_at": "2026-03-03T10:00:00Z"}

    def stands_still_after(attempts: int) -> bool:
        story = Story()
        for number in range(1, attempts + 1):
            story.failed(f"2026-03-02T09:{number:02}:00Z", number, payment_method=card)
        story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled", next=planned)
        story.with_events_of(Story("acc_2").failed("2026-03-04T10:00:00Z"))
        return any("still stands" in violation.what for violation in verify(story.history()))

    assert stands_still_after(9)
    assert not stands_still_after(10)


def test_a_request_that_ran_out_of_time_and_was_never_given_up_is_rejected() -> None:
    story = Story().failed("2026-03-02T10:00:00Z").moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
    story.requested("2026-03-03T10:00:00Z", 2, "2026-03-04T10:00:00Z")
    story.with_events_of(Story("acc_2").failed("2026-03-05T10:00:00Z"))

    assert_broken(story, 10, "retry still stands at requested", "dunning.stage.changed/0@1")


def test_an_account_that_was_reinstated_is_not_terminated_any_more() -> None:
    story = (
        a_suspended_case()
        .moved("notice", "2026-04-01T10:00:00Z", "suspension_warning", "final_notice")
        .noticed("2026-04-01T10:00:00Z", "final_notice")
        .moved("account", "2026-04-16T10:00:00Z", "suspended", "terminated")
        .status("2026-04-16T10:00:00Z", "suspended", "terminated", owed=0)
        .signal("account.reinstated", "2026-04-17T10:00:00Z", reason="settled")
        .status("2026-04-17T10:00:01Z", "terminated", "active", owed=0)
    )

    assert_kept(story)
