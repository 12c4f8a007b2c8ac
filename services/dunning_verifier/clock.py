"""Instants, durations and local time, reckoned on their own: a judge that borrows its calendar finds no wrong date."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_PART = re.compile(r"(\d+)([wdhms])")
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:)(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UNIT_SECONDS = {"h": 3600, "m": 60, "s": 1}


def instant(text: str) -> datetime:
    """An RFC 3339 time in UTC, a leap second as the next minute. Raises ValueError for shorter and other forms."""
    found = _RFC_3339.fullmatch(text.upper())
    if found is None:
        raise ValueError(f"{text!r} is no RFC 3339 time with an offset")
    minute, second, fraction, offset = found.groups()
    if second == "60":
        return datetime.fromisoformat(f"{minute}59{offset}").astimezone(UTC) + timedelta(seconds=1)
    return datetime.fromisoformat(f"{minute}{second}{fraction or ''}{offset}").astimezone(UTC)


class Span(NamedTuple):
    """A policy's duration: calendar days, then elapsed seconds."""

    days: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Span":
        """`90s`, `12h`, `3d`, `1d12h`. Raises ValueError for anything else."""
        if not text or _PART.sub("", text):
            raise ValueError(f"{text!r} is not a duration")
        days = seconds = 0
        for number, unit in _PART.findall(text):
            if unit in "wd":
                days += int(number) * (7 if unit == "w" else 1)
            else:
                seconds += int(number) * _UNIT_SECONDS[unit]
        return cls(days, seconds)

    def minus(self, other: "Span") -> "Span":
        """The distance between two dates of one ladder."""
        return Span(self.days - other.days, self.seconds - other.seconds)

    def after(self, start: datetime, zone: ZoneInfo) -> datetime:
        """Calendar days in the zone, then elapsed seconds."""
        moved = start
        if self.days:
            local = start.astimezone(zone)
            moved = instant_of(local.date() + timedelta(days=self.days), local.time(), zone)
        return moved + timedelta(seconds=self.seconds)


def instant_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant of a local time; one that was skipped is the moment the clock jumped, a repeated one the first."""
    local = datetime.combine(day, at.replace(tzinfo=None, fold=0))
    found = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    back = found.astimezone(zone).replace(tzinfo=None)
    if back == local:
        return found
    earlier = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = earlier.astimezone(zone).utcoffset()
    while earlier < found and earlier.astimezone(zone).utcoffset() == offset:
        earlier += timedelta(minutes=1) - timedelta(seconds=earlier.second, microseconds=earlier.microsecond)
    return earlier


@lru_cache(maxsize=1024)
def zone_or_none(name: str | None) -> ZoneInfo | None:
    """The zone of that name; None where there is none, since names come from outside."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


class Hours(NamedTuple):
    """A half-open span of every local day; it may pass midnight."""

    start: time
    end: time

    def hold(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether the local time of day lies inside."""
        local = at.astimezone(zone).time()
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end
