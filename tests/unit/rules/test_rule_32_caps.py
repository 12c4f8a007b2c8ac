"""Caps: how often an account may be written to, over all its invoices (rule 32, promise 8)."""

from typing import Any

from msgspec.structs import replace

from dunning.domain.events import NoticeResult
from dunning.domain.words import Channel
from tests.builders import ADA, Story, a_notice, a_policy, bounced, failed, moved, paid, signal
from tests.notice_desk import Desk

FIVE_DAYS = {"rung": "suspended", "at": "5d", "account": "suspended", "warned_by": "warning"}
ONE_A_DAY = {"quiet_hours": "none", "caps": {"email": {"1d": 1}}}


def capped(caps: dict[str, Any], *rungs: dict[str, Any], quiet: object = "none", **keys: Any) -> dict[str, Any]:
    return a_policy(ladder=list(rungs), retries=None, contact={"quiet_hours": quiet, "caps": caps}, **keys)


def test_a_capped_notice_goes_out_when_the_window_has_rolled_on() -> None:
    story = Story(capped({"email": {"1d": 1}}, a_notice("first", "0d"), a_notice("second", "10h")))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == [
        "03-02 10:00 notice first email sent",
        "03-03 10:00 notice second email sent",
    ]


def test_a_day_of_a_cap_is_24_hours_also_when_the_clock_changes() -> None:
    """On 29 March Berlin's day has 23 hours: 02:00 becomes 03:00."""
    berlin = {"timezone": "Europe/Berlin"}
    story = Story(capped({"email": {"1d": 1}}, a_notice("first", "0d"), a_notice("second", "1h"), **berlin))

    assert story.reads(failed("03-28 10:00")).until("04-01 00:00").lines()[-1] == "03-29 10:00 notice second email sent"


def test_a_cap_of_several_lets_so_many_go() -> None:
    rungs = [a_notice(f"n{hour}", f"{hour}h") for hour in range(5)]
    story = Story(capped({"email": {"4h": 3, "2d": 4}}, *rungs))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == [
        "03-02 10:00 notice n0 email sent",
        "03-02 11:00 notice n1 email sent",
        "03-02 12:00 notice n2 email sent",
        "03-02 14:00 notice n3 email superseded",
        "03-02 14:00 notice n4 email sent",
    ]


def test_of_several_caps_each_counts_from_its_own_number() -> None:
    rungs = (a_notice("first", "0d"), a_notice("second", "1h"), a_notice("third", "90m"))
    story = Story(capped({"email": {"1h": 1, "1d": 3}}, *rungs))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == [
        "03-02 10:00 notice first email sent",
        "03-02 11:00 notice second email sent",
        "03-02 12:00 notice third email sent",
    ]


def test_both_the_cap_and_quiet_hours_have_to_allow_it() -> None:
    rungs = (a_notice("first", "0d"), a_notice("second", "1h"))
    story = Story(capped({"email": {"12h": 1}}, *rungs, quiet=["21:00", "08:00"]))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == [
        "03-02 10:00 notice first email sent",
        "03-03 08:00 notice second email sent",
    ]


def test_each_channel_has_a_cap_of_its_own_and_all_counts_every_channel() -> None:
    rungs = (a_notice("first", "0d", "email", "in_app"), a_notice("second", "1h", "sms", "email"))

    own = Story(capped({"email": {"1d": 1}}, *rungs)).reads(failed("03-02 10:00")).until("04-01 00:00")
    shared = Story(capped({"all": {"1d": 3}}, *rungs)).reads(failed("03-02 10:00")).until("04-01 00:00")

    assert own.since("03-02 11:00") == ["03-02 11:00 notice second sms sent", "03-03 10:00 notice second email sent"]
    assert shared.since("03-02 11:00") == [
        "03-02 11:00 notice second sms sent",
        "03-03 10:00 notice second email sent",
    ]


