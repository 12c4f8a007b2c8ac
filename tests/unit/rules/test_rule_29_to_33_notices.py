"""Notices: channels, addresses, quiet hours, and when they are said at all (rules 29 to 33)."""

from typing import Any

import pytest
from msgspec.structs import replace

from dunning.domain import ids
from dunning.domain.events import Customer, NoticeResult, PolicyRef, StageChanged
from dunning.domain.words import Channel
from tests.builders import (
    ADA,
    HARD,
    NEEDS_CUSTOMER,
    PAST_DUE,
    SOFT,
    SUSPENDED,
    TECHNICAL,
    Story,
    a_notice,
    a_policy,
    bounced,
    failed,
    instant,
    moved,
    paid,
    signal,
)
from tests.notice_desk import Desk

NO_EMAIL = replace(ADA, email=None)
NO_PHONE = replace(ADA, phone=None)
NOBODY = replace(ADA, email=None, phone=None, postal_address=None)
FIVE_DAYS = {"rung": "suspended", "at": "5d", "account": "suspended", "warned_by": "warning"}


def restricted(at: str) -> StageChanged:
    """Account enforcement's word that it restricted the account."""
    return StageChanged(
        event_id="restricted", sequence=1, causation_id="", case_id=ids.case_id("acc_1", "in_1", 1), account_id="acc_1",
        invoice_id="in_1", track="account", from_stage="active", to_stage="restricted", reason="grace_period_expired",
        effective_at=instant(at), policy=PolicyRef("standard", 1), next=None, amount_minor=4900, currency="EUR",
        details={"rung": "less"},
    )  # fmt: skip


def notices(*rungs: dict[str, Any], **keys: Any) -> Story:
    return Story(a_policy(ladder=list(rungs), retries=None, **keys))


def test_all_channels_are_used_and_the_fallback_is_not() -> None:
    story = notices(a_notice("hello", "0d", "email", "sms", "in_app", fallback=["letter"])).reads(failed("03-02 10:00"))

    assert story.until("04-01 00:00").lines() == [
        "03-02 10:00 notice hello email sent",
        "03-02 10:00 notice hello sms sent",
        "03-02 10:00 notice hello in_app sent",
    ]


def test_where_one_channel_delivered_a_failed_one_needs_no_fallback() -> None:
    story = notices(a_notice("hello", "0d", "email", "in_app", fallback=["sms"]))

    assert story.reads(failed("03-02 10:00", customer=NO_EMAIL)).until("04-01 00:00").lines() == [
        "03-02 10:00 notice hello email suppressed",
        "03-02 10:00 notice hello in_app sent",
    ]


def test_fallbacks_are_tried_in_order_until_one_delivers() -> None:
    story = notices(a_notice("hello", "0d", "email", fallback=["sms", "letter", "in_app"]))
    story.reads(failed("03-02 10:00", customer=NO_PHONE), bounced("03-02 10:05", "hello"))

    story.reads(bounced("03-05 10:00", "hello", Channel.LETTER)).until("04-01 00:00")

    assert story.lines() == [
        "03-02 10:00 notice hello email sent",
        "03-02 10:05 notice hello email bounced",
        "03-02 10:05 notice hello sms suppressed",
        "03-02 10:05 notice hello letter sent",
        "03-05 10:00 notice hello letter bounced",
        "03-05 10:00 notice hello in_app sent",
    ]


def test_without_any_address_nothing_is_sent_but_in_app_and_push_need_none() -> None:
    story = notices(a_notice("hello", "0d", "email", "sms", "call", "letter", fallback=["push", "in_app"]))

    story.reads(failed("03-02 10:00", customer=NOBODY)).until("04-01 00:00")

    assert story.lines() == [
        "03-02 10:00 notice hello email suppressed",
        "03-02 10:00 notice hello sms suppressed",
        "03-02 10:00 notice hello call suppressed",
        "03-02 10:00 notice hello letter suppressed",
        "03-02 10:00 notice hello push sent",
    ]
    assert {each.reason for each in story.outputs(NoticeResult) if each.outcome == "suppressed"} == {"no_address"}


def test_a_plain_notice_falls_back_only_until_a_later_one_went_out() -> None:
    rungs = (a_notice("first", "0d", fallback=["sms"]), a_notice("second", "3d", fallback=["sms"]))

    before = notices(*rungs).reads(failed("03-02 10:00"), bounced("03-04 10:00", "first")).until("03-04 10:00")
    after = notices(*rungs).reads(failed("03-02 10:00"), bounced("03-06 10:00", "first")).until("03-06 10:00")

    assert before.since("03-04") == ["03-04 10:00 notice first email bounced", "03-04 10:00 notice first sms sent"]
    assert after.since("03-06") == ["03-06 10:00 notice first email bounced"]


