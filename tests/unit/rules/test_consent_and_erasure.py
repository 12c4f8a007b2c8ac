"""Consent by channel, the erasure of an account, and receipts that never come (rules 12, 29, 30; promise 8)."""

from typing import Any

import pytest
from msgspec.structs import replace

from dunning.domain.events import Customer, NoticeResult, Signal
from dunning.domain.words import Channel
from tests.builders import ADA, PAST_DUE, Story, a_notice, a_policy, bounced, failed, instant, moved, new_card, signal
from tests.notice_desk import ROWS, Desk

FIVE_DAYS = {"rung": "suspended", "at": "5d", "account": "suspended", "warned_by": "warning"}


def consent(at: str, channel: Channel, allowed: bool, **more: Any) -> Signal:
    return signal("consent.changed", at, channel=channel, allowed=allowed, **more)


def erased(at: str) -> Signal:
    return signal("account.erased", at)


def notices(*rungs: dict[str, Any], **keys: Any) -> Story:
    return Story(a_policy(ladder=list(rungs), retries=None, **keys))


def reasons(story: Story) -> list[str]:
    return [each.reason for each in story.outputs(NoticeResult) if each.outcome in ("suppressed", "unknown")]


# --- consent ----------------------------------------------------------------------------------------------------------


def test_without_consent_a_channel_is_not_used_and_the_fallback_takes_over() -> None:
    story = notices(a_notice("hello", "1d", "email", fallback=["sms", "in_app"])).reads(failed("03-02 10:00"))
    story.reads(consent("03-02 11:00", Channel.EMAIL, False), consent("03-02 12:00", Channel.SMS, False))

    assert story.until("04-01 00:00").lines() == [
        "03-03 10:00 notice hello email suppressed",
        "03-03 10:00 notice hello sms suppressed",
        "03-03 10:00 notice hello in_app sent",
    ]
    assert reasons(story) == ["no_consent", "no_consent"]


def test_consent_is_a_fact_of_the_account_also_before_its_first_case() -> None:
    story = notices(a_notice("hello", "0d", "email", "in_app")).reads(consent("02-01 10:00", Channel.EMAIL, False))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == [
        "03-02 10:00 notice hello email suppressed",
        "03-02 10:00 notice hello in_app sent",
    ]


def test_consent_given_again_is_for_what_is_said_from_then_on() -> None:
    story = notices(a_notice("first", "0d"), a_notice("second", "2d")).reads(
        consent("03-01 10:00", Channel.EMAIL, False)
    )
    story.reads(failed("03-02 10:00"), consent("03-03 10:00", Channel.EMAIL, True)).until("04-01 00:00")

    assert story.lines() == ["03-02 10:00 notice first email suppressed", "03-04 10:00 notice second email sent"]


def test_the_newest_word_counts_whenever_it_is_read() -> None:
    story = notices(a_notice("hello", "2d")).reads(failed("03-02 10:00"), consent("03-03 10:00", Channel.EMAIL, False))

    story.at("03-03 12:00", consent("03-03 09:00", Channel.EMAIL, True)).until("04-01 00:00")

    assert story.lines() == ["03-04 10:00 notice hello email suppressed"]


def test_a_notice_that_waits_is_suppressed_in_the_moment_in_which_consent_is_taken_back() -> None:
    night = failed("03-02 22:00")
    story = notices(a_notice("hello", "0d", "sms", fallback=["letter"])).reads(night)

    story.reads(consent("03-02 23:00", Channel.SMS, False), consent("03-02 23:30", Channel.SMS, True))

    assert story.until("04-01 00:00").lines() == [
        "03-02 23:00 notice hello sms suppressed",
        "03-02 23:00 notice hello letter sent",
    ]


