"""Days without business, with their names, for the eyes of whoever reads a timeline.

Which days they are is what `dunning.domain.business_days` decides by; here each also gets a name.
"""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from dunning.domain.business_days import is_calendar

_SATURDAY = 5
_LANGUAGE = "en_US"


@dataclass(frozen=True, slots=True)
class DayOff:
    """A weekend or a public holiday."""

    date: date
    holiday: str | None = None  # its name

    def __str__(self) -> str:
        return self.holiday or "weekend"


def days_off(calendars: Iterable[str], days: Iterable[date]) -> dict[date, DayOff]:
    """Those of these days on which one of the calendars has no business, by date; the first calendar gives the name.

    A calendar is a country such as DE or a part of one such as DE-BY; any other word knows weekends only.
    """
    known = [*dict.fromkeys(calendars)]
    found: dict[date, DayOff] = {}
    for day in days:
        kinds = [off for calendar in known if (off := _day_off(calendar, day)) is not None]
        if kinds:
            found[day] = next((off for off in kinds if off.holiday), kinds[0])
    return found


def _day_off(calendar: str, day: date) -> DayOff | None:
    if not is_calendar(calendar):
        return DayOff(day) if day.weekday() >= _SATURDAY else None
    holidays = _holidays(calendar, day.year)
    if day in holidays:
        return DayOff(day, str(holidays.get(day)))
    return DayOff(day) if holidays.is_weekend(day) else None


@lru_cache(maxsize=64)
def _holidays(calendar: str, year: int) -> Any:
    """A year's public holidays in English, or in the country's own language where nobody translated them."""
    import holidays

    country, _, subdivision = calendar.partition("-")
    entity = getattr(holidays, country)
    language = _LANGUAGE if _LANGUAGE in (entity.supported_languages or ()) else entity.default_language
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a country's moon calendar is not known for this year
        around = (year - 1, year, year + 1)  # one year's holiday may be observed in another
        return entity(years=around, subdiv=subdivision or None, expand=False, language=language)
