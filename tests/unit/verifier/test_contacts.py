"""Promise 8: caps, consent, and nobody is written to once erased."""

from typing import Any

import pytest

from dunning_verifier import verify
from tests.unit.verifier.story import STANDARD, Story, assert_broken, assert_kept

RESULTS = "dunning.notice.result"


def a_case(caps: dict[str, Any] | None = None, **more: Any) -> Story:
    """A case under a policy without quiet hours that no charge could end."""
    contact = {"quiet_hours": "none"} if caps is None else {"quiet_hours": "none", "caps": caps}
    story = Story(policy={**STANDARD, "contact": contact}).failed(
        "2026-03-02T10:00:00Z", failure={"code": "payment_overdue"}, customer={"email": "ada@example.com"}, **more
    )
    return (
        story.moved("account", "2026-03-02T10:00:01Z", "active", "past_due")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:01Z", "none", "payment_failed")
    )


def noticed(story: Story, at: str, number: int, outcome: str = "sent", channel: str = "email") -> Story:
    return story.noticed(at, "payment_failed", outcome, channel=channel, notice_id=f"n{number}")


def assert_no_cap_broken(story: Story) -> None:
    """That one notice goes out several times, which makes short stories of caps, is another promise."""
    assert [str(violation) for violation in verify(story.history()) if violation.promise != 5] == []


@pytest.mark.parametrize("outcome", ["sent", "unknown", "bounced"])
def test_one_mail_too_many_in_a_day_is_rejected(outcome: str) -> None:
    story = noticed(a_case({"email": {"1d": 1}}), "2026-03-02T10:00:02Z", 1, outcome)

    assert_broken(
        noticed(story, "2026-03-03T09:59:00Z", 2), 8, "over the cap of 1 in 1 day, 0:00:00 on email", f"{RESULTS}/0@1"
    )


def test_a_day_later_it_may_go_out() -> None:
    story = noticed(a_case({"email": {"1d": 1}}), "2026-03-02T10:00:02Z", 1)

    assert_no_cap_broken(noticed(story, "2026-03-03T10:00:02Z", 2))


def test_what_did_not_go_out_is_not_counted() -> None:
    story = noticed(a_case({"email": {"1d": 1}}), "2026-03-02T10:00:02Z", 1, "suppressed")

    assert_kept(noticed(story, "2026-03-02T11:00:00Z", 2))


def test_all_counts_every_channel_and_a_channel_only_its_own() -> None:
    def two(caps: dict[str, Any]) -> Story:
        return noticed(noticed(a_case(caps), "2026-03-02T10:00:02Z", 1), "2026-03-02T11:00:00Z", 2, channel="in_app")

    assert_kept(two({"email": {"1d": 1}, "in_app": {"1d": 1}}))
    assert_broken(two({"all": {"1d": 1}}), 8, "on all", f"{RESULTS}/0@1")


def test_seven_calls_in_a_week_are_the_default() -> None:
    story = a_case()
    for number in range(7):
        noticed(story, f"2026-03-02T1{number}:30:00Z", number, channel="call")
    assert_no_cap_broken(story)

    assert_broken(
        noticed(story, "2026-03-03T10:00:00Z", 8, channel="call"), 8, "over the cap of 7 in 7 days", f"{RESULTS}/0@7"
    )


# --- consent ----------------------------------------------------------------------------------------------------------


def consent(story: Story, at: str, allowed: bool, channel: str = "email", said_at: str = "") -> Story:
    data = {"kind": "consent.changed", "account_id": story.account, "at": said_at or at}
    return story.record("dunning.signals", at, data={**data, "channel": channel, "allowed": allowed})


def test_a_mail_after_a_no_is_rejected() -> None:
    story = consent(a_case({}), "2026-03-02T12:00:00Z", False)

    assert_broken(noticed(story, "2026-03-02T13:00:00Z", 1), 8, "without consent", f"{RESULTS}/0@0")


def test_a_mail_before_it_or_on_another_channel_is_not() -> None:
    assert_kept(consent(noticed(a_case({}), "2026-03-02T11:00:00Z", 1), "2026-03-02T12:00:00Z", False))
    assert_kept(noticed(consent(a_case({}), "2026-03-02T12:00:00Z", False, "sms"), "2026-03-02T13:00:00Z", 1))


def test_the_newest_word_counts_by_its_own_time() -> None:
    again = consent(consent(a_case({}), "2026-03-02T12:00:00Z", False), "2026-03-02T12:30:00Z", True)
    stale = consent(
        consent(a_case({}), "2026-03-02T12:00:00Z", False), "2026-03-02T12:30:00Z", True, said_at="2026-03-02T11:00:00Z"
    )

    assert_kept(noticed(again, "2026-03-02T13:00:00Z", 1))
    assert_broken(noticed(stale, "2026-03-02T13:00:00Z", 1), 8, "without consent", f"{RESULTS}/0@0")


def test_what_may_not_have_been_read_yet_forbids_nothing() -> None:
    story = consent(a_case({}), "2026-03-02T12:59:50Z", False)

    assert_kept(noticed(story, "2026-03-02T13:00:00Z", 1))


# --- erasure ----------------------------------------------------------------------------------------------------------


def test_nobody_is_written_to_once_erased_until_somebody_is_named_again() -> None:
    erased = a_case({}).signal("account.erased", "2026-03-02T12:00:00Z")
    assert_broken(noticed(erased, "2026-03-02T13:00:00Z", 1), 8, "after the account was erased", f"{RESULTS}/0@0")

    named = a_case({}).signal("account.erased", "2026-03-02T12:00:00Z")
    named.signal("customer.updated", "2026-03-02T12:30:00Z", customer={"email": "new@example.com"})
    assert_kept(noticed(named, "2026-03-02T13:00:00Z", 1))