def test_one_that_waits_for_a_cap_too() -> None:
    contact = {"quiet_hours": "none", "caps": {"email": {"1d": 1}}}
    story = notices(a_notice("first", "0d"), a_notice("second", "1h", fallback=["sms"]), contact=contact)

    story.reads(failed("03-02 10:00"), consent("03-02 12:00", Channel.EMAIL, False)).until("04-01 00:00")

    assert story.since("03-02 12:00") == [
        "03-02 12:00 notice second email suppressed",
        "03-02 12:00 notice second sms sent",
    ]


@pytest.mark.parametrize("said", [{"channel": Channel.SMS}, {"allowed": False}])
def test_a_word_on_consent_that_says_only_half_changes_nothing(said: Any) -> None:
    story = notices(a_notice("hello", "0d", "sms")).reads(failed("03-02 22:00"))

    story.reads(signal("consent.changed", "03-02 23:00", **said))

    assert story.until("04-01 00:00").lines() == ["03-03 08:00 notice hello sms sent"]


def test_another_channel_s_consent_is_another_matter() -> None:
    story = notices(a_notice("hello", "0d", "sms")).reads(consent("03-01 10:00", Channel.CALL, False))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == ["03-02 10:00 notice hello sms sent"]


def test_what_waits_on_another_channel_is_looked_at_when_it_may_go_out() -> None:
    """A warning of somebody erased is brought to who is named after that, and the case is in dispute meanwhile."""
    story = notices(a_notice("warning", "0d", "push"), FIVE_DAYS).reads(erased("03-01 10:00"))
    story.reads(consent("03-01 11:00", Channel.PUSH, False), failed("03-02 10:00", customer=None))
    story.reads(signal("dispute.opened", "03-03 10:00", invoice_id="in_1"), moved("03-04 10:00", country="FR"))

    story.reads(
        consent("03-05 10:00", Channel.EMAIL, False), signal("dispute.closed", "03-06 10:00", invoice_id="in_1")
    )

    assert story.until("04-01 00:00").lines("notice") == [
        "03-02 10:00 notice warning push suppressed",
        "03-06 10:00 notice warning push suppressed",
    ]
    assert reasons(story) == ["erased", "no_consent"]


def test_what_is_ordered_is_called_back_and_the_fallback_follows_when_it_is_back() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", fallback=["in_app"])], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00")

    desk.reads(consent("03-02 10:05", Channel.EMAIL, False), "03-02 10:05")
    assert desk.withdrawn == [desk.orders[0][2].errand_id]
    assert desk.told() == ["03-02 10:00 in_1 hello email"]
    desk.hears(0, "withdrawn", "03-02 10:06")

    assert desk.results == ["03-02 10:06 hello email suppressed no_consent"]
    assert desk.told()[1:] == ["03-02 10:06 in_1 hello in_app"]


def test_what_had_begun_already_is_sent() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", fallback=["in_app"])], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00")
    desk.reads(consent("03-02 10:05", Channel.EMAIL, False), "03-02 10:05")

    desk.hears(0, "accepted", "03-02 10:06")

    assert desk.results == ["03-02 10:06 hello email sent", "03-02 10:06 hello email delivered"]
    assert len(desk.told()) == 1


def test_a_new_address_does_not_bring_a_warning_to_a_channel_without_consent() -> None:
    story = notices(a_notice("warning", "1d", fallback=["sms"]), FIVE_DAYS)
    story.reads(consent("03-01 10:00", Channel.EMAIL, False), failed("03-02 10:00", customer=replace(ADA, phone=None)))

    story.reads(moved("03-04 10:00", email="new@example.com"), moved("03-05 10:00", phone="+4915199999999"))

    assert story.until("03-06 00:00").lines() == [
        "03-03 10:00 notice warning email suppressed",
        "03-03 10:00 notice warning sms suppressed",
        "03-04 10:00 notice warning email suppressed",
        "03-05 10:00 notice warning sms sent",
    ]