def test_a_warning_falls_back_as_long_as_its_rung_is_to_come() -> None:
    warning = a_notice("warning", "1d", fallback=["sms"])

    story = notices(warning, a_notice("plain", "2d"), FIVE_DAYS).reads(failed("03-02 10:00"))
    story.reads(bounced("03-05 10:00", "warning")).until("04-01 00:00")

    assert story.since("03-05") == [
        "03-05 10:00 notice warning email bounced",
        "03-05 10:00 notice warning sms sent",
        "03-09 10:00 account in_1 active>suspended",
        "03-09 10:00 status acc_1 active>suspended",
    ]


def test_a_permanent_bounce_marks_the_address_until_it_changes() -> None:
    story = notices(a_notice("first", "0d"), a_notice("second", "3d", fallback=["letter"]), a_notice("third", "6d"))
    story.reads(failed("03-02 10:00"), bounced("03-02 11:00", "first", permanent=True))

    story.reads(moved("03-07 10:00", email="new@example.com")).until("04-01 00:00")

    assert story.lines() == [
        "03-02 10:00 notice first email sent",
        "03-02 11:00 notice first email bounced",
        "03-05 10:00 notice second email suppressed",
        "03-05 10:00 notice second letter sent",
        "03-08 10:00 notice third email sent",
    ]
    assert [each.reason for each in story.outputs(NoticeResult) if each.outcome == "suppressed"] == ["address_bounced"]


def test_a_mark_is_gone_once_the_address_changed_also_where_the_old_one_comes_back() -> None:
    story = notices(a_notice("first", "0d"), a_notice("second", "3d")).reads(failed("03-02 10:00"))
    story.reads(bounced("03-02 11:00", "first", permanent=True), moved("03-02 12:00", email="new@example.com"))

    story.reads(moved("03-02 13:00", email="ada@example.com")).until("04-01 00:00")

    assert story.lines()[-1] == "03-05 10:00 notice second email sent"


def test_a_permanent_bounce_of_an_address_of_before_marks_nothing() -> None:
    story = notices(a_notice("first", "0d"), a_notice("second", "3d")).reads(failed("03-02 10:00"))
    story.reads(moved("03-02 11:00", email="new@example.com"), bounced("03-02 12:00", "first", permanent=True))

    assert story.until("04-01 00:00").lines()[-1] == "03-05 10:00 notice second email sent"


def test_a_passing_bounce_marks_nothing() -> None:
    story = notices(a_notice("first", "0d"), a_notice("second", "3d"))

    story.reads(failed("03-02 10:00"), bounced("03-02 11:00", "first")).until("04-01 00:00")

    assert story.lines()[-1] == "03-05 10:00 notice second email sent"


def test_a_new_address_brings_an_undelivered_warning_to_it_once() -> None:
    story = notices(a_notice("warning", "1d"), FIVE_DAYS).reads(failed("03-02 10:00", customer=NO_EMAIL))

    story.reads(moved("03-10 10:00", email="new@example.com"), moved("03-10 11:00", email="new@example.com", name="A"))
    story.reads(moved("03-10 12:00", email="newer@example.com")).until("04-01 00:00")

    assert story.lines() == [
        "03-03 10:00 notice warning email suppressed",
        "03-10 10:00 notice warning email sent",
        "03-14 10:00 account in_1 active>suspended",
        "03-14 10:00 status acc_1 active>suspended",
    ]


@pytest.mark.parametrize("outcome", ["bounced", "unknown"])
def test_a_warning_that_waits_for_a_new_address_goes_to_no_address_that_it_tried_before(outcome: str) -> None:
    """The customer's address came back meanwhile. A notice's id is made of it: there would be two mails with one id."""
    rungs = [a_notice("warning", "1d"), FIVE_DAYS]
    capped = {"quiet_hours": "none", "caps": {"email": {"1d": 1}}}
    desk = Desk(a_policy(ladder=rungs, retries=None, contact=capped))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-03 10:00").hears(0, outcome, "03-03 10:00")
    desk.reads(moved("03-03 11:00", email="new@example.com"), "03-03 11:00")
    desk.reads(moved("03-03 12:00", email="ada@example.com"), "03-03 12:00")

    desk.until("03-30 10:00")

    assert desk.told() == ["03-03 10:00 in_1 warning email"]
    assert desk.results[-1] == "03-04 10:00 warning email suppressed address_tried"


