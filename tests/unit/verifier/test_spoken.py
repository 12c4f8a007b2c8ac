"""What results say of notices: by the policy, one outcome after the other, and to somebody who can be reached."""

from typing import Any

import pytest

from tests.unit.verifier.story import STANDARD, Story, a_recovered_case, a_suspended_case, assert_broken, assert_kept

RESULTS = "dunning.notice.result"
STAGES = "dunning.stage.changed"


def with_notice(place: int, **notice: Any) -> dict[str, Any]:
    """The policy with another notice at one of its rungs."""
    ladder = [dict(rung) for rung in STANDARD["ladder"]]
    ladder[place]["notice"] = {"channels": ["email"], **notice}
    return {**STANDARD, "ladder": ladder}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"rung": "nonsense"}, "nonsense is no rung with a notice"),
        ({"rung": "suspended"}, "suspended is no rung with a notice"),
        ({"channel": "letter"}, "payment_failed has no notice by letter"),
        ({"template": "final_notice"}, "notice of payment_failed was made from final_notice, not from payment_failed"),
    ],
)
def test_a_notice_that_the_policy_does_not_have_is_rejected(data: dict[str, str], says: str) -> None:
    story = a_recovered_case().noticed("2026-03-03T10:00:02Z", "payment_failed", "suppressed", notice_id="n-2")
    story.events[-1]["data"].update(data)
    story.policy = with_notice(0, template="payment_failed")

    assert_broken(story, 5, says, f"{RESULTS}/0@2")


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        (("lost",), "is lost before anything else"),
        (("delivered",), "is delivered before anything else"),
        (("sent", "delivered", "delivered"), "is delivered after it was delivered"),
        (("sent", "delivered", "suppressed"), "is suppressed after it was delivered"),
        (("unknown", "sent"), "is sent after it was unknown"),
        (("suppressed", "sent"), "is sent after it was suppressed"),
        (("superseded", "delivered"), "is delivered after it was superseded"),
        (("sent", "bounced", "delivered"), "is delivered after it was bounced"),
    ],
)
def test_an_outcome_that_cannot_follow_is_rejected(outcomes: tuple[str, ...], says: str) -> None:
    story = a_recovered_case().noticed("2026-03-03T10:00:02Z", "payment_failed", *outcomes, notice_id="n-2")

    assert_broken(story, 5, f"notice n-2 {says}", f"{RESULTS}/0@{1 + len(outcomes)}")


@pytest.mark.parametrize("outcomes", [("unknown", "delivered", "bounced"), ("bounced",), ("superseded",), ("failed",)])
def test_outcomes_that_follow_each_other_are_as_they_should_be(outcomes: tuple[str, ...]) -> None:
    story = a_recovered_case().noticed(
        "2026-03-03T10:00:02Z", "payment_failed", *outcomes, channel="in_app", notice_id="n-2"
    )

    assert_kept(story)


def test_to_be_told_of_a_suspension_before_it_came_is_rejected() -> None:
    """Its date is over, but the suspension waits for its warning."""
    story = a_suspended_case("2026-03-17T10:00:00Z", "2026-03-20T10:00:00Z")
    story.policy = with_notice(2)
    story.moved("notice", "2026-03-20T10:00:01Z", "suspension_warning", "suspended")
    early = story.noticed("2026-03-20T10:00:01Z", "suspended", "sent")
    assert_kept(early)

    early.events[-1]["data"]["at"] = "2026-03-19T10:00:00Z"
    assert_broken(early, 5, "notice of suspended sent at 2026-03-19T10:00:00+00:00, before the account was suspended")


def test_a_mail_to_somebody_whose_address_nobody_knows_is_rejected() -> None:
    story = a_recovered_case()
    for failure in [event for event in story.events if event["topic"] == "payment.failed"]:
        del failure["data"]["customer"]["email"]

    assert_broken(story, 8, "sent by email, though no email was ever said of the account", f"{RESULTS}/0@0")
    story.signal("customer.updated", "2026-03-01T10:00:00Z", customer={"email": "ada@example.com"})
    assert_kept(story)


def bounced_for_good(**signal: Any) -> Story:
    """The first mail bounced a day later, and a warning was mailed all the same."""
    story = a_suspended_case()
    bounce = {"notice_id": f"{story.case}-payment_failed", "channel": "email", "permanent": True, **signal}
    story.signal("notice.bounced", "2026-03-03T10:00:00Z", **bounce)
    story.events.insert(
        [event["topic"] for event in story.events].index(RESULTS) + 2,
        story.noticed("2026-03-03T10:00:00Z", "payment_failed", "bounced").events.pop(),
    )
    for number, result in enumerate(event for event in story.events if event["topic"] == RESULTS):
        result.update(offset=number, sequence=number + 1, id=f"result-{number}")
    return story


def test_a_mail_to_an_address_that_bounced_for_good_is_rejected() -> None:
    story = bounced_for_good()

    told = "notice of suspension_warning sent to the email that had bounced for good at dunning.notice.result/0@2"
    assert_broken(story, 8, told, f"{RESULTS}/0@3")


def test_a_mail_after_a_bounce_for_now_or_to_a_new_address_is_as_it_should_be() -> None:
    assert_kept(bounced_for_good(permanent=False))
    moved = bounced_for_good().signal("customer.updated", "2026-03-04T10:00:00Z", customer={"email": "b@example.com"})
    assert_kept(moved)
