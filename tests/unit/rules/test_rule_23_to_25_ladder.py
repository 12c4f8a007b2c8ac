"""The ladder: what is due at once, what comes late, and who was warned (rules 23 to 25)."""

from typing import Any

from dunning.domain.events import NoticeResult, StageChanged
from dunning.domain.words import Channel
from tests.builders import (
    LADDER,
    PAST_DUE,
    SUSPENDED,
    WARNING,
    Story,
    a_notice,
    a_policy,
    bounced,
    failed,
    moved,
    paid,
    signal,
)

SENT_ON_TIME = [
    "03-02 10:00 notice payment_failed email sent",
    "03-05 10:00 notice reminder email sent",
    "03-09 10:00 notice formal email sent",
    "03-13 10:00 notice warning email sent",
]


def ladder_story(*rungs: dict[str, Any], **keys: Any) -> Story:
    return Story(a_policy(ladder=list(rungs) or LADDER, retries=None, **keys))


def test_the_whole_ladder_in_time() -> None:
    story = ladder_story().reads(failed("03-02 10:00")).until("06-01 00:00")

    assert story.lines() == [
        SENT_ON_TIME[0],
        "03-02 10:00 account in_1 active>past_due",
        "03-02 10:00 status acc_1 active>past_due",
        *SENT_ON_TIME[1:],
        "03-16 10:00 account in_1 past_due>suspended",
        "03-16 10:00 status acc_1 past_due>suspended",
        "03-16 10:00 notice suspended email sent",
        "04-01 10:00 notice final email sent",
        "04-16 10:00 account in_1 suspended>terminated",
        "04-16 10:00 status acc_1 suspended>terminated",
    ]


def test_of_notices_due_at_once_only_the_last_goes_out() -> None:
    story = ladder_story().at("03-10 12:00", failed("03-02 10:00")).until("03-10 12:00")

    assert story.lines() == [
        "03-10 12:00 notice payment_failed email superseded",
        "03-10 12:00 notice reminder email superseded",
        "03-10 12:00 notice formal email sent",
        "03-10 12:00 account in_1 active>past_due",
        "03-10 12:00 status acc_1 active>past_due",
    ]
    entered = [each.to_stage for each in story.outputs(StageChanged) if each.track == "notice"]
    assert entered == ["payment_failed", "reminder", "formal"]
    assert {each.reason for each in story.outputs(NoticeResult) if each.outcome == "superseded"} == {"superseded"}


def test_each_channel_of_a_superseded_notice_has_a_result_of_its_own_and_its_fallback_none() -> None:
    first = a_notice("first", "0d", "email", "in_app", fallback=["sms"])

    story = ladder_story(first, a_notice("second", "1d")).at("03-05 12:00", failed("03-02 10:00")).until("03-05 12:00")

    assert story.lines() == [
        "03-05 12:00 notice first email superseded",
        "03-05 12:00 notice first in_app superseded",
        "03-05 12:00 notice second email sent",
    ]


def test_a_warning_always_goes_out_and_supersedes_the_plain_ones_before_it() -> None:
    rungs = [*LADDER[:4], a_notice("last_words", "12d"), *LADDER[4:]]

    story = ladder_story(*rungs).at("03-20 12:00", failed("03-02 10:00")).until("03-23 12:00")

    assert story.lines() == [
        "03-20 12:00 notice payment_failed email superseded",
        "03-20 12:00 notice reminder email superseded",
        "03-20 12:00 notice formal email superseded",
        "03-20 12:00 notice warning email sent",
        "03-20 12:00 notice last_words email sent",
        "03-20 12:00 account in_1 active>past_due",
        "03-20 12:00 status acc_1 active>past_due",
        "03-23 12:00 account in_1 past_due>suspended",
        "03-23 12:00 status acc_1 past_due>suspended",
        "03-23 12:00 notice suspended email sent",
    ]


def test_every_account_step_that_is_due_is_a_transition_of_its_own() -> None:
    story = ladder_story(PAST_DUE, {"rung": "limited", "at": "3d", "account": "restricted"})

    assert story.at("03-06 10:00", failed("03-02 10:00")).until("03-06 10:00").lines() == [
        "03-06 10:00 account in_1 active>past_due",
        "03-06 10:00 account in_1 past_due>restricted",
        "03-06 10:00 status acc_1 active>restricted",
    ]


def test_notices_wait_behind_a_rung_that_restricts_and_waits() -> None:
    no_email = failed("03-02 10:00", customer=None)

    story = ladder_story().reads(no_email).until("06-01 00:00")

    assert story.lines("notice") == [
        "03-02 10:00 notice payment_failed email suppressed",
        "03-05 10:00 notice reminder email suppressed",
        "03-09 10:00 notice formal email suppressed",
        "03-13 10:00 notice warning email suppressed",
    ]
    assert story.lines("account") == ["03-02 10:00 account in_1 active>past_due"]


