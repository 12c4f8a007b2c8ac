"""Business days: rungs, leads and retries on weekends and public holidays (rules 15 to 17, 23 to 25, 28)."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from dunning.domain.business_days import business_days
from dunning.domain.calendar import Duration
from dunning.domain.events import Failure, StageChanged
from dunning.domain.policy import Roll, Toward
from tests.builders import (
    ADA,
    LADDER,
    PAST_DUE,
    SUSPENDED,
    TECHNICAL,
    WARNING,
    Story,
    a_notice,
    a_policy,
    failed,
    instant,
    moved,
    new_card,
    only_retries,
    overdue,
    policies,
    signal,
)

NEXT = {"business_days": "next", "calendars": ["account_country"]}
PREVIOUS = {"business_days": "previous", "calendars": ["account_country"]}
LIMITED = {"rung": "limited", "at": "3d", "account": "restricted"}


def rolled_story(*rungs: dict[str, Any], roll: dict[str, Any] = NEXT, **keys: Any) -> Story:
    return Story(a_policy(ladder=list(rungs) or LADDER, retries=None, roll=roll, **keys))


def notices(story: Story) -> list[str]:
    return story.until("2028-01-01 00:00").lines("notice")


@pytest.mark.parametrize(
    ("calendar", "start", "distance", "following", "before"),
    [
        ("DE", "2026-03-03 10:00", "3d", "2026-03-06 10:00", "2026-03-06 10:00"),  # a Friday stays
        ("DE", "2026-03-04 10:00", "3d", "2026-03-09 10:00", "2026-03-06 10:00"),  # a Saturday
        ("DE", "2026-03-06 18:00", "12h", "2026-03-09 06:00", "2026-03-06 06:00"),  # elapsed time ends on a Saturday
        ("DE", "2026-12-22 10:00", "3d", "2026-12-28 10:00", "2026-12-24 10:00"),  # Christmas: Friday to Sunday
        ("DE", "2026-12-29 10:00", "5d", "2027-01-04 10:00", "2026-12-31 10:00"),  # a Sunday after New Year's Day
        ("DE", "2026-03-31 10:00", "3d", "2026-04-07 10:00", "2026-04-02 10:00"),  # Good Friday to Easter Monday
        ("DE", "2026-07-30 10:00", "2d", "2026-08-03 10:00", "2026-07-31 10:00"),  # the first of a month, a Saturday
        ("DE", "2026-07-02 10:00", "1d", "2026-07-03 10:00", "2026-07-03 10:00"),
        ("US", "2026-07-02 10:00", "1d", "2026-07-06 10:00", "2026-07-02 10:00"),  # the 4th is a Saturday: observed
        ("US", "2026-11-19 10:00", "1w", "2026-11-27 10:00", "2026-11-25 10:00"),  # Thanksgiving
        ("US", "2027-12-30 10:00", "1d", "2028-01-03 10:00", "2027-12-30 10:00"),  # New Year's Day of the next year
        ("US", "2026-12-23 10:00", "3d", "2026-12-28 10:00", "2026-12-24 10:00"),
        ("DE", "2026-01-05 10:00", "1d", "2026-01-06 10:00", "2026-01-06 10:00"),
        ("DE-BY", "2026-01-05 10:00", "1d", "2026-01-07 10:00", "2026-01-05 10:00"),  # Epiphany in Bavaria alone
        ("SA", "2026-01-01 10:00", "1d", "2026-01-04 10:00", "2026-01-01 10:00"),  # the weekend is Friday and Saturday
        ("SA", "2026-01-01 10:00", "3d", "2026-01-04 10:00", "2026-01-04 10:00"),  # and a Sunday is like any other
        ("AE", "2021-06-03 10:00", "1d", "2021-06-06 10:00", "2021-06-03 10:00"),  # until 2022
        ("AE", "2026-06-04 10:00", "1d", "2026-06-05 10:00", "2026-06-05 10:00"),  # since then
        ("DE", "2028-02-28 10:00", "1d", "2028-02-29 10:00", "2028-02-29 10:00"),  # leap days
        ("DE", "2032-02-28 10:00", "1d", "2032-03-01 10:00", "2032-02-27 10:00"),
    ],
)
def test_a_day_off_moves_to_the_next_or_the_previous_business_day(
    calendar: str, start: str, distance: str, following: str, before: str
) -> None:
    def date(toward: Toward) -> object:
        days = business_days(Roll(toward, (calendar,)), "")
        return days.after(Duration.parse(distance), instant(start), ZoneInfo("UTC"))

    assert date(Toward.NEXT) == instant(following)
    assert date(Toward.PREVIOUS) == instant(before)


@pytest.mark.parametrize(
    ("country", "calendars", "expected"),
    [
        ("DE", ("account_country",), "2026-12-28 10:00"),
        ("de", ("account_country",), "2026-12-28 10:00"),
        ("", ("account_country",), "2026-12-25 10:00"),  # a Friday: of an unknown country only weekends are known
        ("Atlantis", ("account_country",), "2026-12-25 10:00"),
        ("Atlantis", ("account_country", "DE"), "2026-12-28 10:00"),
        ("SA", ("account_country", "US"), "2026-12-28 10:00"),  # both are closed: Friday, Saturday and Sunday
        ("SA", ("account_country",), "2026-12-27 10:00"),
        ("DE", (), "2026-12-25 10:00"),
    ],
)
def test_all_calendars_of_a_policy_count_together(country: str, calendars: tuple[str, ...], expected: str) -> None:
    days = business_days(Roll(Toward.NEXT, calendars), country)

    assert days.after(Duration(1), instant("2026-12-24 10:00"), ZoneInfo("UTC")) == instant(expected)


@pytest.mark.parametrize(
    ("toward", "start", "distance", "expected"),
    [
        (Toward.NEXT, "2026-03-26 09:00", "3d", "2026-03-30 08:00"),  # over the change, at 10:00 as before
        (Toward.NEXT, "2026-10-23 08:00", "2d", "2026-10-26 09:00"),
        (Toward.PREVIOUS, "2026-03-26 09:00", "4d", "2026-03-30 08:00"),
        (Toward.PREVIOUS, "2026-03-26 09:00", "3d", "2026-03-27 09:00"),
        (Toward.NEXT, "2026-03-27 01:30", "2d", "2026-03-30 00:30"),  # 02:30, which the Sunday does not have
        (Toward.PREVIOUS, "2026-10-24 00:30", "1d", "2026-10-23 00:30"),  # 02:30, which the Sunday has twice
    ],
)
def test_a_rolled_date_keeps_its_local_time_over_a_clock_change(
    toward: Toward, start: str, distance: str, expected: str
) -> None:
    days = business_days(Roll(toward, ("DE",)), "")

    assert days.after(Duration.parse(distance), instant(start), ZoneInfo("Europe/Berlin")) == instant(expected)


# --- the ladder -------------------------------------------------------------------------------------------------------


def test_every_rung_after_0d_moves_to_a_business_day() -> None:
    story = rolled_story(PAST_DUE, a_notice("first", "0d"), a_notice("second", "6d"), a_notice("third", "7d"))

    assert notices(story.reads(failed("2026-12-20 10:00"))) == [  # a Sunday
        "12-20 10:00 notice first email sent",
        "12-28 10:00 notice second email superseded",
        "12-28 10:00 notice third email sent",
    ]


def test_previous_goes_to_the_day_before() -> None:
    story = rolled_story(a_notice("first", "0d"), a_notice("second", "6d"), a_notice("third", "8d"), roll=PREVIOUS)

    assert notices(story.reads(failed("2026-12-20 10:00"))) == [
        "12-20 10:00 notice first email sent",
        "12-24 10:00 notice second email sent",
        "12-28 10:00 notice third email sent",
    ]


def test_without_roll_and_with_none_dates_stay() -> None:
    for roll in (None, "none"):
        story = Story(a_policy(ladder=[a_notice("first", "3d")], retries=None, roll=roll))

        assert notices(story.reads(failed("03-04 10:00"))) == ["03-07 10:00 notice first email sent"]


def test_the_country_is_the_one_that_the_case_pinned() -> None:
    in_riyadh = replace(ADA, country="SA")
    story = rolled_story(a_notice("first", "1d")).reads(failed("2026-01-01 10:00", customer=in_riyadh))

    assert notices(story.reads(moved("2026-01-01 12:00", country="DE"))) == ["01-04 10:00 notice first email sent"]


def test_the_due_date_may_lie_on_a_sunday_but_no_rung_after_it() -> None:
    story = rolled_story(a_notice("first", "0d"), a_notice("second", "7d"), anchor="due_date")

    story.reads(overdue("03-01 12:00", due_at=instant("03-01 09:00")))

    assert notices(story) == ["03-01 12:00 notice first email sent", "03-09 09:00 notice second email sent"]


def test_two_account_rungs_that_roll_onto_one_day_are_steps_of_their_own() -> None:
    harder = {**SUSPENDED, "at": "4d", "lead": "1d"}
    story = rolled_story(a_notice("warning", "1d"), LIMITED, harder).reads(failed("03-04 10:00")).until("04-01 00:00")

    assert story.lines("account") == [
        "03-09 10:00 account in_1 active>restricted",
        "03-09 10:00 account in_1 restricted>suspended",
    ]


def test_a_rung_that_rolls_ahead_of_the_one_above_it_waits_for_it() -> None:
    rungs = a_notice("first", "3d6h"), {**LIMITED, "at": "4d"}, a_notice("after", "6d")

    story = rolled_story(*rungs).reads(failed("03-04 10:00")).until("04-01 00:00")

    assert story.lines("notice", "account") == [
        "03-09 16:00 notice first email sent",
        "03-09 16:00 account in_1 active>restricted",
        "03-11 16:00 notice after email sent",  # it came six hours after its date (rule 24)
    ]


def test_a_rung_that_has_happened_is_not_waited_for_also_where_its_date_moves_behind_the_next() -> None:
    """From the due date on the first would be of Monday 16:00, and the second of Monday 10:00."""
    rungs = a_notice("first", "1d6h"), {**LIMITED, "at": "2d"}
    story = rolled_story(*rungs, anchor="due_date").reads(failed("03-04 10:00")).until("03-05 18:00")

    story.reads(failed("03-05 18:00", attempt_number=2, due_at=instant("03-06 10:00")))

    assert story.until("04-01 00:00").lines("notice", "account") == [
        "03-05 16:00 notice first email sent",
        "03-09 10:00 account in_1 active>restricted",
    ]


@pytest.mark.parametrize(
    ("roll", "at", "stops"),
    [
        (NEXT, ("1d6h", "2d"), True),
        (NEXT, ("1d", "2d"), False),  # a reminder that nothing can overtake costs the account no timer
        (PREVIOUS, ("0d", "2d"), True),
        (NEXT, ("0d", "2d"), False),
        (None, ("1d6h", "2d"), False),
    ],
)
def test_the_account_looks_at_a_reminder_only_where_roll_may_put_it_behind_the_next_rung(
    roll: dict[str, Any] | None, at: tuple[str, str], stops: bool
) -> None:
    (policy,) = policies(a_policy(ladder=[a_notice("first", at[0]), {**LIMITED, "at": at[1]}], roll=roll))

    assert [policy.stops_account(rung) for rung in policy.ladder] == [stops, True]


def test_behind_a_late_restriction_dates_count_from_it_and_are_rolled_then() -> None:
    story = rolled_story(LIMITED, a_notice("after", "4d"), a_notice("later", "5d"), a_notice("last", "7d"))

    story.at("03-07 12:00", failed("03-02 10:00")).until("04-01 00:00")

    assert story.lines("notice", "account") == [
        "03-07 12:00 account in_1 active>restricted",  # a Saturday: late is late
        "03-09 12:00 notice after email superseded",
        "03-09 12:00 notice later email sent",
        "03-11 12:00 notice last email sent",
    ]


def test_a_rolled_rung_is_not_late() -> None:
    story = rolled_story(LIMITED, a_notice("after", "6d")).reads(failed("03-04 10:00"))

    assert story.until("04-01 00:00").lines("notice", "account") == [
        "03-09 10:00 account in_1 active>restricted",
        "03-10 10:00 notice after email sent",
    ]


@pytest.mark.parametrize(
    ("roll", "after"),
    [
        (NEXT, "12-28 10:00"),
        (PREVIOUS, "12-29 10:00"),  # the date was the 24th: it came late, and what is behind it counts from it
    ],
)
def test_the_lead_of_a_warning_ends_on_a_business_day_and_never_early(roll: dict[str, Any], after: str) -> None:
    story = rolled_story(PAST_DUE, WARNING, SUSPENDED, a_notice("after", "15d"), roll=roll)

    story.reads(failed("2026-12-11 10:00")).until("2027-02-01 00:00")  # warned on the 22nd, due on the 25th

    assert story.lines("account", "notice")[1:] == [
        "12-22 10:00 notice warning email sent",
        "12-28 10:00 account in_1 past_due>suspended",
        f"{after} notice after email sent",
    ]


def test_a_warning_that_was_rolled_moves_its_rung_by_its_lead() -> None:
    story = rolled_story().reads(failed("2026-12-09 10:00")).until("2027-03-01 00:00")

    assert story.lines("account", "notice")[1:] == [
        "12-09 10:00 account in_1 active>past_due",
        "12-14 10:00 notice reminder email sent",
        "12-16 10:00 notice formal email sent",
        "12-21 10:00 notice warning email sent",
        "12-24 10:00 account in_1 past_due>suspended",
        "12-24 10:00 notice suspended email sent",
        "01-11 10:00 notice final email sent",
        "01-26 10:00 account in_1 suspended>terminated",
    ]


def test_a_hold_ends_when_it_ends() -> None:
    story = Story(a_policy(ladder=[LIMITED], roll=NEXT, retries={"after": ["1d"], "technical_after": ["5d"]}))

    story.reads(failed("03-02 10:00", failure=TECHNICAL)).until("04-01 00:00")

    assert story.lines("account") == ["03-07 10:00 account in_1 active>restricted"]


def test_what_a_reinstatement_passes_goes_by_the_rolled_date() -> None:
    story = rolled_story(PAST_DUE, LIMITED).reads(failed("03-04 10:00"))

    story.reads(signal("account.reinstated", "03-08 10:00")).until("04-01 00:00")

    assert story.lines("account")[1:] == [
        "03-08 10:00 account in_1 past_due>active",
        "03-09 10:00 account in_1 active>restricted",
    ]


def test_the_notice_of_a_step_goes_out_where_a_reinstatement_lies_between_its_date_and_that_of_a_rung_above_it() -> (
    None
):
    """`roll` put the step ahead of the notice above it, for which it waits; so it comes, and says so (33)."""
    limited = {**a_notice("limited", "36h"), "account": "restricted"}
    story = rolled_story(a_notice("first", "1d"), limited).reads(failed("03-06 22:00"))  # Monday 22:00, Monday 10:00

    story.reads(signal("account.reinstated", "03-09 12:00")).until("04-01 00:00")

    assert story.lines("account", "notice") == [
        "03-09 22:00 notice first email sent",
        "03-09 22:00 account in_1 active>restricted",
        "03-09 22:00 notice limited email sent",
    ]


def test_a_reinstatement_passes_nothing_behind_a_step_that_came_after_it_also_where_roll_dates_that_back() -> None:
    """The step waits for Friday 23:00; six hours after it is a Saturday, so `previous` says Friday 05:00."""
    again = {**LIMITED, "rung": "again", "at": "2d12h"}
    story = rolled_story(a_notice("first", "2d"), {**LIMITED, "at": "2d6h"}, again, roll=PREVIOUS)

    story.reads(failed("03-05 23:00"), signal("account.reinstated", "03-06 22:00")).until("04-01 00:00")

    assert story.lines("account") == [
        "03-06 23:00 account in_1 active>restricted",
        "03-06 23:00 account in_1 restricted>restricted",
    ]


def test_what_is_due_with_a_step_is_told_in_its_place_also_where_an_extension_would_move_what_has_happened() -> None:
    """Friday 17:00 goes to Sunday 01:00 and back to Friday 01:00, so the step is late; from then Sunday is Friday."""
    rungs = (a_notice("limited", "6h", account="restricted"), a_notice("after", "1d18h"))
    story = rolled_story(*rungs, roll=PREVIOUS).reads(failed("03-06 11:00"))

    story.reads(signal("case.extended", "03-06 12:00", by="1d8h"))

    assert story.until("04-01 00:00").lines("notice", "account") == [
        "03-06 12:00 account in_1 active>restricted",
        "03-06 12:00 notice limited email superseded",
        "03-06 12:00 notice after email sent",
    ]


def test_a_pause_moves_the_rolled_date_which_is_rolled_once_more() -> None:
    story = rolled_story(PAST_DUE, a_notice("first", "3d"), a_notice("second", "8d")).reads(failed("03-04 10:00"))

    story.reads(signal("case.paused", "03-08 10:00", until=instant("03-10 10:00")))  # over the Monday that is planned

    assert notices(story) == ["03-11 10:00 notice first email sent", "03-16 10:00 notice second email sent"]


def test_a_pause_moves_the_end_of_a_lead_to_a_business_day() -> None:
    story = rolled_story(WARNING, SUSPENDED).reads(failed("03-02 10:00"))  # warned on Friday 13, suspended on Monday 16

    story.reads(signal("case.paused", "03-14 10:00", until=instant("03-19 10:00"))).until("04-01 00:00")

    assert story.lines("account") == ["03-23 10:00 account in_1 active>suspended"]


# --- retries ----------------------------------------------------------------------------------------------------------


def charges(*inputs: Any, until: str = "06-01 00:00", **keys: Any) -> list[str]:
    story = Story(only_retries(**{"roll": NEXT, **keys}), charges="fail").reads(*inputs).until(until)
    return [line.split(" charge")[0] for line in story.lines("charge")]


def test_retries_have_a_roll_of_their_own() -> None:
    policy = a_policy(ladder=[PAST_DUE, LIMITED], retries={"after": ["1d"], "roll": NEXT})

    story = Story(policy, charges="fail").reads(failed("03-04 10:00")).until("03-07 10:00")

    assert story.lines("charge", "account")[1:] == [
        "03-05 10:00 charge in_1 #2 4900 EUR",
        "03-07 10:00 account in_1 past_due>restricted",
    ]
    assert charges(failed("03-06 10:00"), roll="none")[0] == "03-07 10:00"


def test_each_distance_counts_from_the_rolled_attempt_before() -> None:
    assert charges(failed("2026-12-24 10:00"), until="2027-06-01 00:00") == [
        "12-28 10:00",
        "12-31 10:00",
        "01-05 10:00",
        "01-12 10:00",
    ]


@pytest.mark.parametrize(
    ("failed_at", "expected"),
    [
        ("03-06 09:00", "03-09 09:00"),  # Saturday to Monday
        ("03-06 20:30", "03-10 08:00"),  # Saturday 20:30 to Monday 20:30 to Tuesday
        ("03-06 06:00", "03-09 08:00"),
        ("03-05 21:00", "03-09 08:00"),  # Friday 21:00 to Saturday 08:00 to Monday
    ],
)
def test_roll_and_hours_move_a_retry_until_it_satisfies_both(failed_at: str, expected: str) -> None:
    assert charges(failed(failed_at), hours=["08:00", "20:00"])[0] == expected


@pytest.mark.parametrize(
    ("failed_at", "after", "expected"),
    [
        ("03-05 10:00", "2d", "03-06 10:00"),
        ("03-06 10:00", "1d", "03-09 10:00"),  # the Friday is that of the attempt: not twice at once
        ("03-05 21:00", "1d", "03-06 08:00"),  # Friday 21:00 to Saturday 08:00 to Friday 08:00
        ("03-06 09:00", "12h", "03-09 08:00"),  # Friday 21:00 to Saturday 08:00; Friday 08:00 is before the attempt
    ],
)
def test_previous_never_reaches_back_to_the_attempt_before(failed_at: str, after: str, expected: str) -> None:
    assert charges(failed(failed_at), roll=PREVIOUS, after=[after], hours=["08:00", "20:00"])[0] == expected


def test_previous_never_comes_before_a_networks_advice() -> None:
    two_days = Failure("card_declined", network="mastercard", network_decline_code="51", network_advice_code="26")

    assert charges(failed("03-05 10:00", failure=two_days), roll=PREVIOUS)[0] == "03-09 10:00"
    assert charges(failed("03-05 10:00"), roll=PREVIOUS, after=["2d"])[0] == "03-06 10:00"


def test_an_instant_that_has_passed_means_now_or_the_next_business_day() -> None:
    def charged(read_at: str) -> str:
        story = Story(only_retries(roll=NEXT, hours=["08:00", "20:00"])).at(read_at, failed("03-05 10:00"))
        charge = story.until("04-01 00:00").lines("charge")[0][:11]
        scheduled = next(each for each in story.outputs(StageChanged) if each.to_stage == "scheduled")
        assert scheduled.next.due_at == instant(charge)
        return charge

    assert charged("03-06 15:00") == "03-06 15:00"
    assert charged("03-07 15:00") == "03-09 15:00"
    assert charged("03-06 21:00") == "03-09 08:00"


def test_what_rolls_beyond_the_window_is_exhausted() -> None:
    story = Story(only_retries(roll=NEXT, window="2d")).reads(failed("03-06 10:00")).until("04-01 00:00")

    assert story.lines("retry") == ["03-06 10:00 retry in_1 none>exhausted"]
    assert story.outputs(StageChanged)[0].reason == "retries_exhausted"
    assert charges(failed("03-06 10:00"), window="3d") == ["03-09 10:00"]


def test_technical_retries_wait_for_a_business_day_too() -> None:
    assert charges(failed("03-07 10:00", failure=TECHNICAL))[0] == "03-09 10:10"


def test_a_pause_moves_the_rolled_retry_which_is_rolled_once_more() -> None:
    def paused_until(until: str) -> str:
        return charges(failed("03-06 10:00"), signal("case.paused", "03-08 10:00", until=instant(until)))[0]

    assert paused_until("03-10 10:00") == "03-11 10:00"
    assert paused_until("03-14 10:00") == "03-16 10:00"


def test_a_pause_moves_a_retry_from_where_previous_put_it() -> None:
    pause = signal("case.paused", "03-06 09:00", until=instant("03-06 12:00"))

    assert charges(failed("03-05 10:00"), pause, roll=PREVIOUS, after=["2d"])[0] == "03-06 13:00"


def test_a_new_method_and_an_order_are_charged_on_any_day() -> None:
    assert charges(failed("03-06 10:00"), new_card("03-07 12:00"))[0] == "03-07 12:00"
    assert charges(failed("03-06 10:00"), signal("retry.now", "03-08 12:00"))[0] == "03-08 12:00"
