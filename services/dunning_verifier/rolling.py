"""Business days: where `roll` moves a date (rules 16, 24 and 25).

Which days are holidays is the one thing that is not reckoned on its own: both sides ask the public `holidays` library.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays

from dunning_verifier.clock import Span, instant_of

_ACCOUNT = "account_country"
_ONE_DAY = timedelta(days=1)
_DAYS_MAX = 366  # calendars that together leave no open day within a year move nothing


@dataclass(frozen=True, slots=True)
class Roll:
    """To which side dates leave a day off, and by whose calendars; closed in one is closed."""

    forward: bool
    calendars: tuple[str, ...]

    @classmethod
    def parse(cls, said: Any) -> "Roll | None":
        """A policy's `roll`; None where nothing moves. Raises ValueError."""
        if said in (None, "none", False):
            return None
        if not isinstance(said, Mapping) or said.get("business_days") not in ("next", "previous"):
            raise ValueError(f"roll is {said!r}")
        return cls(said["business_days"] == "next", tuple(map(str, said.get("calendars") or (_ACCOUNT,))))

    def is_open(self, day: date, country: str | None) -> bool:
        """Whether business is done on a day, for an account of that country."""
        return not any(_is_off(day, country if name == _ACCOUNT else name) for name in self.calendars)

    def day(self, day: date, country: str | None) -> date:
        """The day itself where it is open, else the nearest open one on the side of the policy."""
        step = _ONE_DAY if self.forward else -_ONE_DAY
        days = (day + number * step for number in range(_DAYS_MAX))
        return next((each for each in days if self.is_open(each, country)), day)

    @property
    def never_earlier(self) -> "Roll":
        """For what must not come earlier, whatever the policy says: the first open day from then on (rule 25)."""
        return Roll(True, self.calendars)


def rolled_after(span: Span, start: datetime, zone: ZoneInfo, roll: Roll | None, country: str | None) -> datetime:
    """A distance of the ladder from an instant: the day moves before it becomes an instant, so it keeps the local time
    that was meant, also where the unrolled day does not have it (decisions/0003, rule 24)."""
    plain = span.after(start, zone)
    if roll is None or span == Span(0, 0):
        return plain
    local = plain.astimezone(zone) if span.seconds else start.astimezone(zone)
    day = local.date() if span.seconds else local.date() + timedelta(days=span.days)
    business_day = roll.day(day, country)
    return plain if business_day == day else instant_of(business_day, local.time(), zone)


def possible_dates(
    span: Span, starts: Iterable[datetime], zones: set[ZoneInfo], countries: set[str | None], roll: Roll | None
) -> Iterator[datetime]:
    """Wherever a distance can lead, as far as zone, country and beginning are not certain."""
    for start in starts:
        for zone in zones:
            for country in countries if roll else {None}:
                yield rolled_after(span, start, zone, roll, country)


@lru_cache(maxsize=100_000)
def _is_off(day: date, calendar: str | None) -> bool:
    known = _calendar((calendar or "").upper())
    return day.weekday() >= 5 if known is None else known.is_weekend(day) or day in known


@lru_cache(maxsize=512)
def _calendar(name: str) -> holidays.HolidayBase | None:
    """Of a country (`DE`) or a part of it (`DE-BY`); None where there is none: then only weekends are off."""
    country, _, part = name.partition("-")
    if country not in holidays.list_supported_countries(include_aliases=False):
        return None
    try:
        return holidays.country_holidays(country, subdiv=part or None)
    except NotImplementedError:
        return None
