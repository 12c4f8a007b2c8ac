"""Promises 5 and 6 rest on the policy's dates: none comes early, and where the policy rolls none falls on a day off."""

from typing import Any

import pytest

from tests.unit.verifier.story import STANDARD, Story, a_suspended_case, assert_broken, assert_kept

STAGES, RESULTS = "dunning.stage.changed", "dunning.notice.result"
GERMAN = {"timezone": "UTC", "country": "DE"}


def rolling(word: str = "next", *calendars: str, **retries: Any) -> dict[str, Any]:
    """The standard policy with business days."""
    roll = {"business_days": word, "calendars": list(calendars or ("account_country",))}
    return {**STANDARD, "roll": roll, "retries": {**STANDARD["retries"], **retries}}


def a_warned_case(failed_on: str, warned_on: str, suspended_on: str, policy: dict[str, Any]) -> Story:
    """All at ten o'clock: failed, warned after eleven days, suspended after fourteen, if nothing moved that."""
    at, warned_at, suspended_at = (f"{day}T10:00:00Z" for day in (failed_on, warned_on, suspended_on))
    return (
        Story(policy=policy)
        .failed(at, failure={"code": "payment_overdue"}, customer=GERMAN)
        .moved("account", at, "active", "past_due", "payment_failed")
        .status(at, "active", "past_due")
        .moved("notice", at, "none", "payment_failed")
        .moved("notice", warned_at, "payment_failed", "suspension_warning")
        .noticed(warned_at, "suspension_warning")
        .moved("account", suspended_at, "past_due", "suspended", "grace_period_expired")
        .status(suspended_at, "past_due", "suspended")
    )


def test_a_suspension_before_its_date_is_rejected_although_it_was_warned_in_time() -> None:
    story = a_suspended_case("2026-03-10T10:00:00Z", "2026-03-13T10:00:00Z")

    found = assert_broken(story, 6, "before its date 2026-03-16T10:00:00+00:00", f"{STAGES}/0@3")
    assert found.case_id == story.case


def test_a_notice_before_its_date_is_rejected() -> None:
    story = a_suspended_case("2026-03-13T09:59:00Z")

    assert_broken(story, 6, "notice of suspension_warning sent at 2026-03-13T09:59:00", f"{RESULTS}/0@2")


def test_a_rung_on_a_holiday_of_the_account_s_country_is_rejected() -> None:
    """Good Friday, 3 April 2026, is fourteen days after the failure, and Easter Monday is off as well."""
    good_friday = a_warned_case("2026-03-20", "2026-03-31", "2026-04-03", rolling())
    tuesday = a_warned_case("2026-03-20", "2026-03-31", "2026-04-07", rolling())

    assert_broken(good_friday, 6, "before its date 2026-04-07T10:00:00+00:00", f"{STAGES}/0@3")
    assert_kept(tuesday)


def test_whose_holiday_it_is_counts() -> None:
    """In the United States Good Friday is a working day."""
    assert_kept(a_warned_case("2026-03-20", "2026-03-31", "2026-04-03", rolling("next", "US")))


def test_the_lead_ends_on_a_business_day_also_where_dates_roll_back() -> None:
    """Warned on Wednesday the 1st, a day late: three days later is a Saturday, and `previous` would come before it."""
    friday = a_warned_case("2026-03-20", "2026-04-01", "2026-04-04", rolling("previous", "US"))
    monday = a_warned_case("2026-03-20", "2026-04-01", "2026-04-06", rolling("previous", "US"))

    assert_broken(friday, 6, "the next business day", f"{STAGES}/0@3")
    assert_kept(monday)


@pytest.mark.parametrize(
    ("due_at", "says"),
    [
        ("2026-03-07T10:00:00Z", "a day off"),  # a Saturday
        ("2026-03-06T20:00:00Z", "outside the policy's hours"),
        ("2026-03-06T19:59:59Z", None),
    ],
)
def test_a_charge_is_planned_within_hours_on_a_business_day(due_at: str, says: str | None) -> None:
    policy = rolling(hours=["08:00", "20:00"], roll={"business_days": "next"})
    story = Story(policy=policy).failed("2026-03-02T10:00:00Z", customer=GERMAN)
    story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled", next={"stage": "requested", "due_at": due_at})

    if says is None:
        assert_kept(story, settled=False)
    else:
        assert_broken(story, 5, says, f"{STAGES}/0@0", settled=False)
        story.signal("payment_method.updated", "2026-03-02T10:00:00Z", payment_method={"id": "pm_2"})
        assert_kept(story, settled=False)


# --- late timers ------------------------------------------------------------------------------------------------------


def a_charge_two_seconds_late(paid_at: str, *hurry: str) -> Story:
    """Planned for 10:00:00, made at 10:00:02 by a busy machine, which calls that its `not_before`."""
    planned = {"stage": "requested", "due_at": "2026-03-03T10:00:00Z"}
    story = Story().failed("2026-03-02T10:00:00Z")
    story.moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled", next=planned)
    for kind in hurry:
        story.signal(kind, "2026-03-03T09:59:00Z", invoice_id="in_1")
    return story.succeeded(paid_at).requested("2026-03-03T10:00:02Z", 2, "2026-03-04T10:00:02Z")


def test_what_was_paid_between_the_due_time_and_a_late_timer_need_not_be_known() -> None:
    assert_kept(a_charge_two_seconds_late("2026-03-03T10:00:00.500Z"), settled=False)


def test_what_was_paid_before_the_due_time_has_to_be_known_by_a_late_timer_too() -> None:
    story = a_charge_two_seconds_late("2026-03-03T09:59:58Z")

    assert_broken(story, 4, "attempt 2 requested although the invoice was paid", settled=False)


def test_a_charge_that_was_hurried_was_due_nobody_knows_when() -> None:
    assert_kept(a_charge_two_seconds_late("2026-03-03T09:59:58Z", "retry.now"), settled=False)