def test_a_warning_that_is_brought_to_a_new_address_during_a_pause_is_looked_at_when_that_ends() -> None:
    """As though it were ordered then: what is in its way is in its way at night too."""
    story = notices(a_notice("warning", "1d", "sms"), FIVE_DAYS).reads(consent("03-01 10:00", Channel.SMS, False))
    story.reads(failed("03-02 10:00", customer=replace(ADA, phone=None)))
    story.reads(signal("case.paused", "03-04 10:00", until=instant("03-06 04:00")))

    story.reads(moved("03-05 10:00", phone="+4915199999999"))

    assert story.until("03-07 00:00").lines("notice") == [
        "03-03 10:00 notice warning sms suppressed",
        "03-06 04:00 notice warning sms suppressed",
    ]
    assert reasons(story) == ["no_address", "no_consent"]


def test_a_fallback_of_a_waiting_notice_whose_address_came_back_meanwhile() -> None:
    """What is found out only when it would go out leads to the fallback as well."""
    story = notices(a_notice("first", "0d", "sms"), a_notice("second", "12h", "sms", fallback=["letter"]))
    story.reads(failed("03-02 10:00"), bounced("03-02 23:00", "first", Channel.SMS, permanent=True))

    assert story.until("04-01 00:00").since("03-02 22:00") == [
        "03-02 23:00 notice first sms bounced",
        "03-03 08:00 notice second sms suppressed",
        "03-03 08:00 notice second letter sent",
    ]


# --- erasure ----------------------------------------------------------------------------------------------------------


def test_after_an_erasure_the_case_goes_on_without_notices() -> None:
    rungs = (PAST_DUE, a_notice("warning", "1d", "email", "in_app", fallback=["sms"]), a_notice("later", "2d"))
    story = Story(a_policy(ladder=[*rungs, FIVE_DAYS], retries={"after": ["3d"]})).reads(failed("03-02 10:00"))

    story.reads(erased("03-02 12:00")).until("03-06 00:00")

    assert story.since("03-02 12:00", "notice", "account", "charge") == [
        "03-03 10:00 notice warning email suppressed",
        "03-03 10:00 notice warning in_app suppressed",
        "03-03 10:00 notice warning sms suppressed",
        "03-04 10:00 notice later email suppressed",
        "03-05 10:00 charge in_1 #2 4900 EUR",
    ]
    assert set(reasons(story)) == {"erased"}


def test_what_waits_is_suppressed_at_once_and_what_is_ordered_is_called_back() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "email", "sms")], retries=None))
    desk.reads(failed("03-02 22:00"), "03-02 22:00")
    desk.until("03-02 22:00")

    desk.reads(erased("03-02 23:00"), "03-02 23:00")
    desk.hears(0, "withdrawn", "03-02 23:01")

    assert desk.withdrawn == [desk.orders[0][2].errand_id]
    assert desk.results == ["03-02 23:00 hello sms suppressed erased", "03-02 23:01 hello email suppressed erased"]


def test_what_waits_for_the_hours_of_a_zone_that_is_forgotten_waits_for_those_of_the_fallback() -> None:
    """11:00 is the evening in Sydney. A number that was said after the erasure, which is read behind it, stays."""
    sydney = replace(ADA, timezone="Australia/Sydney")
    story = notices(a_notice("hello", "0d", "sms")).reads(failed("03-02 11:00", customer=sydney))
    story.reads(moved("03-02 12:30", phone="+4915199999999"))

    story.at("03-02 13:00", erased("03-02 12:00"))

    assert story.until("04-01 00:00").lines() == ["03-02 13:00 notice hello sms sent"]


