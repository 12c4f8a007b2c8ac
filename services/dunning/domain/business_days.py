"""Business days: what a policy's `roll` makes of a date that falls on a weekend or a public holiday.

Holidays come from the `holidays` library, and only its public ones count, observed days included. It is large, so it is
imported when the first holiday is asked for; its calendars grow and change while they are used, so each year of each
calendar is taken out of it once and kept.
"""

import warnings
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dunning.domain.calendar import Duration, to_utc
from dunning.domain.policy import ACCOUNT_COUNTRY, Roll, Toward

_SATURDAY, _SUNDAY = 5, 6
_DAY = timedelta(days=1)
WEEKENDS_ONLY = ""  # Saturdays and Sundays, where the country is not known
ROLL_DAYS_MAX = 366  # where all calendars together leave no business day within a year, a date stays where it is


@dataclass(frozen=True, slots=True)
class BusinessDays:
    """Days that are neither a weekend nor a public holiday in any of the calendars."""

    toward: Toward
    calendars: tuple[str, ...]  # `DE`, `DE-BY` or WEEKENDS_ONLY

    def after(self, distance: Duration, start: datetime, zone: ZoneInfo) -> datetime:
        """The instant this far after another; from a day off it moves to a business day, at the same local time."""
        return _after(distance, start, zone, self.toward, self.calendars)

    def next_after(self, distance: Duration, start: datetime, zone: ZoneInfo) -> datetime:
        """The same, but never earlier, whatever the policy says."""
        return _after(distance, start, zone, Toward.NEXT, self.calendars)


@lru_cache(maxsize=4096)
def business_days(roll: Roll, country: str) -> BusinessDays:
    """A policy's business days for a case that pinned this country (rule 13); events may name any word as one."""
    named = (country.upper() if calendar == ACCOUNT_COUNTRY else calendar for calendar in roll.calendars)
    known = (calendar if is_calendar(calendar) else WEEKENDS_ONLY for calendar in named)
    return BusinessDays(roll.toward, tuple(dict.fromkeys(known)) or (WEEKENDS_ONLY,))


def is_calendar(name: str) -> bool:
    """Whether a policy may name this calendar: an ISO 3166 country, or one with a subdivision such as DE-BY."""
    country, _, subdivision = name.partition("-")
    return country in countries() and (name == country or subdivision in _subdivisions(country))


@lru_cache(maxsize=1)
def countries() -> frozenset[str]:
    """The countries whose holidays are known, by their two capitals of ISO 3166."""
    from holidays.registry import EntityLoader

    return frozenset(EntityLoader.get_country_codes(include_aliases=False))


def calendars_of(country: str) -> tuple[str, ...]:
    """The names under which a country's holidays are known: its own, and those of its subdivisions."""
    return (country, *(f"{country}-{part}" for part in _subdivisions(country))) if country in countries() else ()


def _subdivisions(country: str) -> tuple[str, ...]:
    import holidays

    return tuple(getattr(holidays, country).subdivisions)


@lru_cache(maxsize=8192)
def _after(distance: Duration, start: datetime, zone: ZoneInfo, toward: Toward, calendars: tuple[str, ...]) -> datetime:
    """Remembered, because a case asks for the same few dates whenever something happens to it.

    The day moves before it becomes an instant: 02:30 of a Sunday that has no such hour is 02:30 of the Monday.
    """
    local = start.astimezone(zone)
    day, at = local.date() + timedelta(days=distance.days), local.time()
    if distance.seconds:
        local = distance.after(start, zone).astimezone(zone)
        day, at = local.date(), local.time()
    business_day = _business_day(day, toward, calendars)
    return distance.after(start, zone) if business_day == day else to_utc(business_day, at, zone)


@lru_cache(maxsize=8192)
def _business_day(day: date, toward: Toward, calendars: tuple[str, ...]) -> date:
    """The day itself, or else the next or the previous business day."""
    step = _DAY if toward is Toward.NEXT else -_DAY
    candidates = (day + number * step for number in range(ROLL_DAYS_MAX))
    return next((each for each in candidates if _is_business_day(each, calendars)), day)


def _is_business_day(day: date, calendars: tuple[str, ...]) -> bool:
    return all(day not in _days_off(calendar, day.year) for calendar in calendars)


@lru_cache(maxsize=2048)
def _days_off(calendar: str, year: int) -> frozenset[date]:
    """The weekends and public holidays of one year.

    A weekend day that a government makes up for as a working day stays a day off.
    """
    days = (date(year, 1, 1) + number * _DAY for number in range(366))
    if calendar == WEEKENDS_ONLY:
        return frozenset(day for day in days if day.weekday() in (_SATURDAY, _SUNDAY))
    import holidays

    country, _, subdivision = calendar.partition("-")
    entity = getattr(holidays, country)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a country's moon calendar is not known for this year
        found = entity(years=year, subdiv=subdivision or None, expand=False, language=entity.default_language)
    return frozenset(day for day in days if found.is_weekend(day) or day in found)
