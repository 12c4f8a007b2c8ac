"""Durations, local times, hours and business days (contracts: durations; rules 13, 16, 25, 28)."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import import_module
from zoneinfo import ZoneInfo

SECONDS = {"s": 1, "m": 60, "h": 3600}
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Span:
    """A duration: calendar days in some zone, then seconds that pass."""

    days: int
    seconds: int

    def __sub__(self, other: "Span") -> "Span":
        return Span(self.days - other.days, self.seconds - other.seconds)

    def __add__(self, other: "Span") -> "Span":
        return Span(self.days + other.days, self.seconds + other.seconds)


def span(text: str) -> Span:
    """`90s, 15m, 12h, 3d, 2w` and compounds; a week is seven calendar days."""
    days = seconds = 0
    for number, unit in re.findall(r"(\d+)([smhdw])", text):
        if unit in "dw":
            days += int(number) * (7 if unit == "w" else 1)
        else:
            seconds += int(number) * SECONDS[unit]
    return Span(days, seconds)


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


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
        if inside(moment.astimezone(zone).time(), pair) == inside_it:
            return moment
        moment = moment.replace(second=0, microsecond=0) + MINUTE
    raise ValueError("no such minute within three days")


def clock_pair(pair: list[str]) -> tuple[time, time]:
    return time.fromisoformat(pair[0]), time.fromisoformat(pair[1])


def is_business_day(day: date, country: str | None) -> bool:
    """Neither a day of the weekend nor a public holiday of the country; an unknown country has neither holidays."""
    if day.weekday() >= 5:
        return False
    if country is None:
        return True
    try:
        calendar = import_module("holidays").country_holidays(country, years=day.year)
    except NotImplementedError:
        return True
    return day not in calendar


def rolled(moment: datetime, direction: str | None, country: str | None, zone: ZoneInfo) -> datetime:
    """The same local time on the next (`next`) or last (`previous`) business day, where the day is none."""
    if direction is None:
        return moment
    local = moment.astimezone(zone)
    day = local.date()
    while not is_business_day(day, country):
        day += timedelta(days=1 if direction == "next" else -1)
    return moment if day == local.date() else from_local(day, local.time(), zone)