def test_nothing_of_the_customer_is_left_in_the_rows() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "email", "sms", "letter")], retries=None))
    url = "https://pay.example.com/t/secret-token"
    desk.reads(failed("03-02 22:00", update_payment_url=url), "03-02 22:00")
    desk.until("03-02 22:00").hears(0, "accepted", "03-02 22:01")
    desk.reads(bounced("03-02 22:30", "hello", permanent=True), "03-02 22:30")
    before = rows(desk)
    assert all(word in before for word in ("ada@example.com", "+4915112345678", "1 Example Street", "Ada", "4242", url))

    desk.reads(erased("03-02 23:00"), "03-02 23:00")

    after = rows(desk)
    left = [word for word in ("ada@", "+4915", "Example Street", "Ada", "4242", url, 'UTC","at') if word in after]
    assert left == []


def rows(desk: Desk) -> str:
    cases = [ROWS.encode_case(desk.account, invoice_id) for invoice_id in desk.account.cases]
    return b"\n".join([ROWS.encode_account(desk.account), *cases]).decode()


def test_the_address_stands_in_no_row_of_a_case() -> None:
    """Closed cases are not at hand when an account is erased, so nothing may have to be looked for there."""
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "email", "sms", "letter")], retries=None))
    desk.reads(failed("03-02 22:00"), "03-02 22:00")
    desk.until("03-02 22:00")

    (case,) = (ROWS.encode_case(desk.account, invoice_id).decode() for invoice_id in desk.account.cases)
    assert [word for word in ("ada@", "+4915", "Example Street", "Ada") if word in case] == []


def test_what_was_said_before_the_erasure_does_not_come_back_when_it_is_read_later() -> None:
    story = notices(a_notice("hello", "0d", "email", "in_app")).reads(erased("03-03 10:00"))

    story.at("03-03 11:00", failed("03-02 10:00"), moved("03-02 11:00", email="old@example.com"))

    assert story.until("04-01 00:00").lines() == [
        "03-03 11:00 notice hello email suppressed",
        "03-03 11:00 notice hello in_app suppressed",
    ]
    assert reasons(story) == ["erased", "erased"]


def test_what_was_said_in_the_very_instant_of_the_erasure_is_forgotten_too() -> None:
    story = notices(a_notice("hello", "1d")).reads(failed("03-02 10:00"), erased("03-02 12:00"))

    story.at("03-02 12:00", moved("03-02 12:00", email="new@example.com"))

    assert story.until("04-01 00:00").lines() == ["03-03 10:00 notice hello email suppressed"]


@pytest.mark.parametrize(("said_since", "called_back"), [("ada@example.com", 0), ("new@example.com", 1)])
def test_a_notice_on_its_way_is_called_back_unless_it_goes_to_an_address_that_was_said_since(
    said_since: str, called_back: int
) -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d")], retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.reads(moved("03-02 10:10", email=said_since), "03-02 10:10")

    desk.reads(erased("03-02 10:05"), "03-02 10:15")

    assert (len(desk.orders), len(desk.withdrawn)) == (1, called_back)


def test_what_is_said_after_the_erasure_is_new() -> None:
    story = notices(a_notice("first", "0d"), a_notice("second", "2d", "email", "sms", "in_app"))
    story.reads(failed("03-02 10:00"), erased("03-02 12:00"), moved("03-03 10:00", email="new@example.com"))

    assert story.until("04-01 00:00").since("03-03") == [
        "03-04 10:00 notice second sms suppressed",
        "03-04 10:00 notice second email sent",
        "03-04 10:00 notice second in_app sent",
    ]
    assert reasons(story) == ["no_address"]


@pytest.mark.parametrize(
    ("said", "outcome"), [({"id": "cus_2"}, "suppressed"), ({"id": "cus_2", "name": "Bea"}, "sent")]
)
def test_an_id_alone_names_nobody_to_write_to(said: dict[str, str], outcome: str) -> None:
    story = notices(a_notice("hello", "2d", "in_app", "push")).reads(failed("03-02 10:00"), erased("03-02 12:00"))

    story.reads(moved("03-03 10:00", **said)).until("04-01 00:00")

    assert story.lines() == [f"03-04 10:00 notice hello {channel} {outcome}" for channel in ("in_app", "push")]