def test_a_cap_counts_over_all_invoices_of_the_account_and_of_no_other() -> None:
    story = Story(capped({"email": {"1d": 1}}, a_notice("hello", "0d")))

    story.reads(failed("03-02 10:00"), failed("03-02 12:00", invoice_id="in_2", payment_id="pay_2"))
    story.reads(failed("03-02 13:00", account_id="acc_2", invoice_id="in_3")).until("04-01 00:00")

    sent = [(each.account_id, each.invoice_id) for each in story.outputs(NoticeResult) if each.outcome == "sent"]
    assert story.lines() == [
        "03-02 10:00 notice hello email sent",
        "03-02 13:00 notice hello email sent",
        "03-03 10:00 notice hello email sent",
    ]
    assert sent == [("acc_1", "in_1"), ("acc_2", "in_3"), ("acc_1", "in_2")]


def test_a_paid_invoice_s_notices_count_on() -> None:
    story = Story(capped({"email": {"1d": 1}}, a_notice("hello", "0d")))

    story.reads(failed("03-02 10:00")).until("03-02 10:00")
    story.reads(paid("03-02 11:00"), failed("03-02 12:00", invoice_id="in_2", payment_id="pay_2"))

    assert story.until("04-01 00:00").lines()[-1] == "03-03 10:00 notice hello email sent"


def test_cases_that_come_due_together_do_not_pass_a_cap_together() -> None:
    story = Story(capped({"email": {"1d": 2}}, a_notice("hello", "0d")))

    story.reads(*(failed("03-02 10:00", invoice_id=f"in_{n}", payment_id=f"pay_{n}") for n in range(1, 6)))

    assert story.until("04-01 00:00").lines() == [
        "03-02 10:00 notice hello email sent",
        "03-02 10:00 notice hello email sent",
        "03-03 10:00 notice hello email sent",
        "03-03 10:00 notice hello email sent",
        "03-04 10:00 notice hello email sent",
    ]


def test_the_cap_of_the_notice_s_own_case_counts() -> None:
    """Other policies' notices are counted, their caps are not."""
    strict = capped({"email": {"1d": 1}}, a_notice("strict", "0d"), id="strict", match={"currencies": ["EUR"]})
    free = capped({}, a_notice("free", "0d"), id="free", match={"currencies": ["USD"]})
    story = Story(strict, free)

    story.reads(
        failed("03-02 10:00", currency="USD", invoice_id="in_1"),
        failed("03-02 11:00", currency="EUR", invoice_id="in_2"),
        failed("03-02 12:00", currency="USD", invoice_id="in_3"),
    )

    assert story.until("04-01 00:00").lines() == [
        "03-02 10:00 notice free email sent",
        "03-02 12:00 notice free email sent",
        "03-03 12:00 notice strict email sent",
    ]


def test_a_plain_notice_that_waits_for_a_cap_is_superseded_a_warning_never() -> None:
    rungs = (a_notice("hello", "0d"), a_notice("plain", "2h"), a_notice("warning", "4h"), a_notice("later", "8h"))
    story = Story(capped({"email": {"1d": 1}}, *rungs, FIVE_DAYS)).reads(failed("03-02 10:00"))

    assert story.until("03-09 00:00").lines() == [
        "03-02 10:00 notice hello email sent",
        "03-02 14:00 notice plain email superseded",
        "03-03 10:00 notice warning email sent",
        "03-04 10:00 notice later email sent",
        "03-08 06:00 account in_1 active>suspended",
        "03-08 06:00 status acc_1 active>suspended",
    ]


def test_a_warning_that_waits_for_a_cap_goes_before_a_plain_notice_of_the_same_instant() -> None:
    rungs = [a_notice("first", "0d"), a_notice("warning", "1h"), a_notice("plain", "1d"), FIVE_DAYS]
    story = Story(capped({"email": {"1d": 1}}, *rungs)).reads(failed("03-02 10:00"))

    assert story.until("03-05 00:00").lines() == [
        "03-02 10:00 notice first email sent",
        "03-03 10:00 notice warning email sent",
        "03-04 10:00 notice plain email sent",
    ]


