"""Reads the times of RFC 3339: the one way for times in events, lines, settings, policies and options.

`dunning.domain.calendar.rfc3339` writes them.
"""

import re
from datetime import UTC, datetime, timedelta

_SHAPE = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]([01]\d|2[0-3])(:[0-5]\d:)([0-5]\d|60)(\.\d{1,30})?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_FASTEST = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(?:\.\d{1,9})?Z", re.ASCII)  # what almost everybody writes


def parse_rfc3339(text: str) -> datetime | None:
    """The UTC instant of an RFC 3339 time, which has its seconds and its offset; None for anything else.

    A leap second is the first instant of the next minute; digits below a microsecond are dropped.
    """
    try:
        if _FASTEST.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        parts = _SHAPE.fullmatch(text)
        return _read(*parts.groups()) if parts else None
    except (ValueError, OverflowError):  # a day that does not exist, or an instant beyond the calendar's ends
        return None


def instant(text: str) -> datetime:
    """The same where it has to be one, such as a time of ours. Raises ValueError otherwise."""
    when = parse_rfc3339(text)
    if when is None:
        raise ValueError("not an RFC 3339 time with an offset, such as 2026-03-02T10:00:00Z")
    return when


def _read(day: str, hour: str, minute: str, second: str, fraction: str | None, offset: str) -> datetime:
    leap = second == "60"
    usual = f"{day}T{hour}{minute}{'59' if leap else second}{'' if leap else fraction or ''}{offset.upper()}"
    return datetime.fromisoformat(usual).astimezone(UTC) + timedelta(seconds=leap)
