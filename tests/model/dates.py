"""Durations, local times, hours and business days (contracts: durations; rules 13, 16, 25, 28)."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import holidays

SECONDS = {"s": 1, "m": 60, "h": 3600}
MINUTE = timedelta(minutes=1)


class Span(NamedTuple):
    """A duration: calendar days in some zone, then seconds that pass."""

    days: int
    seconds: int

    def less(self, other: "Span") -> "Span":
        return Span(self.days - other.days, self.seconds - other.seconds)

    def more(self, other: "Span") -> "Span":
        return Span(self.days + other.days, self.seconds + other.seconds)


@lru_cache(maxsize=10_000)
def span(text: str) -> Span:
    """`90s, 15m, 12h, 3d, 2w` and compounds; a week is seven calendar days."""
    days = seconds = 0
    for number, unit in re.findall(r"(\d+)([smhdw])", text):
        if unit in "dw":
            days += int(number) * (7 if unit == "w" else 1)
        else:
            seconds += int(number) * SECONDS[unit]
    return Span(days, seconds)


@lru_cache(maxsize=10_000)
def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@lru_cache(maxsize=10_000)
def written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The instant of a local time. Rule 28: of two the first; one that does not exist is the next that does."""
    local = datetime.combine(day, clock.replace(fold=0))
    while True:
        found = local.replace(tzinfo=zone).astimezone(UTC)
        if found.astimezone(zone).replace(tzinfo=None, fold=0) == local:
            return found
        local = local.replace(second=0, microsecond=0) + MINUTE


@lru_cache(maxsize=100_000)
def later(moment: datetime, distance: Span, zone: ZoneInfo) -> datetime:
    """Calendar days keep the local time of day, the rest just passes."""
    if distance.days:
        local = moment.astimezone(zone)
        moment = from_local(local.date() + timedelta(days=distance.days), local.time(), zone)
    return moment + timedelta(seconds=distance.seconds)


def inside(clock: time, pair: tuple[time, time]) -> bool:
    """Rule 16: half-open; a pair may go over midnight."""
    start, end = pair
    if start <= end:
        return start <= clock < end
    return clock >= start or clock < end


@lru_cache(maxsize=10_000)
def first_minute(moment: datetime, zone: ZoneInfo, pair: tuple[time, time], *, inside_it: bool) -> datetime:
    """`moment` itself where its local time is inside (outside) the pair, else the first full minute that is."""
    for _ in range(3 * 24 * 60):
        local = moment.astimezone(zone)
        if inside(local.time(), pair) == inside_it:
            return moment
        moment = moment.replace(second=0, microsecond=0) + MINUTE
        nothing_until = moment + nothing_happens(moment.astimezone(zone).time(), pair)
        if nothing_until.astimezone(zone).utcoffset() == local.utcoffset():  # else clocks change: minute by minute
            moment = nothing_until
    raise ValueError("no such minute within three days")


def nothing_happens(clock: time, pair: tuple[time, time]) -> timedelta:
    """From a full minute to the next of the pair's two ends, at most a day."""
    minutes = [(end.hour - clock.hour) * 60 + end.minute - clock.minute for end in pair]
    return timedelta(minutes=min(number % (24 * 60) for number in minutes))


def clock_pair(pair: list[str]) -> tuple[time, time]:
    return time.fromisoformat(pair[0]), time.fromisoformat(pair[1])


class Roll(NamedTuple):
    """`direction` is `next` or `previous`; calendars are countries, their parts, or `account_country`."""

    direction: str
    calendars: tuple[str, ...]


@lru_cache(maxsize=1_000)
def days_off(calendar: str | None) -> Callable[[date], bool]:
    """The weekend and public holidays of a country (`DE`) or a part of it (`DE-BY`); of an unknown one, the weekend."""
    country, _, part = (calendar or "").partition("-")
    if country not in holidays.list_supported_countries(include_aliases=False):
        return lambda day: day.weekday() >= 5
    found = holidays.country_holidays(country, subdiv=part or None)
    return lambda day: found.is_weekend(day) or day in found


@lru_cache(maxsize=100_000)
def is_business_day(day: date, calendars: tuple[str, ...], country: str | None) -> bool:
    """0003, rule 24: closed in one calendar is closed."""
    named = [country if calendar == "account_country" else calendar for calendar in calendars] or [None]
    return not any(off(day) for off in (days_off(calendar.upper() if calendar else None) for calendar in named))


def rolled_day(day: date, roll: Roll | None, country: str | None) -> date:
    while roll is not None and not is_business_day(day, roll.calendars, country):
        day += timedelta(days=1 if roll.direction == "next" else -1)
    return day


@lru_cache(maxsize=100_000)
def later_on_business_day(
    start: datetime, distance: Span, zone: ZoneInfo, roll: Roll | None, country: str | None
) -> datetime:
    """0003, rule 24: the day moves before it becomes an instant, so it keeps the local time that was meant."""
    unrolled = later(start, distance, zone)
    local = start.astimezone(zone) if distance.seconds == 0 else unrolled.astimezone(zone)
    day = local.date() + timedelta(days=distance.days if distance.seconds == 0 else 0)
    business_day = rolled_day(day, roll, country)
    return unrolled if business_day == day else from_local(business_day, local.time(), zone)