def test_a_new_address_in_a_payment_event_brings_an_undelivered_warning_too() -> None:
    story = notices(a_notice("warning", "1d"), FIVE_DAYS).reads(failed("03-02 10:00", customer=NO_EMAIL))

    story.reads(failed("03-10 10:00", attempt_number=2, customer=replace(NO_EMAIL, email="new@example.com")))

    assert story.until("04-01 00:00").lines()[:2] == [
        "03-03 10:00 notice warning email suppressed",
        "03-10 10:00 notice warning email sent",
    ]


def test_a_new_address_in_the_payment_that_closes_the_case_brings_nothing() -> None:
    story = notices(a_notice("warning", "1d"), FIVE_DAYS).reads(failed("03-02 10:00", customer=NO_EMAIL))

    story.reads(paid("03-10 10:00", customer=replace(NO_EMAIL, email="new@example.com"))).until("04-01 00:00")

    assert story.lines() == ["03-03 10:00 notice warning email suppressed"]


def test_a_new_address_after_a_bounce_brings_the_warning_and_no_plain_notice() -> None:
    story = notices(a_notice("plain", "0d"), a_notice("warning", "1d"), FIVE_DAYS).reads(failed("03-02 10:00"))
    story.reads(bounced("03-03 11:00", "plain"), bounced("03-03 12:00", "warning", permanent=True))

    story.reads(moved("03-04 10:00", email="new@example.com")).until("04-01 00:00")

    assert story.since("03-04") == [
        "03-04 10:00 notice warning email sent",
        "03-08 10:00 account in_1 active>suspended",
        "03-08 10:00 status acc_1 active>suspended",
    ]


def test_a_warning_that_comes_back_after_the_new_address_was_said_is_brought_to_it() -> None:
    story = notices(a_notice("warning", "1d"), FIVE_DAYS).reads(failed("03-02 10:00"))
    story.reads(moved("03-04 10:00", email="new@example.com"), bounced("03-05 12:00", "warning"))

    assert story.until("04-01 00:00").since("03-04") == [
        "03-05 12:00 notice warning email bounced",
        "03-05 12:00 notice warning email sent",
        "03-09 12:00 account in_1 active>suspended",
        "03-09 12:00 status acc_1 active>suspended",
    ]


def test_a_warning_names_when_its_rung_may_come_and_a_notice_before_it_the_rungs_own_date() -> None:
    """A warning that went out late moves its rung: delivered + lead (25)."""
    hello, warning = a_notice("hello", "0d", "in_app"), a_notice("warning", "1d", "sms")
    desk = Desk(a_policy(ladder=[hello, warning, FIVE_DAYS], retries=None))
    desk.reads(failed("03-02 23:00"), "03-02 23:00")
    desk.until("03-04 12:00")

    coming = [(when, order.next.at) for when, order, _ in desk.orders if order.next is not None]
    assert coming == [("03-02 23:00", instant("03-07 23:00")), ("03-04 08:00", instant("03-08 08:00"))]


def test_what_happened_meanwhile_is_not_announced_any_more() -> None:
    """The reminder waited for its place under the cap while the account was restricted."""
    rungs = [a_notice("hello", "0d"), a_notice("reminder", "1h"), {"rung": "less", "at": "1d", "account": "restricted"}]
    capped = {"quiet_hours": "none", "caps": {"email": {"2d": 1}}}
    desk = Desk(a_policy(ladder=rungs, retries=None, contact=capped))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").hears(0, "accepted", "03-02 10:00")
    desk.reads(restricted("03-03 10:00"), "03-03 10:00")

    desk.until("03-30 10:00")

    assert desk.told() == ["03-02 10:00 in_1 hello email", "03-04 10:00 in_1 reminder email"]
    assert [order.next and order.next.at for _, order, _ in desk.orders] == [instant("03-03 10:00"), None]


def test_a_mail_that_names_a_day_is_ordered_anew_where_that_day_is_over() -> None:
    """The mail server was away for longer than the warning's lead."""
    desk = Desk(a_policy(ladder=[a_notice("warning", "1d"), FIVE_DAYS], retries=None, contact={"quiet_hours": "none"}))
    desk.reads(failed("03-05 10:00"), "03-05 10:00")
    desk.until("03-06 10:00").hears(0, "too_late", "03-12 10:00")

    orders = [(order.next and order.next.at, order.closes_at) for _, order, _ in desk.orders]
    assert orders == [(instant(f"03-{day} 10:00"), instant(f"03-{day + 1} 00:00")) for day in (10, 16)]
    assert [errand.errand_id for _, _, errand in desk.orders] == [desk.orders[0][2].errand_id] * 2