def test_a_warning_that_waits_in_vain_goes_to_a_new_address_before_a_plain_notice_of_the_same_instant() -> None:
    """That address was said while a fallback waited, whose own bounced meanwhile."""
    rungs = [
        a_notice("first", "0d"),
        a_notice("warning", "1h", "letter", fallback=["sms"]),
        a_notice("plain", "2h"),
        FIVE_DAYS,
    ]
    story = Story(capped({"all": {"1d": 1}}, *rungs))
    story.reads(failed("03-02 10:00", customer=replace(ADA, postal_address=None)))
    story.reads(bounced("03-02 13:00", "nothing", Channel.SMS, permanent=True))

    story.reads(moved("03-02 14:00", postal_address="2 Example Street"))

    assert story.until("03-05 00:00").lines() == [
        "03-02 10:00 notice first email sent",
        "03-02 11:00 notice warning letter suppressed",
        "03-03 10:00 notice warning sms suppressed",
        "03-03 10:00 notice warning letter sent",
        "03-04 10:00 notice plain email sent",
    ]


def test_a_warning_that_is_sent_once_more_goes_before_a_plain_rung_of_the_same_instant() -> None:
    """The end of a pause is read late: the warning has grown too old by then (25), and the reminder is due as well."""
    rungs = [a_notice("warning", "1d"), a_notice("reminder", "3d"), FIVE_DAYS]
    story = Story(capped({"email": {"2d": 1}}, *rungs)).reads(failed("03-02 10:00"))
    story.reads(signal("case.paused", "03-04 10:00", invoice_id="in_1", reason="asked for time"))

    story.at("03-26 10:00", signal("case.resumed", "03-24 10:00", invoice_id="in_1")).until("04-01 00:00")

    assert story.since("03-26 10:00", "notice") == [
        "03-26 10:00 notice warning email sent",
        "03-28 10:00 notice reminder email sent",
    ]


def test_what_waits_for_a_cap_is_suppressed_when_its_case_closes() -> None:
    story = Story(capped({"email": {"1d": 1}}, a_notice("hello", "0d"), a_notice("warning", "1h"), FIVE_DAYS))

    story.reads(failed("03-02 10:00"), paid("03-02 12:00")).until("04-01 00:00")

    assert story.lines() == ["03-02 10:00 notice hello email sent", "03-02 12:00 notice warning email suppressed"]
    assert [each.reason for each in story.outputs(NoticeResult) if each.outcome == "suppressed"] == ["paid"]


def test_a_fallback_waits_for_its_own_cap_and_nothing_falls_back_while_something_waits() -> None:
    rungs = (a_notice("hello", "0d", "email", "sms"), a_notice("warning", "1h", "email", fallback=["sms"]), FIVE_DAYS)
    story = Story(capped({"email": {"4h": 1}, "sms": {"1d": 1}}, *rungs)).reads(failed("03-02 10:00"))

    story.reads(bounced("03-02 15:00", "warning")).until("03-04 00:00")

    assert story.since("03-02 10:01") == [
        "03-02 14:00 notice warning email sent",
        "03-02 15:00 notice warning email bounced",
        "03-03 10:00 notice warning sms sent",
    ]


def test_a_notice_that_waits_goes_to_the_address_of_the_moment_in_which_it_goes_out() -> None:
    desk = Desk(capped({"email": {"1d": 1}}, a_notice("first", "0d"), a_notice("second", "1h")))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00").hears(0, "accepted", "03-02 10:01")

    desk.reads(moved("03-02 12:00", email="new@example.com"), "03-02 12:00")
    desk.until("03-04 00:00")

    assert [(when, order.address) for when, order, _ in desk.orders] == [
        ("03-02 10:00", "ada@example.com"),
        ("03-03 10:01", "new@example.com"),
    ]


