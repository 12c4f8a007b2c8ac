"""Local time: clock changes, leap days, daily hours (rules 16 and 28)."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from dunning.domain.calendar import DailyHours, Duration
from tests.builders import ADA, LADDER, Story, a_policy, failed, only_retries

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "distance", "expected"),
    [
        ("UTC", "2026-03-02 10:00", "14d", "2026-03-16 10:00"),
        ("Europe/Berlin", "2026-03-28 09:00", "1d", "2026-03-29 08:00"),  # 10:00 local, an hour less of elapsed time
        ("Europe/Berlin", "2026-03-28 09:00", "24h", "2026-03-29 09:00"),
        ("Europe/Berlin", "2026-03-28 01:30", "1d", "2026-03-29 01:00"),  # 02:30 does not exist: 03:00
        ("Europe/Berlin", "2026-03-28 01:30", "2d", "2026-03-30 00:30"),  # and a day later it does again
        ("Europe/Berlin", "2026-10-24 00:30", "1d", "2026-10-25 00:30"),  # 02:30 comes twice: the first
        ("Europe/Berlin", "2026-10-25 01:30", "1d", "2026-10-26 01:30"),  # from the second 02:30
        ("Europe/Berlin", "2026-10-24 09:00", "1d1h", "2026-10-25 11:00"),
        ("America/New_York", "2026-03-07 07:30", "1d", "2026-03-08 07:00"),  # 02:30 does not exist: 03:00
        ("Australia/Lord_Howe", "2026-10-02 15:45", "1d", "2026-10-03 15:30"),  # a gap of half an hour: 02:15 to 02:30
        ("Pacific/Apia", "2011-12-29 20:00", "1d", "2011-12-30 10:00"),  # the 30th did not exist at all
        ("UTC", "2028-02-28 10:00", "1d", "2028-02-29 10:00"),
        ("UTC", "2028-02-29 10:00", "365d", "2029-02-28 10:00"),
        ("UTC", "2027-02-28 10:00", "1d", "2027-03-01 10:00"),
        ("UTC", "2026-12-31 23:59", "2w", "2027-01-14 23:59"),
    ],
)
def test_days_are_calendar_days_and_hours_are_elapsed_time(zone: str, start: str, distance: str, expected: str) -> None:
    assert Duration.parse(distance).after(utc(start), ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize("minute", range(60))
def test_every_time_that_a_clock_change_left_out_becomes_the_second_at_which_the_clock_jumped(minute: int) -> None:
    assert Duration.parse("1d").after(utc(f"2026-03-28 01:{minute:02}"), BERLIN) == utc("2026-03-29 01:00")


def test_rungs_keep_their_local_time_across_a_clock_change() -> None:
    policy = a_policy(timezone="Europe/Berlin", ladder=LADDER, retries=None)

    story = Story(policy).reads(failed("03-27 09:00")).until("06-01 00:00")

    assert [line[:11] for line in story.lines("notice", "status")] == [
        "03-27 09:00",
        "03-27 09:00",
        "03-30 08:00",
        "04-03 08:00",
        "04-07 08:00",
        "04-10 08:00",
        "04-10 08:00",
        "04-26 08:00",
        "05-11 08:00",
    ]


def test_a_lead_is_a_calendar_distance_too() -> None:
    policy = a_policy(timezone="Europe/Berlin", ladder=[LADDER[3], LADDER[4]], retries=None)

    story = Story(policy).at("10-23 09:00", failed("10-01 09:00")).until("12-01 00:00")

    assert story.lines("status") == ["10-26 10:00 status acc_1 active>suspended"]


def test_quiet_hours_end_by_the_customers_clock_on_the_day_that_it_changes() -> None:
    policy = a_policy(
        ladder=[{"rung": "hello", "at": "0d", "notice": {"template": "payment_failed", "channels": ["sms"]}}]
    )
    customer = replace(ADA, timezone="Europe/Berlin")

    story = Story(policy).reads(failed("03-28 23:30", customer=customer)).until("04-01 00:00")

    assert story.lines("notice") == ["03-29 06:00 notice hello sms sent"]


@pytest.mark.parametrize(
    ("start", "end", "at", "inside", "outside"),
    [
        ("08:00", "20:00", "2026-06-01 05:59", "2026-06-01 06:00", "2026-06-01 05:59"),
        ("08:00", "20:00", "2026-06-01 06:00", "2026-06-01 06:00", "2026-06-01 18:00"),
        ("08:00", "20:00", "2026-06-01 18:00", "2026-06-02 06:00", "2026-06-01 18:00"),
        ("21:00", "08:00", "2026-06-01 21:00", "2026-06-01 21:00", "2026-06-02 06:00"),
        ("21:00", "08:00", "2026-06-01 03:00", "2026-06-01 03:00", "2026-06-01 06:00"),
        ("21:00", "08:00", "2026-06-01 06:00", "2026-06-01 19:00", "2026-06-01 06:00"),
        ("21:00", "02:30", "2026-10-25 00:15", "2026-10-25 00:15", "2026-10-25 00:30"),
        ("21:00", "02:30", "2026-10-25 01:15", "2026-10-25 20:00", "2026-10-25 01:15"),  # the second 02:15: it ended
        ("21:00", "02:30", "2026-03-29 00:45", "2026-03-29 00:45", "2026-03-29 01:00"),
        ("02:10", "02:50", "2026-03-29 00:00", "2026-03-30 00:10", "2026-03-29 00:00"),  # no such hour on that day
    ],
)
def test_daily_hours(start: str, end: str, at: str, inside: str, outside: str) -> None:
    hours = DailyHours.parse(start, end)

    assert hours.first_inside(utc(at), BERLIN) == utc(inside)
    assert hours.first_outside(utc(at), BERLIN) == utc(outside)
    assert hours.contains(utc(at), BERLIN) == (utc(at) == utc(inside))


def test_a_retry_on_the_leap_day() -> None:
    story = Story(only_retries()).reads(failed("2028-02-28 10:00")).until("2028-02-29 10:00")

    assert story.lines("charge") == ["02-29 10:00 charge in_1 #2 4900 EUR"]


@pytest.mark.parametrize(
    ("written", "shortest"),
    [
        ("3d", "3d"),
        ("2w", "14d"),
        ("36h", "36h"),
        ("90m", "1h30m"),
        ("1d21h47m", "1d21h47m"),
        ("60s", "1m"),
        ("0d", "0d"),
    ],
)
def test_a_duration_is_told_in_the_shortest_way_that_a_policy_file_takes(written: str, shortest: str) -> None:
    assert str(Duration.parse(written)) == shortest


@pytest.mark.parametrize(
    ("later", "earlier", "said"),
    [
        ("14d", "11d10m", "3d less 10m"),
        ("14d", "264h", "14d less 264h"),
        ("335h", "11d", "335h less 11d"),
        ("0d", "10m", "0d less 10m"),
        ("14d", "14d", "0d"),
    ],
)
def test_the_time_between_two_distances_is_said_where_days_and_hours_point_in_different_ways(
    later: str, earlier: str, said: str
) -> None:
    assert str(Duration.parse(later) - Duration.parse(earlier)) == said