def test_new_addresses_of_channel_and_fallback_bring_the_warning_to_the_channel() -> None:
    story = notices(a_notice("warning", "1d", fallback=["sms"]), FIVE_DAYS)
    story.reads(failed("03-02 10:00", customer=NOBODY))

    story.reads(moved("03-04 10:00", email="new@example.com", phone="+491511")).until("03-05 00:00")

    assert story.since("03-04") == ["03-04 10:00 notice warning email sent"]


@pytest.mark.parametrize("address_said", ["03-04 10:00", "03-04 22:00"])
def test_where_the_channel_cannot_bring_it_to_its_new_address_the_fallback_does(address_said: str) -> None:
    warning = a_notice("warning", "1d", "call", fallback=["letter"])
    story = notices(warning, FIVE_DAYS, contact={"caps": {"call": {"1d": 0}}})
    story.reads(failed("03-02 10:00", customer=NOBODY))

    story.reads(moved(address_said, phone="+491511", postal_address="Street 1")).until("03-06 00:00")

    assert story.since("03-04") == [
        f"{address_said} notice warning call suppressed",
        f"{address_said} notice warning letter sent",
    ]


@pytest.mark.parametrize(
    ("contact", "sent"),
    [
        (None, {"email": "03-02 02:00", "sms": "03-02 08:00", "push": "03-02 08:00", "call": "03-02 08:00"}),
        (
            {"quiet_hours": ["22:00", "07:00"]},
            {"email": "03-02 07:00", "sms": "03-02 07:00", "push": "03-02 07:00", "call": "03-02 07:00"},
        ),
        (
            {"quiet_hours": "none"},
            {"email": "03-02 02:00", "sms": "03-02 02:00", "push": "03-02 02:00", "call": "03-02 02:00"},
        ),
        ({}, {"email": "03-02 02:00", "sms": "03-02 08:00", "push": "03-02 08:00", "call": "03-02 08:00"}),
    ],
)
def test_quiet_hours_hold_for_channels_that_interrupt(contact: object, sent: dict[str, str]) -> None:
    channels = ("email", "sms", "push", "call", "in_app", "letter")
    story = notices(a_notice("hello", "0d", *channels), contact=contact).reads(failed("03-02 02:00"))

    at_once = {"in_app": "03-02 02:00", "letter": "03-02 02:00"}
    told = {line.split()[4]: line[:11] for line in story.until("04-01 00:00").lines()}
    assert told == {**sent, **at_once}


def test_quiet_hours_are_half_open() -> None:
    def sent(at: str) -> str:
        return notices(a_notice("hello", "0d", "sms")).reads(failed(at)).until("04-01 00:00").lines()[0][:11]

    assert sent("03-02 20:59") == "03-02 20:59"
    assert sent("03-02 21:00") == "03-03 08:00"
    assert sent("03-02 07:59") == "03-02 08:00"
    assert sent("03-02 08:00") == "03-02 08:00"


def test_the_customers_present_zone_counts_also_for_what_waits() -> None:
    story = notices(a_notice("hello", "0d", "sms")).reads(failed("03-02 22:00"))

    story.reads(moved("03-02 23:00", timezone="Asia/Tokyo")).until("04-01 00:00")

    assert story.lines() == ["03-02 23:00 notice hello sms sent"]


def test_a_move_into_the_night_lets_a_notice_wait_longer() -> None:
    story = notices(a_notice("hello", "0d", "sms")).reads(failed("03-02 22:00"))

    story.reads(moved("03-02 23:00", timezone="America/Los_Angeles")).until("03-02 23:00")
    assert story.lines() == ["03-02 23:00 notice hello sms sent"]

    story = notices(a_notice("hello", "0d", "sms")).reads(failed("03-03 05:00"))
    story.reads(moved("03-03 06:00", timezone="America/Los_Angeles")).until("04-01 00:00")
    assert story.lines() == ["03-03 16:00 notice hello sms sent"]