def test_a_plain_notice_that_still_waits_when_a_later_one_falls_due_is_superseded() -> None:
    story = ladder_story(
        a_notice("first", "0d", "email", "sms"), a_notice("second", "6h"), contact={"quiet_hours": ["22:00", "08:00"]}
    )

    assert story.reads(failed("03-02 01:00")).until("03-03 00:00").lines() == [
        "03-02 07:00 notice first email superseded",
        "03-02 07:00 notice first sms superseded",
        "03-02 08:00 notice second email sent",
    ]


def test_what_went_out_on_one_channel_is_superseded_only_where_it_waits() -> None:
    story = ladder_story(a_notice("first", "0d", "email", "sms"), a_notice("second", "6h"))

    assert story.reads(failed("03-02 01:00")).until("03-03 00:00").lines() == [
        "03-02 01:00 notice first email sent",
        "03-02 07:00 notice first sms superseded",
        "03-02 07:00 notice second email sent",
    ]


def test_a_warning_that_waits_is_never_superseded() -> None:
    warning = a_notice("warning", "0d", "sms")
    story = ladder_story(warning, a_notice("plain", "1h"), {**SUSPENDED, "at": "3d"})

    assert story.reads(failed("03-02 01:00")).until("03-06 00:00").lines() == [
        "03-02 02:00 notice plain email sent",
        "03-02 08:00 notice warning sms sent",
        "03-05 08:00 account in_1 active>suspended",
        "03-05 08:00 status acc_1 active>suspended",
    ]


def test_a_restriction_that_comes_late_moves_what_is_behind_it_by_calendar_distance() -> None:
    story = ladder_story().reads(failed("03-02 10:00"), bounced("03-13 10:05", "warning"))
    story.at("03-20 15:30", moved("03-20 15:30", email="ada@example.org")).until("06-01 00:00")

    assert story.since("03-13 10:01") == [
        "03-13 10:05 notice warning email bounced",
        "03-20 15:30 notice warning email sent",
        "03-23 15:30 account in_1 past_due>suspended",
        "03-23 15:30 status acc_1 past_due>suspended",
        "03-23 15:30 notice suspended email sent",
        "04-08 15:30 notice final email sent",
        "04-23 15:30 account in_1 suspended>terminated",
        "04-23 15:30 status acc_1 suspended>terminated",
    ]


def test_a_minute_late_moves_nothing() -> None:
    limited = {"rung": "limited", "at": "3d", "account": "restricted"}

    def second_notice(read_at: str) -> str:
        story = ladder_story(limited, a_notice("after", "5d")).at(read_at, failed("03-02 10:00"))
        return story.until("04-01 00:00").lines("after")[0]

    assert second_notice("03-05 10:01:00") == "03-07 10:00 notice after email sent"
    assert second_notice("03-05 10:01:01") == "03-07 10:01:01 notice after email sent"


def test_past_due_that_comes_late_moves_nothing() -> None:
    story = ladder_story(PAST_DUE, a_notice("after", "5d")).at("03-05 12:00", failed("03-02 10:00"))

    assert story.until("04-01 00:00").lines("after") == ["03-07 10:00 notice after email sent"]


def test_a_bounced_warning_does_not_count_and_its_fallback_does() -> None:
    warning = {**WARNING, "notice": {**WARNING["notice"], "fallback": ["sms"]}}  # type: ignore[dict-item]
    story = ladder_story(PAST_DUE, warning, SUSPENDED).reads(failed("03-02 10:00"), bounced("03-13 10:05", "warning"))

    assert story.until("06-01 00:00").since("03-13") == [
        "03-13 10:00 notice warning email sent",
        "03-13 10:05 notice warning email bounced",
        "03-13 10:05 notice warning sms sent",
        "03-16 10:05 account in_1 past_due>suspended",
        "03-16 10:05 status acc_1 past_due>suspended",
    ]


def test_the_first_delivery_that_stands_counts() -> None:
    warning = a_notice("warning", "11d", "email", "sms")
    story = ladder_story(PAST_DUE, warning, {**SUSPENDED, "at": "12d", "lead": "12h"})
    story.reads(failed("03-02 23:00"), bounced("03-14 00:00", "warning"))

    assert story.until("06-01 00:00").since("03-13") == [
        "03-13 23:00 notice warning email sent",
        "03-14 00:00 notice warning email bounced",
        "03-14 08:00 notice warning sms sent",
        "03-14 23:00 account in_1 past_due>suspended",
        "03-14 23:00 status acc_1 past_due>suspended",
    ]


def test_a_bounce_of_a_second_channel_changes_nothing_where_the_first_stands() -> None:
    warning = a_notice("warning", "11d", "email", "letter", fallback=["sms"])
    story = ladder_story(PAST_DUE, warning, SUSPENDED)
    story.reads(failed("03-02 10:00"), bounced("03-14 00:00", "warning", Channel.LETTER))

    assert story.until("06-01 00:00").since("03-14") == [
        "03-14 00:00 notice warning letter bounced",
        "03-16 10:00 account in_1 past_due>suspended",
        "03-16 10:00 status acc_1 past_due>suspended",
    ]