def test_a_warning_that_waited_and_moved_may_come_back_to_the_address_of_before() -> None:
    """Each address has a notice of its own, whatever address a notice was made for (rule 31)."""
    rungs = (a_notice("first", "0d"), a_notice("warning", "1h"), FIVE_DAYS)
    story = Story(capped({"email": {"1d": 1}}, *rungs)).reads(failed("03-02 10:00"))
    story.reads(moved("03-02 12:00", email="new@example.com"), bounced("03-03 11:00", "warning"))

    story.reads(moved("03-05 10:00", email="ada@example.com")).until("03-06 00:00")

    sent = [each for each in story.outputs(NoticeResult) if each.rung == "warning" and each.outcome == "sent"]
    assert story.since("03-05") == ["03-05 10:00 notice warning email sent"]
    assert len({each.notice_id for each in sent}) == len({each.event_id for each in sent}) == 2


def test_what_bounced_counts_as_it_went_out() -> None:
    story = Story(capped({"email": {"1d": 1}}, a_notice("hello", "0d"), a_notice("second", "6h")))

    story.reads(failed("03-02 10:00"), bounced("03-02 11:00", "hello")).until("04-01 00:00")

    assert story.lines()[-1] == "03-03 10:00 notice second email sent"


def test_a_cap_of_0_shuts_a_channel_and_the_fallback_follows() -> None:
    story = Story(capped({"email": {"1d": 0}}, a_notice("hello", "0d", fallback=["sms"])))

    assert story.reads(failed("03-02 10:00")).until("04-01 00:00").lines() == [
        "03-02 10:00 notice hello email suppressed",
        "03-02 10:00 notice hello sms sent",
    ]
    assert story.outputs(NoticeResult)[0].reason == "channel_shut"


def test_what_was_suppressed_does_not_count() -> None:
    rungs = (a_notice("first", "0d"), a_notice("second", "6h", "in_app"))
    nowhere = failed("03-02 10:00", customer=None)

    story = Story(capped({"all": {"1d": 1}}, *rungs)).reads(nowhere).until("04-01 00:00")

    assert story.lines() == ["03-02 10:00 notice first email suppressed", "03-02 16:00 notice second in_app sent"]


def test_seven_calls_in_seven_days_are_the_default_and_a_word_of_ones_own_replaces_it() -> None:
    calls = [a_notice(f"call{n}", f"{n}h", "call") for n in range(8)]
    default = Story(a_policy(ladder=calls, retries=None)).reads(failed("03-02 10:00")).until("04-01 00:00")
    own = Story(capped({}, *calls)).reads(failed("03-02 10:00")).until("04-01 00:00")

    assert default.lines()[-2:] == ["03-02 16:00 notice call6 call sent", "03-09 10:00 notice call7 call sent"]
    assert own.lines()[-1] == "03-02 17:00 notice call7 call sent"


# --- what is on its way -----------------------------------------------------------------------------------------------


def two_invoices(*, second_at: str = "03-02 11:00") -> Desk:
    """The first invoice's mail is ordered at 10:00 and still on its way when the second one fails."""
    desk = Desk(a_policy(ladder=[a_notice("hello", "0d")], retries=None, contact=ONE_A_DAY))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    desk.until("03-02 10:00")
    desk.reads(failed(second_at, invoice_id="in_2", payment_id="pay_2"), second_at)
    return desk.until(second_at)


def test_a_mail_on_its_way_counts_until_it_is_known_when_it_went() -> None:
    desk = two_invoices()
    desk.until("03-04 00:00")
    assert desk.told() == ["03-02 10:00 in_1 hello email"]  # the mail server is away: it may go out at any moment

    desk.hears(0, "accepted", "03-04 09:00")
    desk.until("03-05 08:59")
    assert desk.told() == ["03-02 10:00 in_1 hello email"]

    desk.until("03-05 09:00")
    assert desk.told()[1:] == ["03-05 09:00 in_2 hello email"]