@pytest.mark.parametrize(
    "said",
    [
        moved("03-02 23:00", timezone="Asia/Tokyo"),
        paid("03-02 23:00", remaining=900, customer=Customer(timezone="Asia/Tokyo")),
    ],
)
def test_a_zone_that_becomes_known_while_a_notice_waits_counts_for_it_whoever_says_it(said: Any) -> None:
    story = notices(a_notice("hello", "0d", "sms"), timezone="account", fallback_timezone="UTC")

    story.reads(failed("03-02 22:00", customer=replace(ADA, timezone=None)), said).until("04-01 00:00")

    assert story.lines() == ["03-02 23:00 notice hello sms sent"]


def test_an_unknown_zone_has_the_fallbacks_quiet_hours() -> None:
    unknown = replace(ADA, timezone=None)
    hello = a_notice("hello", "0d", "sms")

    account = notices(hello, timezone="account", fallback_timezone="Europe/Berlin")
    fixed = notices(hello, timezone="America/New_York", fallback_timezone="Europe/Berlin")
    odd = notices(hello, timezone="America/New_York", fallback_timezone="Europe/Berlin")

    sent = ["03-02 07:00 notice hello sms sent"]
    assert account.reads(failed("03-02 02:00", customer=unknown)).until("04-01 00:00").lines() == sent
    assert fixed.reads(failed("03-02 02:00", customer=unknown)).until("04-01 00:00").lines() == sent
    nowhere = replace(ADA, timezone="Mars/Olympus")
    assert odd.reads(failed("03-02 02:00", customer=nowhere)).until("04-01 00:00").lines() == sent


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (paid("03-03 02:00"), "paid"),
        (signal("invoice.voided", "03-03 02:00"), "voided"),
        (signal("case.closed", "03-03 02:00", reason="written_off"), "written_off"),
    ],
)
def test_every_notice_that_waits_when_its_case_closes_is_suppressed_warnings_included(ending: Any, reason: str) -> None:
    story = notices(a_notice("warning", "1d", "sms", "email"), FIVE_DAYS).reads(failed("03-02 01:00"), ending)

    assert story.until("04-01 00:00").since("03-03") == [
        "03-03 01:00 notice warning email sent",
        "03-03 02:00 notice warning sms suppressed",
    ]
    assert [each.reason for each in story.outputs(NoticeResult) if each.outcome == "suppressed"] == [reason]


def test_the_terminating_rungs_own_notice_still_goes_out() -> None:
    gone = a_notice("gone", "5d", "sms", account="terminated", warned_by="warning", template="terminated")
    story = notices(a_notice("warning", "1d"), gone).reads(failed("03-02 01:00"))

    assert story.until("04-01 00:00").since("03-07") == [
        "03-07 01:00 account in_1 active>terminated",
        "03-07 01:00 status acc_1 active>terminated",
        "03-07 08:00 notice gone sms sent",
    ]


def test_a_write_off_whose_words_are_a_termination_suppresses_the_terminating_rungs_own_notice_too() -> None:
    """It is dated before the termination, so that is undone."""
    gone = a_notice("gone", "5d", "sms", account="terminated", warned_by="warning", template="terminated")
    off = signal("case.closed", "03-06 10:00", reason="terminated")
    story = notices(a_notice("warning", "1d"), gone).reads(failed("03-02 01:00")).at("03-07 02:00", off)

    assert story.until("04-01 00:00").lines("gone") == ["03-07 02:00 notice gone sms suppressed"]


def test_the_terminating_rungs_own_notice_falls_back_and_those_of_cases_that_closed_otherwise_do_not() -> None:
    gone = a_notice("gone", "5d", "email", fallback=["sms"], account="terminated", warned_by="warning")
    ladder = (a_notice("warning", "1d"), gone)

    story = notices(*ladder).reads(failed("03-02 10:00"), bounced("03-07 12:00", "gone")).until("04-01 00:00")
    assert story.since("03-07", "gone") == [
        "03-07 10:00 notice gone email sent",
        "03-07 12:00 notice gone email bounced",
        "03-07 12:00 notice gone sms sent",
    ]

    story = notices(*ladder).reads(failed("03-02 10:00"), signal("account.reinstated", "03-08 10:00"))
    story.reads(bounced("03-08 12:00", "gone")).until("04-01 00:00")
    assert story.since("03-08", "gone") == ["03-08 12:00 notice gone email bounced"]  # nothing is terminated any more

    story = notices(a_notice("hello", "0d", fallback=["sms"])).reads(failed("03-02 10:00"), paid("03-02 11:00"))
    story.reads(bounced("03-02 12:00", "hello")).until("04-01 00:00")
    assert story.since("03-02 12") == ["03-02 12:00 notice hello email bounced"]