def test_an_erasure_that_is_read_late_takes_only_what_is_older() -> None:
    story = notices(a_notice("first", "1d", "email", "sms")).reads(failed("03-02 10:00"))
    story.reads(moved("03-02 14:00", email="new@example.com"))

    story.at("03-02 15:00", erased("03-02 12:00")).until("04-01 00:00")

    assert story.lines() == ["03-03 10:00 notice first sms suppressed", "03-03 10:00 notice first email sent"]


def test_a_new_address_after_the_erasure_brings_the_warning_that_reached_nobody() -> None:
    story = notices(a_notice("warning", "1d"), FIVE_DAYS).reads(failed("03-02 10:00"), erased("03-02 12:00"))

    story.reads(moved("03-04 10:00", email="new@example.com")).until("04-01 00:00")

    assert story.lines()[:2] == ["03-03 10:00 notice warning email suppressed", "03-04 10:00 notice warning email sent"]
    assert story.lines("account")[-1] == "03-08 10:00 account in_1 active>suspended"


def test_consent_outlives_the_erasure() -> None:
    story = notices(a_notice("hello", "2d")).reads(failed("03-02 10:00"), consent("03-02 11:00", Channel.EMAIL, False))
    story.reads(erased("03-02 12:00"), moved("03-03 10:00", email="new@example.com")).until("04-01 00:00")

    assert reasons(story) == ["no_consent"]


@pytest.mark.parametrize("erased_first", [True, False])
def test_a_failure_of_before_opens_the_same_case_whenever_the_erasure_is_read(erased_first: bool) -> None:
    """The zone that a case pins and the policy that takes it are the failure's own (rules 8 and 13)."""
    berlin = {"id": "german", "match": {"countries": ["DE"]}, "timezone": "account"}
    story = Story(a_policy(**berlin, ladder=[PAST_DUE, a_notice("hello", "1d", "in_app")], retries=None))
    opening = failed("03-28 10:00", customer=Customer(email="a@example.com", timezone="Europe/Berlin", country="DE"))

    order = (erased("03-28 11:00"), opening) if erased_first else (opening, erased("03-28 11:00"))
    story.at("03-28 12:00", *order).until("04-01 00:00")

    assert story.set_aside == []
    assert story.lines("notice") == ["03-29 09:00 notice hello in_app suppressed"]


def test_an_erased_account_can_still_be_charged() -> None:
    story = Story(a_policy(ladder=[PAST_DUE], retries={"after": ["3d"]})).reads(failed("03-02 10:00"))

    story.reads(erased("03-02 12:00"), new_card("03-03 10:00")).until("03-04 00:00")

    assert story.lines("charge") == ["03-03 10:00 charge in_1 #2 4900 EUR"]


def test_in_every_service_the_account_forgets_the_customer() -> None:
    story = Story().reads(failed("03-02 10:00"), erased("03-02 12:00"))

    assert [room.accounts["acc_1"].facts.customer for room in story.world.rooms] == [{}, {}, {}]


# --- receipts ---------------------------------------------------------------------------------------------------------

SMS_THEN_MAIL = a_policy(ladder=[a_notice("hello", "0d", "sms", fallback=["email"])], retries=None)


def a_text_message_that_was_accepted() -> Desk:
    desk = Desk(SMS_THEN_MAIL, receipts=[Channel.SMS])
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").hears(0, "accepted", "03-02 10:01")
    return desk


def test_without_a_receipt_within_a_day_nobody_knows_and_the_fallback_follows() -> None:
    desk = a_text_message_that_was_accepted()

    assert desk.until("03-03 10:00").results == ["03-02 10:01 hello sms sent"]
    assert desk.until("03-03 10:01").results[1:] == ["03-03 10:01 hello sms unknown no_receipt"]
    assert desk.told()[1:] == ["03-03 10:01 in_1 hello email"]


