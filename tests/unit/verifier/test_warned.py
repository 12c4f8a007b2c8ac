"""Promise 6: nobody is suspended or terminated who was not warned in time."""

from typing import Any

from tests.unit.verifier.story import STANDARD, Story, a_suspended_case, assert_broken, assert_kept

STAGES = "dunning.stage.changed"


def with_unreachable(duration: str) -> dict[str, Any]:
    """The standard policy with a limit to waiting for a delivery."""
    ladder = [dict(rung) for rung in STANDARD["ladder"]]
    ladder[2]["unreachable"] = duration
    return {**STANDARD, "ladder": ladder}


def a_suspension_after(*outcomes: str, at: str = "2026-03-16T10:00:00Z", reason: str | None = None) -> Story:
    """Warned on the 13th with these outcomes, suspended at another time."""
    story = (
        Story()
        .failed("2026-03-02T10:00:00Z", failure={"code": "payment_overdue"})
        .moved("account", "2026-03-02T10:00:01Z", "active", "past_due")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:01Z", "none", "payment_failed")
        .moved("notice", "2026-03-13T10:00:00Z", "payment_failed", "suspension_warning")
    )
    if outcomes:
        story.noticed("2026-03-13T10:00:00Z", "suspension_warning", *outcomes)
    return story.moved("account", at, "past_due", "suspended", reason).status(at, "past_due", "suspended")


def test_a_suspension_three_days_after_its_warning_is_as_it_should_be() -> None:
    assert_kept(a_suspended_case())


def test_a_suspension_without_a_warning_is_rejected() -> None:
    story = a_suspension_after()

    found = assert_broken(story, 6, "suspension_warning was never delivered", f"{STAGES}/0@3")
    assert (found.case_id, found.account_id) == (story.case, "acc_1")


def test_a_warning_that_was_sent_but_not_delivered_does_not_count() -> None:
    assert_broken(a_suspension_after("sent", "unknown"), 6, "was never delivered", f"{STAGES}/0@3")


def test_a_warning_of_another_case_does_not_count() -> None:
    story = a_suspension_after()
    story.noticed("2026-03-13T10:00:00Z", "suspension_warning", case_ids=["another-case"])

    assert_broken(story, 6, "was never delivered", f"{STAGES}/0@3")


def test_a_warning_that_bounced_does_not_count() -> None:
    story = a_suspension_after("sent", "delivered", "bounced")

    assert_broken(story, 6, "bounced after its delivery", f"{STAGES}/0@3")


def test_a_bounce_that_only_the_signal_told_counts_as_well() -> None:
    story = a_suspended_case().signal(
        "notice.bounced", "2026-03-13T10:05:00Z", invoice_id="in_1", rung="suspension_warning", channel="email"
    )

    assert_broken(story, 6, "bounced after its delivery", f"{STAGES}/0@3")


def test_a_second_channel_that_delivered_after_the_bounce_makes_the_suspension_wait_from_then() -> None:
    early, waited = (
        a_suspension_after("sent", "delivered", "bounced", at=at).noticed(
            "2026-03-13T10:05:00Z", "suspension_warning", channel="sms", notice_id="by-sms"
        )
        for at in ("2026-03-16T10:00:00Z", "2026-03-16T10:05:00Z")
    )

    warning = {**STANDARD["ladder"][1], "notice": {"channels": ["email", "sms"]}}
    early.policy = waited.policy = {**STANDARD, "ladder": [STANDARD["ladder"][0], warning, *STANDARD["ladder"][2:]]}
    assert_broken(early, 6, "less than its lead time of 3d 0s before", f"{STAGES}/0@3")
    assert_kept(waited)


def test_a_bounce_after_the_suspension_changes_nothing() -> None:
    story = a_suspended_case().signal(
        "notice.bounced", "2026-03-17T10:00:00Z", invoice_id="in_1", rung="suspension_warning", channel="email"
    )

    assert_kept(story)


def test_a_suspension_a_minute_too_early_is_rejected() -> None:
    story = a_suspended_case(suspended_at="2026-03-16T09:59:00Z")

    assert_broken(story, 6, "less than its lead time", f"{STAGES}/0@3")


def test_days_of_lead_are_calendar_days_in_the_customer_s_zone() -> None:
    """The clocks in Berlin go forward on March 29th: three days are 71 hours."""
    story = a_suspended_case("2026-03-27T10:00:00Z", "2026-03-30T09:00:00Z")
    story.policy = {**STANDARD, "timezone": "Europe/Berlin"}

    assert_kept(story)


