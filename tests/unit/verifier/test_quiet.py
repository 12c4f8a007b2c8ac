"""Promise 8, as far as it is in force: nobody is contacted in quiet hours."""

from typing import Any

from tests.unit.verifier.story import STANDARD, Story, a_suspended_case, assert_broken, assert_kept

RESULTS = "dunning.notice.result"


def a_notice_at(at: str, channel: str = "email", zone: str | None = "UTC", contact: Any = "standard") -> Story:
    """One notice, to a customer who lives there; the standard policy is quiet from 21:00 to 08:00."""
    policy = dict(STANDARD)
    if contact != "standard":
        policy["contact"] = contact
    story = Story(policy=policy).failed(
        "2026-03-02T02:00:00Z",
        failure={"code": "payment_overdue"},
        customer={"timezone": zone} if zone else {},
    )
    return (
        story.moved("account", "2026-03-02T02:00:01Z", "active", "past_due")
        .status("2026-03-02T02:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T02:00:01Z", "none", "payment_failed")
        .noticed(at, "payment_failed", "sent", channel=channel)
    )


def test_a_mail_in_the_morning_is_as_it_should_be() -> None:
    assert_kept(a_notice_at("2026-03-02T08:00:00Z"))


def test_a_mail_at_night_is_rejected() -> None:
    story = a_notice_at("2026-03-02T07:59:30Z")

    found = assert_broken(story, 8, "email notice of payment_failed went out at 2026-03-02T07:59:30", f"{RESULTS}/0@0")
    assert (found.case_id, found.account_id) == (story.case, "acc_1")


def test_quiet_hours_are_the_customer_s() -> None:
    """14:00 in Greenwich is 09:00 in New York and 23:00 in Tokyo."""
    assert_kept(a_notice_at("2026-03-02T14:00:00Z", zone="America/New_York"))
    assert_broken(a_notice_at("2026-03-02T14:00:00Z", zone="Asia/Tokyo"), 8, "in quiet hours", f"{RESULTS}/0@0")


def test_the_customer_s_present_zone_counts_not_the_former_one() -> None:
    story = a_notice_at("2026-03-02T14:00:00Z", zone="America/New_York")
    story.signal("customer.updated", "2026-03-02T09:00:00Z", customer={"timezone": "Asia/Tokyo"})

    assert_broken(story, 8, "in quiet hours", f"{RESULTS}/0@0")


def test_an_unknown_zone_is_the_policy_s_fallback() -> None:
    assert_kept(a_notice_at("2026-03-02T08:00:00Z", zone="Mars/Olympus"))
    assert_broken(a_notice_at("2026-03-02T03:00:00Z", zone=None), 8, "in quiet hours", f"{RESULTS}/0@0")


def test_a_mail_that_was_begun_before_the_quiet_hours_may_be_answered_in_them() -> None:
    assert_kept(a_notice_at("2026-03-02T21:00:04Z"))
    assert_broken(a_notice_at("2026-03-02T21:00:30Z"), 8, "in quiet hours", f"{RESULTS}/0@0")


def test_without_a_word_in_the_policy_nights_are_quiet_for_calls_but_not_for_mails() -> None:
    assert_kept(a_notice_at("2026-03-02T03:00:00Z", contact=None))
    assert_broken(a_notice_at("2026-03-02T03:00:00Z", "sms", contact=None), 8, "sms notice", f"{RESULTS}/0@0")


def test_each_channel_can_have_hours_of_its_own() -> None:
    contact = {"quiet_hours": {"sms": ["20:00", "09:00"], "push": "none"}}

    assert_kept(a_notice_at("2026-03-02T03:00:00Z", "push", contact=contact))
    assert_broken(a_notice_at("2026-03-02T08:30:00Z", "sms", contact=contact), 8, "sms notice", f"{RESULTS}/0@0")


def test_no_quiet_hours_are_no_quiet_hours() -> None:
    assert_kept(a_notice_at("2026-03-02T03:00:00Z", "sms", contact={"quiet_hours": "none"}))


def test_a_mail_that_arrived_at_night_is_rejected_whatever_its_result_says() -> None:
    story = a_notice_at("2026-03-02T08:00:00Z").mailed("payment_failed", "2026-03-02T03:00:00Z")

    assert_broken(story, 8, "went out at 2026-03-02T03:00:00", f"{RESULTS}/0@0")


def test_the_suspended_case_disturbs_nobody() -> None:
    assert_kept(a_suspended_case())