def test_a_receipt_in_time_leaves_nothing_to_wait_for() -> None:
    desk = a_text_message_that_was_accepted()

    desk.reads(
        signal("notice.delivered", "03-02 12:00", invoice_id="in_1", rung="hello", channel=Channel.SMS), "03-02 12:00"
    )

    assert desk.until("04-01 00:00").results == ["03-02 10:01 hello sms sent", "03-02 12:00 hello sms delivered"]


def test_a_late_receipt_resolves_it() -> None:
    desk = a_text_message_that_was_accepted().until("03-04 00:00")

    desk.reads(
        signal("notice.delivered", "03-04 09:00", invoice_id="in_1", rung="hello", channel=Channel.SMS), "03-04 09:00"
    )

    assert desk.results[1:] == ["03-03 10:01 hello sms unknown no_receipt", "03-04 09:00 hello sms delivered"]


def test_what_has_no_receipts_is_delivered_when_it_is_accepted() -> None:
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d", "email")], retries=None), receipts=[Channel.SMS])
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").hears(0, "accepted", "03-02 10:01")

    assert desk.until("04-01 00:00").results == ["03-02 10:01 hello email sent", "03-02 10:01 hello email delivered"]


def test_an_erasure_forgets_where_somebody_lives_in_a_failure_that_waits_for_a_reinstatement_too() -> None:
    ladder = [a_notice("final", "0d"), {"rung": "end", "at": "2d", "account": "terminated", "warned_by": "final"}]
    story = Story(a_policy(ladder=ladder, retries={"after": ["1d"], "hours": ["08:00", "20:00"]}))
    story.reads(failed("03-02 10:00"))
    in_tokyo = replace(ADA, timezone="Asia/Tokyo")
    story.at("03-06 22:00", failed("03-06 22:00", attempt_number=5, customer=in_tokyo))

    story.reads(erased("03-07 10:00")).at("03-07 12:00", signal("account.reinstated", "03-06 12:00"))

    assert story.until("03-09 00:00").since("03-07", "charge") == ["03-08 08:00 charge in_1 #6 4900 EUR"]


def test_a_mail_names_the_method_that_was_entered_last_but_not_one_of_before_an_erasure() -> None:
    ladder = [a_notice("hello", "0d"), a_notice("again", "1d"), a_notice("more", "2d")]
    desk = Desk(a_policy(ladder=ladder, retries=None))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.reads(new_card("03-02 12:00"), "03-02 12:00")
    desk.reads(erased("03-03 12:00"), "03-03 12:00")
    desk.reads(new_card("03-03 11:00"), "03-03 13:00")
    desk.reads(moved("03-03 14:00", email="new@example.com", name="Ada"), "03-03 14:00")
    desk.until("03-04 10:00")

    methods = [order.payment_method.last4 if order.payment_method else None for _, order, _ in desk.orders]
    assert methods == ["4242", "1881", None]


# --- beside a pause ---------------------------------------------------------------------------------------------------


def test_what_a_pause_holds_is_suppressed_when_consent_is_taken_back_and_its_fallback_waits_for_the_end() -> None:
    story = notices(a_notice("hello", "0d", "sms", fallback=["email"])).reads(failed("03-02 22:00"))
    story.reads(signal("case.paused", "03-02 23:00", reason="asked"), consent("03-03 10:00", Channel.SMS, False))

    story.reads(signal("case.resumed", "03-05 10:00")).until("04-01 00:00")

    assert story.lines() == ["03-03 10:00 notice hello sms suppressed", "03-05 10:00 notice hello email sent"]


def test_a_receipt_that_does_not_come_is_missed_in_a_pause_too() -> None:
    desk = a_text_message_that_was_accepted()
    desk.reads(signal("case.paused", "03-02 12:00", reason="asked"), "03-02 12:00")

    assert desk.until("03-10 00:00").results[1:] == ["03-03 10:01 hello sms unknown no_receipt"]
    assert len(desk.told()) == 1