def test_a_bounce_counts_also_where_the_mail_servers_clock_is_behind_ours() -> None:
    story = ladder_story().reads(failed("03-02 10:00")).until("03-13 10:00")

    story.at("03-13 10:05", bounced("03-13 09:59", "warning")).until("06-01 00:00")

    assert story.lines("account") == ["03-02 10:00 account in_1 active>past_due"]


def test_a_bounce_after_the_rung_has_happened_changes_nothing() -> None:
    warning = a_notice("warning", "11d", "email", fallback=["sms"])
    story = ladder_story(PAST_DUE, warning, SUSPENDED)

    story.reads(failed("03-02 10:00"), bounced("03-17 10:00", "warning")).until("06-01 00:00")

    assert story.since("03-16 10:01") == ["03-17 10:00 notice warning email bounced"]


def test_a_lead_of_its_own_counts_instead_of_the_distance() -> None:
    story = ladder_story(PAST_DUE, a_notice("warning", "1d"), {**SUSPENDED, "at": "10d", "lead": "2d"})

    late = story.at("03-11 10:00", failed("03-02 10:00")).until("06-01 00:00")

    assert late.lines("account")[1:] == ["03-13 10:00 account in_1 past_due>suspended"]


def test_a_warning_older_than_its_lead_and_two_weeks_is_sent_once_more_and_counts_anew() -> None:
    story = ladder_story(PAST_DUE, a_notice("warning", "1d"), {**SUSPENDED, "at": "40d", "lead": "2d"})

    assert story.reads(failed("03-02 10:00")).until("06-01 00:00").since("03-03") == [
        "03-03 10:00 notice warning email sent",
        "03-19 10:00 notice warning email sent",
        "04-11 10:00 account in_1 past_due>suspended",
        "04-11 10:00 status acc_1 past_due>suspended",
    ]


def test_a_warning_that_is_sent_once_more_and_bounces_holds_the_rung_until_it_reaches_somebody() -> None:
    warning = a_notice("warning", "1d", "email", fallback=["sms"])
    story = ladder_story(PAST_DUE, warning, {**SUSPENDED, "at": "18d", "lead": "2d"})

    story.reads(failed("03-02 10:00"), bounced("03-19 20:00", "warning")).until("06-01 00:00")

    assert story.since("03-19") == [
        "03-19 10:00 notice warning email sent",
        "03-19 20:00 notice warning email bounced",
        "03-19 20:00 notice warning sms sent",
        "03-21 20:00 account in_1 past_due>suspended",
        "03-21 20:00 status acc_1 past_due>suspended",
    ]


def test_money_before_the_rung_ends_the_ladder() -> None:
    story = ladder_story().reads(failed("03-02 10:00"), paid("03-16 09:59")).until("06-01 00:00")

    assert story.since("03-13 10:01") == [
        "03-16 09:59 account in_1 past_due>active",
        "03-16 09:59 status acc_1 past_due>active",
    ]


def test_money_at_the_instant_of_a_rung_is_read_before_it() -> None:
    story = ladder_story().reads(failed("03-02 10:00"), paid("03-16 10:00")).until("06-01 00:00")

    assert story.lines("suspended") == []
    assert story.lines("account")[-1] == "03-16 10:00 account in_1 past_due>active"


def test_a_rung_that_restricts_once_more_is_a_step_of_its_own_so_that_its_notice_goes_out() -> None:
    again = a_notice("again", "16d", account="suspended", warned_by="warning", template="suspended")
    story = ladder_story(WARNING, SUSPENDED, again, a_notice("after", "17d")).reads(failed("03-02 10:00"))

    assert story.until("06-01 00:00").since("03-16") == [
        "03-16 10:00 account in_1 active>suspended",
        "03-16 10:00 status acc_1 active>suspended",
        "03-18 10:00 account in_1 suspended>suspended",
        "03-18 10:00 notice again email sent",
        "03-19 10:00 notice after email sent",
    ]


def test_a_rung_goes_by_the_warning_that_was_sent_once_more_where_the_first_one_s_lead_was_to_end_later() -> None:
    """The warning came late, and an extension moved the end of its lead, but no more the date of the rung."""
    story = ladder_story(WARNING, SUSPENDED).reads(failed("03-02 10:00", customer=None))
    story.reads(moved("03-20 10:00", email="ada@example.com"))

    story.reads(signal("case.extended", "03-21 10:00", invoice_id="in_1", by="20d")).until("06-01 00:00")

    assert story.since("03-20", "notice", "account") == [
        "03-20 10:00 notice warning email sent",
        "04-06 10:00 notice warning email sent",
        "04-09 10:00 account in_1 active>suspended",
    ]