def test_a_newer_refusal_changes_what_the_next_notice_says_and_an_older_one_does_not() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d"), a_notice("later", "2d")], retries=None))
    desk.reads(failed("03-02 10:00", failure=SOFT), "03-02 10:00")
    desk.reads(failed("03-03 10:00", attempt_number=2, failure=NEEDS_CUSTOMER, invoice_number="R-2"), "03-03 10:00")
    desk.reads(failed("03-03 09:00", attempt_number=3, failure=HARD), "03-03 11:00")

    said = [(order.rung, order.failure_code, order.decline_class) for _, order, _ in desk.until("03-04 10:00").orders]
    assert said == [("hello", "insufficient_funds", "soft"), ("later", "expired_card", "needs_customer")]
    assert desk.orders[-1][1].invoice_number == "R-2"


def test_the_notice_of_a_restriction_goes_out_when_that_has_happened() -> None:
    told = a_notice("suspended", "5d", "email", account="suspended", warned_by="warning", template="suspended")
    story = notices(PAST_DUE, a_notice("warning", "1d"), told)
    story.reads(failed("03-02 10:00", customer=NO_EMAIL), moved("03-10 10:00", email="new@example.com"))

    assert story.until("04-01 00:00").since("03-10") == [
        "03-10 10:00 notice warning email sent",
        "03-14 10:00 account in_1 past_due>suspended",
        "03-14 10:00 status acc_1 past_due>suspended",
        "03-14 10:00 notice suspended email sent",
    ]


def test_a_bounce_by_notice_id_is_the_same_as_one_by_invoice_and_rung() -> None:
    story = notices(a_notice("hello", "0d", fallback=["in_app"])).reads(failed("03-02 10:00")).until("03-02 10:00")
    notice_id = story.outputs(NoticeResult)[0].notice_id

    story.reads(signal("notice.bounced", "03-02 11:00", invoice_id=None, notice_id=notice_id, channel=Channel.EMAIL))

    assert story.until("03-02 11:00").lines()[1:] == [
        "03-02 11:00 notice hello email bounced",
        "03-02 11:00 notice hello in_app sent",
    ]


def test_a_bounce_of_a_notice_that_was_never_sent_changes_nothing() -> None:
    story = notices(a_notice("hello", "0d", fallback=["in_app"])).reads(failed("03-02 10:00", customer=NO_EMAIL))

    assert story.reads(bounced("03-02 11:00", "hello")).until("03-02 11:00").since("03-02 10:01") == []


def test_notices_wait_while_every_failure_was_technical() -> None:
    story = Story(a_policy(ladder=[PAST_DUE, a_notice("hello", "0d")])).reads(failed("03-02 10:00", failure=TECHNICAL))

    assert story.until("03-02 17:10").lines("account", "notice") == [
        "03-02 17:10 notice hello email sent",
        "03-02 17:10 account in_1 active>past_due",
    ]


def test_suspended_is_the_last_rung_of_a_policy_without_more() -> None:
    story = notices(a_notice("warning", "11d"), SUSPENDED).reads(failed("03-02 10:00")).until("2027-03-01 00:00")

    assert story.lines("account") == ["03-16 10:00 account in_1 active>suspended"]


def test_an_order_says_in_which_language_and_zone_the_customer_is_written_to() -> None:
    desk = Desk(a_policy(timezone="account", ladder=[a_notice("hello", "0d")], retries=None))
    desk.reads(failed("03-02 10:00", customer=replace(ADA, locale="de-AT", timezone="Europe/Vienna")), "03-02 10:00")
    desk.reads(moved("03-02 10:00", timezone="Asia/Tokyo"), "03-02 10:00")

    ((_, order, _),) = desk.until("03-02 10:00").orders
    assert (order.locale, order.zone, order.customer_name) == ("de-AT", "Asia/Tokyo", "Ada")


def test_a_zone_that_nobody_knows_is_not_the_one_in_which_a_mail_names_days() -> None:
    """In UTC the day could be a later one than that on which the account is suspended."""
    policy = a_policy(
        ladder=[a_notice("hello", "0d")], retries=None, fallback_timezone="America/New_York", timezone=None
    )
    desk = Desk(policy)
    desk.reads(failed("03-02 10:00", customer=replace(ADA, timezone="Eastern Time (US & Canada)")), "03-02 10:00")

    assert [order.zone for _, order, _ in desk.until("03-02 10:00").orders] == ["America/New_York"]