def test_a_warning_that_is_a_month_old_has_to_be_sent_once_more() -> None:
    story = a_suspended_case(suspended_at="2026-04-16T10:00:00Z")

    assert_broken(story, 6, "so long ago that it had to be sent once more", f"{STAGES}/0@3")


def test_who_cannot_be_reached_may_be_suspended_where_the_policy_says_so() -> None:
    story = a_suspension_after("sent", "bounced", at="2026-03-23T10:00:00Z", reason="customer_unreachable")

    assert_broken(story, 6, "waits for ever, whatever the reason says", f"{STAGES}/0@3")
    story.policy = with_unreachable("7d")
    assert_kept(story)


def test_who_cannot_be_reached_is_left_alone_until_the_time_ran_out_from_the_later_of_date_and_last_channel() -> None:
    by_date = a_suspension_after("sent", "bounced", at="2026-03-23T09:59:58Z", reason="customer_unreachable")
    by_bounce = a_suspension_after("sent", at="2026-03-23T10:00:00Z", reason="customer_unreachable")
    by_bounce.noticed("2026-03-17T10:00:00Z", "suspension_warning", "bounced")

    for story, over_at in ((by_date, "2026-03-23T10:00:00"), (by_bounce, "2026-03-24T10:00:00")):
        story.policy = with_unreachable("7d")
        assert_broken(story, 6, f"the time for that was not over before {over_at}", f"{STAGES}/0@3")


def test_who_was_reached_or_may_be_still_is_not_unreachable() -> None:
    reached = a_suspension_after("sent", "delivered", at="2026-03-25T10:00:00Z", reason="customer_unreachable")
    on_its_way = a_suspension_after("sent", at="2026-03-25T10:00:00Z", reason="customer_unreachable")
    two_ways = a_suspension_after("failed", at="2026-03-25T10:00:00Z", reason="customer_unreachable")

    for story, says in (
        (reached, "was delivered by email"),
        (on_its_way, "was sent by email"),
        (two_ways, "nothing is known of suspension_warning by sms: its notice may still wait"),
    ):
        story.policy = with_unreachable("7d")
        if story is two_ways:
            story.policy["ladder"][1] = {
                **story.policy["ladder"][1],
                "notice": {"channels": ["email"], "fallback": ["sms"]},
            }
        assert_broken(story, 6, says, f"{STAGES}/0@3")


def test_a_suspension_under_a_policy_that_nobody_knows_is_rejected() -> None:
    story = a_suspended_case().changed(STAGES, {"to_stage": "suspended"}, policy={"id": "standard", "version": 9})

    assert_broken(story, 6, "which is not on file", f"{STAGES}/0@3")


def test_a_termination_needs_its_own_warning() -> None:
    story = a_suspended_case().moved("account", "2026-04-16T10:00:00Z", "suspended", "terminated")
    story.status("2026-04-16T10:00:00Z", "suspended", "terminated", owed=0)

    assert_broken(story, 6, "terminated without a warning in time: final_notice was never delivered", f"{STAGES}/0@4")


def test_a_warning_of_a_case_that_held_nothing_counts_in_the_case_that_followed_it() -> None:
    """Rule 7: the failure was counted to the first case until the payment before it was read, after the warning."""
    story = (
        a_suspension_after("sent", "delivered", at="2026-03-16T10:00:00Z")
        .without(STAGES, to_stage="suspended")
        .without("dunning.account.status", status="suspended")
        .succeeded("2026-03-01T10:00:00Z", logged="2026-03-15T10:00:00Z")
        .moved("account", "2026-03-15T10:00:01Z", "past_due", "active", "paid")
        .moved("notice", "2026-03-15T10:00:01Z", "suspension_warning", "recovered", "paid")
    )
    for event in story.events[-2:]:
        event["sequence"] = {"account": 2, "notice": 3}[event["data"]["track"]]
    story.next_case(2).moved("account", "2026-03-15T10:00:01Z", "active", "past_due")
    story.moved("notice", "2026-03-15T10:00:01Z", "none", "suspension_warning")
    story.moved("account", "2026-03-16T10:00:00Z", "past_due", "suspended")
    story.status("2026-03-16T10:00:00Z", "past_due", "suspended")
    story.events[-1]["sequence"] = 2

    assert_kept(story)


def test_a_delivery_of_which_nobody_had_said_anything_yet_is_no_warning() -> None:
    story = a_suspended_case()
    story.find("dunning.notice.result", rung="suspension_warning", outcome="delivered")["at"] = "2026-03-18T10:00:00Z"

    assert_broken(story, 6, "of suspension_warning nobody had said yet that it was delivered", f"{STAGES}/0@3")