def test_a_mail_that_failed_makes_room_at_once() -> None:
    desk = two_invoices()

    desk.hears(0, "failed", "03-02 12:00", reason="no")
    desk.until("03-02 12:00")

    assert desk.told()[1:] == ["03-02 12:00 in_2 hello email"]


def test_a_mail_that_was_called_back_makes_room_when_it_is_back() -> None:
    desk = two_invoices()

    desk.reads(paid("03-02 12:00"), "03-02 12:00")
    assert desk.told() == ["03-02 10:00 in_1 hello email"]
    desk.hears(0, "withdrawn", "03-02 12:05")
    desk.until("03-02 12:05")

    assert desk.told()[1:] == ["03-02 12:05 in_2 hello email"]


def test_a_mail_that_is_called_back_does_not_take_what_went_out_before_with_it() -> None:
    """The second policy lets a mail go each day, the first one a week: that still counts the one of two days before."""
    weekly = capped({"email": {"7d": 1}}, a_notice("weekly", "0d"), id="weekly", match={"currencies": ["EUR"]})
    daily = capped({"email": {"1d": 1}}, a_notice("daily", "0d"), id="daily", match={"currencies": ["USD"]})
    desk = Desk(weekly, daily)
    desk.reads(failed("03-02 10:00", currency="USD"), "03-02 10:00")
    desk.until("03-02 10:00").hears(0, "accepted", "03-02 10:01")
    desk.reads(failed("03-04 10:00", invoice_id="in_2", payment_id="pay_2", currency="USD"), "03-04 10:00")
    desk.until("03-04 10:00").hears(1, "withdrawn", "03-04 10:01")

    desk.reads(failed("03-04 11:00", invoice_id="in_3", payment_id="pay_3"), "03-04 11:00")

    assert desk.until("03-30 10:00").told()[2:] == ["03-09 10:01 in_3 weekly email"]


def test_a_mail_of_which_nobody_knows_counts() -> None:
    desk = two_invoices()

    desk.hears(0, "unknown", "03-02 12:00")
    desk.until("03-03 11:59")
    assert desk.told() == ["03-02 10:00 in_1 hello email"]

    assert desk.until("03-03 12:00").told()[1:] == ["03-03 12:00 in_2 hello email"]


def test_only_what_a_cap_can_count_is_kept() -> None:
    ladder = [a_notice(f"n{n}", f"{n}d", "email", "in_app") for n in range(9)]
    contact = {"quiet_hours": "none", "caps": {"email": {"1d": 1, "3d": 5}}}
    desk = Desk(a_policy(ladder=ladder, retries=None, contact=contact))
    desk.reads(failed("03-02 10:00"), "03-02 10:00")
    for day in range(2, 11):
        desk.until(f"03-{day:02} 10:00")
        for number, (_, _, errand) in enumerate(desk.orders):
            if any(known.notice_id == errand.errand_id and known.at is None for known in desk.account.contacts):
                desk.hears(number, "accepted", f"03-{day:02} 10:00")

    days = [known.at.day for known in desk.account.contacts if known.at]
    assert days == [8, 9, 10]
    assert {known.channel for known in desk.account.contacts} == {Channel.EMAIL}


def test_of_a_flood_no_more_is_kept_than_a_cap_asks_for() -> None:
    desk = Desk(
        a_policy(ladder=[a_notice("hello", "0d")], retries=None, id="capped", match={"currencies": ["EUR"]},
                 contact={"caps": {"email": {"30d": 2}}}),
        a_policy(ladder=[a_notice("hello", "0d")], retries=None, id="free", contact={"caps": {}}),
    )  # fmt: skip
    for n in range(6):
        at = f"03-02 1{n}:00"
        desk.reads(failed(at, currency="USD", invoice_id=f"in_{n}", payment_id=f"pay_{n}"), at)
        desk.until(at).hears(n, "accepted", at)

    assert [str(known.at)[11:16] for known in desk.account.contacts] == ["14:00", "15:00"]
