"""Bounces that name notice, invoice and rung, as those from a box of mails do, act where it fits; those that the other
side reports at once act like them; and no receipt is lost that is read before the report (rules 8 and 30).
"""

from typing import Any

import pytest

from dunning.domain import ids
from dunning.domain.events import NoticeResult
from dunning.domain.words import Channel
from tests.builders import ADA, PAST_DUE, Story, a_notice, a_policy, failed, instant, moved, paid, signal
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


def test_a_permanent_bounce_of_a_channel_without_addresses_shuts_it_for_good() -> None:
    """It reaches the account, which does not change: who takes its app off says nothing when it comes back."""
    ladder = [a_notice("hello", "0d", "push", fallback=["in_app"]), a_notice("later", "5d", "push")]
    story = Story(a_policy(ladder=ladder, retries=None)).reads(failed("03-02 10:00"))

    story.reads(
        signal("notice.bounced", "03-02 12:00", invoice_id="in_1", rung="hello", channel=Channel.PUSH, permanent=True)
    )

    assert reason_of_later(story) == "address_bounced"


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


@pytest.mark.parametrize(("permanent", "marked"), [(True, {"email": "ada@example.com"}), (False, {})])
def test_a_bounce_that_the_mail_server_reports_at_once_is_one_like_any_other(
    permanent: bool, marked: dict[str, str]
) -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "email", fallback=["sms"])], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")

    desk.until("03-02 10:00").hears(0, "bounced", "03-02 10:01", permanent=permanent, reason="no such user")

    assert desk.results == ["03-02 10:01 hello email bounced no such user"]
    assert desk.told() == ["03-02 10:00 in_1 hello email", "03-02 10:01 in_1 hello sms"]
    assert desk.account.bounced == marked


HELLO_BY_SMS = ids.notice_id(ids.case_id("acc_1", "in_1", 1), "hello", "sms", ADA.phone or "", 1)


def arrived(at: str) -> Any:
    return signal("notice.delivered", at, notice_id=HELLO_BY_SMS)


def failed_to_arrive(at: str) -> Any:
    return came_back(at, HELLO_BY_SMS, channel=Channel.SMS, permanent=False)


@pytest.mark.parametrize(
    ("receipts", "report", "results"),
    [
        ([arrived], "accepted", ["sent", "delivered"]),
        ([arrived], "unknown", ["unknown", "delivered"]),
        ([arrived], "failed", ["failed"]),
        ([failed_to_arrive], "accepted", ["sent", "bounced"]),
        ([failed_to_arrive], "unknown", ["unknown", "bounced"]),
        ([failed_to_arrive], "failed", ["failed"]),
        ([arrived, failed_to_arrive], "accepted", ["sent", "delivered", "bounced"]),
        ([failed_to_arrive, arrived], "accepted", ["sent", "delivered", "bounced"]),
    ],
)
def test_what_is_read_before_the_report_says_what_became_of_the_notice_when_that_comes(
    receipts: list[Any], report: str, results: list[str]
) -> None:
    """A provider may call back before its answer is stored; a worker that died is reported long after it sent."""
    ladder = [a_notice("hello", "0d", "sms", fallback=["email"])]
    desk = Desk(a_policy(ladder=ladder, retries=None), receipts=[Channel.SMS])
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    for receipt in receipts:
        desk.reads(receipt("03-02 10:01"), "03-02 10:01")

    desk.hears(0, report, "03-02 10:05")

    assert desk.results == [f"03-02 10:05 hello sms {result}" for result in results]
    assert [line[-5:] for line in desk.told()[1:]] == ([] if results[-1] == "delivered" else ["email"])


@pytest.mark.parametrize("receipt", [arrived, failed_to_arrive])
def test_a_receipt_of_what_came_back_undone_says_nothing_of_what_goes_out_later(receipt: Any) -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "sms")], retries=None), receipts=[Channel.SMS])
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").reads(receipt("03-02 10:01"), "03-02 10:01")
    desk.hears(0, "too_late", "03-02 21:00")
    desk.until("03-03 08:00").hears(1, "accepted", "03-03 08:01")

    assert desk.results == ["03-03 08:01 hello sms sent"]


@pytest.mark.parametrize("report", ["accepted", "unknown"])
@pytest.mark.parametrize("read_first", [True, False], ids=["receipt first", "report first"])
def test_nothing_was_delivered_before_it_was_sent_whichever_is_read_first(report: str, read_first: bool) -> None:
    """The other side's clock may be behind, by hours where it forgets its zone: a warning's lead would be as much
    shorter."""
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "sms")], retries=None), receipts=[Channel.SMS])
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00")
    if read_first:
        desk.reads(arrived("03-02 09:00"), "03-02 10:05")
    decision = desk.hears(0, report, "03-02 10:05")
    if not read_first:
        decision = desk.reads(arrived("03-02 09:00"), "03-02 10:05")

    results = [each for each in decision.events if isinstance(each, NoticeResult)]
    assert (results[-1].outcome, results[-1].at) == ("delivered", instant("03-02 10:05"))


@pytest.mark.parametrize(
    ("ending", "line"),
    [
        ([paid("03-02 23:00")], "03-02 23:00 notice hello sms suppressed"),
        ([], "03-03 08:00 notice hello sms sent"),  # when quiet hours are over, and nothing is known of it then
    ],
)
def test_a_receipt_of_a_notice_that_did_not_go_out_changes_nothing(ending: list[Any], line: str) -> None:
    story = Story(a_policy(ladder=[a_notice("hello", "0d", "sms")], retries=None))
    story.reads(failed("03-02 22:00"), *ending, arrived("03-02 23:30"), failed_to_arrive("03-02 23:40"))

    assert story.until("04-01 00:00").lines() == [line]


@pytest.mark.parametrize("delivered_at", ["03-02 10:02", "03-02 10:04"], ids=["before the bounce", "after it"])
def test_a_receipt_of_a_notice_that_bounced_has_no_effect_for_the_bounce_is_the_last_word(delivered_at: str) -> None:
    ladder = [a_notice("hello", "0d", "sms", fallback=["email"])]
    desk = Desk(a_policy(ladder=ladder, retries=None), receipts=[Channel.SMS])
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").hears(0, "accepted", "03-02 10:01")
    desk.reads(failed_to_arrive("03-02 10:03"), "03-02 10:03")

    decision = desk.reads(arrived(delivered_at), "03-02 10:05")

    assert (decision.events, decision.counted) == ([], ["receipt_without_effect"])
    assert desk.results == ["03-02 10:01 hello sms sent", "03-02 10:03 hello sms bounced"]
    assert desk.told() == ["03-02 10:00 in_1 hello sms", "03-02 10:03 in_1 hello email"]  # the fallback goes on


def test_a_warning_that_bounced_warns_by_its_new_address_and_not_by_a_late_receipt() -> None:
    suspended = {"rung": "suspended", "at": "3d", "account": "suspended", "warned_by": "hello", "lead": "2d"}
    story = Story(a_policy(ladder=[a_notice("hello", "0d"), suspended], retries=None))
    story.reads(failed("03-02 10:00"), came_back("03-02 11:00"))
    story.reads(signal("notice.delivered", "03-02 12:00", notice_id=HELLO))
    story.reads(moved("03-06 10:00", email="new@example.com"))

    assert story.until("04-01 00:00").lines("hello", "account") == [
        "03-02 10:00 notice hello email sent",
        "03-02 11:00 notice hello email bounced",
        "03-06 10:00 notice hello email sent",
        "03-08 10:00 account in_1 active>suspended",
    ]
