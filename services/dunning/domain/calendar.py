"""Durations, local time and daily hours. The only place that turns local times into instants.

Days are calendar days in a zone: a rung keeps its local time of day across a clock change. Hours, minutes and seconds
are elapsed time. A local time that does not exist is the next one that does; one that comes twice is the first
(rule 28).
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_PART = re.compile(r"(\d+)([wdhms])")
_WHOLE = re.compile(r"(?:\d+[wdhms])+\Z")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_DAYS = {"w": 7, "d": 1}
_ONE_DAY = timedelta(days=1)
DURATION_DAYS_MAX = 3660  # ten years: no rung, window or pause is longer, and dates stay far from the calendar's end


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """Calendar days and elapsed seconds, applied in this order. Either may be negative in a difference."""

    days: int = 0
    seconds: int = 0

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """`90s`, `15m`, `12h`, `3d`, `2w`, and compounds such as `1d21h47m`. Raises ValueError with what is allowed."""
        if not _WHOLE.match(text):
            raise ValueError(f'"{text}" is not a duration; write for example 90s, 15m, 12h, 3d, 2w or 1d12h')
        days = seconds = 0
        for number, unit in _PART.findall(text):
            if unit in _DAYS:
                days += int(number) * _DAYS[unit]
            else:
                seconds += int(number) * _SECONDS[unit]
        if days + seconds / 86400 > DURATION_DAYS_MAX:
            raise ValueError(f'"{text}" is longer than {DURATION_DAYS_MAX}d')
        return cls(days, seconds)

    def after(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The instant this far after another, in UTC."""
        return _after(self.days, self.seconds, instant, zone)

    def __sub__(self, other: "Duration") -> "Duration":
        return Duration(self.days - other.days, self.seconds - other.seconds)

    def __add__(self, other: "Duration") -> "Duration":
        return Duration(self.days + other.days, self.seconds + other.seconds)

    @property
    def nominal_seconds(self) -> int:
        """Length with every day taken as 24 hours: for comparing durations, never for dates."""
        return self.days * 86400 + self.seconds

    @property
    def less(self) -> "Duration | None":
        """Of a difference whose days or seconds are negative, these: what is to be taken off the rest."""
        if min(self.days, self.seconds) >= 0:
            return None
        return Duration(max(0, -self.days), max(0, -self.seconds))

    def __str__(self) -> str:
        """The shortest way to write it in a policy file; a zero is `0d`. A difference may be `3d less 10m`."""
        less = self.less
        if less:
            return f"{self + less} less {less}"
        rest = self.seconds
        text = f"{self.days}d" if self.days else ""
        for unit, size in _SECONDS.items():
            amount, rest = divmod(rest, size)
            text += f"{amount}{unit}" if amount else ""
        return text or "0d"


@lru_cache(maxsize=8192)
def _after(days: int, seconds: int, instant: datetime, zone: ZoneInfo) -> datetime:
    """Remembered, because a case asks for the same few dates whenever something happens to it."""
    if days:
        instant = _instant_of((instant.astimezone(zone) + timedelta(days=days)).replace(fold=0), zone)
    return instant + timedelta(seconds=seconds)


@lru_cache(maxsize=1024)
def zone_named(name: str) -> ZoneInfo | None:
    """The IANA zone of that name, or None where there is none. Names from outside may be anything."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def to_utc(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant of a local date and time of day (rule 28)."""
    return _instant_of(datetime.combine(day, at.replace(fold=0), zone), zone)


def _instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    first, second = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert first is not None, "a zone has an offset at any time"
    assert second is not None, "a zone has an offset at any time"
    return local.replace(tzinfo=UTC) - first if first >= second else _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant after the clock jumped over `local`, to the second."""
    before = local.replace(fold=1).astimezone(UTC)  # read with the offset after the jump: lies before it
    after = local.replace(fold=0).astimezone(UTC)
    offset_before = before.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, UTC).astimezone(zone).utcoffset() == offset_before:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


@dataclass(frozen=True, slots=True)
class DailyHours:
    """A span of every local day, half-open: 20:00 is outside 08:00 to 20:00 (rule 16). It may pass midnight."""

    start: time
    end: time

    @classmethod
    def parse(cls, start: str, end: str) -> "DailyHours":
        """From two `HH:MM`; 24:00 is not a time. Raises ValueError when one is not a time or both are the same."""
        span = cls(_time_of_day(start), _time_of_day(end))
        if span.start == span.end:
            raise ValueError(f'"{start}" to "{end}" is no span of time')
        return span

    def contains(self, instant: datetime, zone: ZoneInfo) -> bool:
        """Whether an instant lies in the span of a local day."""
        return self._around(instant, zone) is not None

    def first_inside(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The first instant at or after this one that lies inside."""
        day = instant.astimezone(zone).date() - _ONE_DAY
        while True:
            start, end = _span(self.start, self.end, day, zone)
            if start < end and instant < end:
                return max(start, instant)
            day += _ONE_DAY

    def first_outside(self, instant: datetime, zone: ZoneInfo) -> datetime:
        """The first instant at or after this one that lies outside."""
        span = self._around(instant, zone)
        return span[1] if span else instant

    def _around(self, instant: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
        today = instant.astimezone(zone).date()
        for day in (today - _ONE_DAY, today):
            start, end = _span(self.start, self.end, day, zone)
            if start <= instant < end:
                return start, end
        return None


@lru_cache(maxsize=8192)
def _span(start: time, end: time, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The span of hours that begins on a day. Where the clock jumps over all of it, it is empty."""
    last_day = day if start < end else day + timedelta(days=1)
    return to_utc(day, start, zone), to_utc(last_day, end, zone)


def _time_of_day(text: str) -> time:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f'"{text}" is not a time of day; write HH:MM from 00:00 to 23:59')
    return time(int(text[:2]), int(text[3:]))


@lru_cache(maxsize=4096)
def rfc3339(instant: datetime) -> str:
    """UTC with a Z; whole seconds without a fraction, else microseconds.

    Remembered, because what happens at one instant names it many times.
    """
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat()[: -len("+00:00")] + "Z"


def earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    """Of two instants, of which either may be missing."""
    return other if one is None or (other is not None and other < one) else one


def local_days_between(earlier: datetime, later: datetime, zone: ZoneInfo) -> int:
    """Midnights between two instants in a zone, never below zero: `days_overdue` counts these (rule 35)."""
    return max(0, (later.astimezone(zone).date() - earlier.astimezone(zone).date()).days)
