"""Bounces that name notice, invoice and rung, as those from a box of mails do: they act where it fits (rule 30)."""

from typing import Any

import pytest

from dunning.domain import ids
from dunning.domain.events import NoticeResult
from dunning.domain.words import Channel
from tests.builders import PAST_DUE, Story, a_notice, a_policy, failed, moved, paid, signal
from tests.notice_desk import Desk

HELLO = ids.notice_id(ids.case_id("acc_1", "in_1", 1), "hello", "email", "ada@example.com", 1)
STRANGER = ids.notice_id(ids.case_id("acc_1", "in_9", 1), "hello", "email", "ada@example.com", 1)


def came_back(at: str, notice_id: str = HELLO, **changes: Any) -> Any:
    given = {"invoice_id": "in_1", "rung": "hello", "channel": Channel.EMAIL, "permanent": True, **changes}
    return signal("notice.bounced", at, notice_id=notice_id, **given)


def a_story() -> Story:
    ladder = [PAST_DUE, a_notice("hello", "0d"), a_notice("later", "5d")]
    return Story(a_policy(ladder=ladder, retries=None))


def reason_of_later(story: Story) -> str | None:
    """Why the later notice was not sent; None where it was."""
    results = story.until("04-01 00:00").outputs(NoticeResult)
    reasons: list[str | None] = [each.reason for each in results if each.rung == "later"]
    return reasons[0]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (came_back("03-03 10:00"), "address_bounced"),
        (came_back("03-03 10:00", invoice_id="in_2"), None),
        (came_back("03-03 10:00", STRANGER), None),
        (came_back("03-03 10:00", "5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11"), None),
        (came_back("03-03 10:00", permanent=False), None),
        # The invoice of a case that is not on file: its id alone proves which address bounced.
        (came_back("03-03 10:00", STRANGER, invoice_id="in_9"), "address_bounced"),
        (came_back("03-03 10:00", STRANGER, invoice_id="in_9", rung="later"), None),
        (came_back("03-03 10:00", STRANGER, invoice_id="in_9", rung=None), None),
    ],
)
def test_a_bounce_acts_where_notice_account_and_invoice_fit(event: Any, reason: str | None) -> None:
    story = a_story().reads(failed("03-02 10:00"), event)

    assert reason_of_later(story) == reason


def test_it_takes_back_the_delivery_of_a_closed_case_and_marks_the_address_for_the_others() -> None:
    story = a_story().reads(failed("03-02 10:00"), paid("03-03 10:00"), came_back("03-03 12:00"))
    story.reads(failed("03-04 10:00", invoice_id="in_2", payment_id="pay_2"))

    lines = [each for each in story.until("03-04 10:00").lines() if "notice hello" in each]
    assert lines == [
        "03-02 10:00 notice hello email sent",
        "03-03 12:00 notice hello email bounced",
        "03-04 10:00 notice hello email suppressed",
    ]


def test_an_address_that_changed_since_is_not_marked() -> None:
    story = a_story().reads(failed("03-02 10:00"), moved("03-03 10:00", email="new@example.com"))
    story.reads(came_back("03-03 12:00", STRANGER, invoice_id="in_9"), came_back("03-03 13:00"))

    assert reason_of_later(story) is None


def test_a_bounce_that_is_read_before_the_report_is_not_lost() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "email")], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.reads(came_back("03-02 10:01"), "03-02 10:02")
    desk.hears(0, "accepted", "03-02 10:02")

    assert desk.results == [
        "03-02 10:02 hello email sent",
        "03-02 10:02 hello email delivered",
        "03-02 10:02 hello email bounced",
    ]
    assert desk.account.bounced == {"email": "ada@example.com"}
