"""Readers of single values: each returns what it read, or None after it has reported why it could not.

The traps of YAML are explained where they bite: `20:00` without quotes is a number, `NO` is a truth value, `3` is not a
duration. Nothing is guessed, because a policy that reads wrong would charge and suspend people wrongly.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TypeVar
from zoneinfo import available_timezones

from iso4217 import Currency

from dunning.domain.business_days import countries
from dunning.domain.calendar import DailyHours, Duration, zone_named
from dunning.domain.policy_file.pending import NOT_IN_FORCE
from dunning.domain.policy_file.problems import Code, Place, Report, closest, quoted, suggestion
from dunning.domain.policy_file.tree import Items, Kind, Node, Scalar, Table
from dunning.domain.rfc3339 import parse_rfc3339

T = TypeVar("T")

NAME_LENGTH_MAX = 64
LIST_LENGTH_MAX = 200
AMOUNT_MAX = 10**15  # minor units; a thousand billion euros
_DURATION_LENGTH_MAX = 32
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_LENGTH_MAX - 1}}}\Z")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_INDEX = re.compile(r"\[\d+\]")
_SHORTER_TIME = re.compile(r"(.{10}[Tt ]\d\d:\d\d)(:.*?)?([Zz]|[+-]\d\d)(?::?(\d\d))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """A value of the file, where it stands, and where to report what is wrong with it."""

    path: str
    node: Node
    report: Report
    key_place: Place

    def refuse(self, code: Code, message: str) -> None:
        """Reports an error at the value."""
        self.report.error(code, self.node.place, self.path, message)

    def warn(self, code: Code, message: str) -> None:
        """Reports a warning at the value."""
        self.report.warning(code, self.node.place, self.path, message)


def described(node: Node) -> str:
    """What was found, for a message."""
    match node:
        case Items():
            return "a list"
        case Table():
            return "a mapping"
        case Scalar(kind=Kind.NOTHING):
            return "nothing"
        case Scalar(kind=Kind.TEXT):
            return quoted(node.text)
        case Scalar(kind=Kind.TRUTH):
            return f"the truth value {node.text}"
        case _:
            return f"the {'date' if node.kind is Kind.DATE else 'number'} {node.text}"


def text(field: Field, expected: str) -> str | None:
    """Text that is not empty. `expected` says what should stand there, for the message."""
    match field.node:
        case Scalar(text=value, kind=Kind.TEXT) if value.strip():
            return value
        case Scalar(text=value, kind=Kind.INTEGER | Kind.DECIMAL | Kind.TRUTH | Kind.DATE as kind):
            field.refuse(Code.WRONG_TYPE, f"{_misread(value, kind)}; expected {expected}, in quotes")
        case Scalar():
            field.refuse(Code.WRONG_TYPE, f"has no value; expected {expected}, or leave the key out")
        case _:
            field.refuse(Code.WRONG_TYPE, f"found {described(field.node)}; expected {expected}")
    return None


def _misread(value: str, kind: Kind) -> str:
    match kind:
        case Kind.TRUTH:
            return f"YAML reads {value} without quotes as true or false"
        case Kind.INTEGER if re.fullmatch(r"\d{1,6}(:[0-5]?\d){1,3}", value):
            number = 0
            for part in value.split(":"):
                number = number * 60 + int(part)
            return f"YAML reads {value} without quotes as the number {number}"
        case _:
            return f"YAML reads {value} without quotes as a {'date' if kind is Kind.DATE else 'number'}"


def integer(field: Field, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`."""
    node = field.node
    if not isinstance(node, Scalar) or node.kind is not Kind.INTEGER or not _INTEGER.match(node.text):
        field.refuse(Code.WRONG_TYPE, f"found {described(node)}; expected a whole number such as {max(low, 1)}")
        return None
    number = int(node.text)
    if not low <= number <= high:
        field.refuse(Code.OUT_OF_BOUNDS, f"found {number}; allowed are {low} to {high}")
        return None
    return number


def minor_units(field: Field) -> int | None:
    """An amount of money, in minor units like everywhere else."""
    if isinstance(field.node, Scalar) and field.node.kind is Kind.DECIMAL:
        field.refuse(Code.WRONG_TYPE, f"found {field.node.text}; amounts are in minor units: EUR 5.00 is 500")
        return None
    return integer(field, 0, AMOUNT_MAX)


def money(field: Field) -> dict[str, int]:
    """Amounts by currency, in minor units."""
    amounts: dict[str, int] = {}
    for code, amount in entries(field).items():
        value = minor_units(amount)
        if currency_known(amount, code, amount.key_place) and value is not None:
            amounts[code] = value
    return amounts


def is_word(field: Field, word: str) -> bool:
    """Whether the value is this one word."""
    return isinstance(field.node, Scalar) and field.node.text == word


def truth(field: Field) -> bool | None:
    """`true` or `false`; YAML's other spellings are text to half of its readers, so they are refused."""
    node = field.node
    if isinstance(node, Scalar) and node.kind is Kind.TRUTH and node.text.lower() in ("true", "false"):
        return node.text.lower() == "true"
    field.refuse(Code.WRONG_TYPE, f"found {described(node)}; write true or false")
    return None


def word(field: Field, allowed: Sequence[str]) -> str | None:
    """One of a few words."""
    listing = ", ".join(allowed)
    value = text(field, f"one of {listing}")
    if value is None or value in allowed:
        return value
    field.refuse(Code.UNKNOWN_WORD, f"found {quoted(value)}; {suggestion(value, allowed, f'allowed: {listing}')}")
    return None


def name(field: Field) -> str | None:
    """A name that also stands in events and metrics."""
    value = text(field, "a name")
    if value is None or _NAME.match(value):
        return value
    rule = f"letters, digits, `_`, `-` and `.`, at most {NAME_LENGTH_MAX}, a letter or digit first"
    field.refuse(Code.BAD_NAME, f"found {quoted(value)}; a name has {rule}")
    return None


def duration(field: Field, *, positive: bool = False) -> Duration | None:
    """A length of time with its units."""
    node = field.node
    if not isinstance(node, Scalar) or node.kind is not Kind.TEXT or len(node.text) > _DURATION_LENGTH_MAX:
        cure = "a duration has a unit: 90s, 15m, 12h, 3d, 2w or 1d12h"
        field.refuse(Code.NOT_A_DURATION, f"found {described(node)}; {cure}")
        return None
    try:
        value = Duration.parse(node.text)
    except ValueError as error:
        field.refuse(Code.NOT_A_DURATION, str(error))
        return None
    if positive and value.nominal_seconds == 0:
        field.refuse(Code.OUT_OF_BOUNDS, f'found "{node.text}"; must be longer than zero')
        return None
    return value


def daily_hours(field: Field) -> DailyHours | None:
    """Two times of day, as a list of two texts."""
    if not isinstance(field.node, Items) or len(field.node.items) != 2:
        field.refuse(Code.NOT_HOURS, f'found {described(field.node)}; write two times such as ["08:00", "20:00"]')
        return None
    times = [text(part, "a time of day") for part in elements(field)]
    if times[0] is None or times[1] is None:
        return None
    try:
        return DailyHours.parse(times[0], times[1])
    except ValueError as error:
        field.refuse(Code.NOT_HOURS, str(error))
        return None


def zone(field: Field, *, or_word: str | None = None) -> str | None:
    """The name of a time zone, or one word that stands for another source of it."""
    value = text(field, "an IANA time zone such as Europe/Berlin")
    if value is None or value == or_word or zone_named(value) is not None:
        return value
    allowed = 'an IANA name such as "Europe/Berlin"' + (f' or "{or_word}"' if or_word else "")
    words = [*_zone_names(), *([or_word] if or_word else [])]
    field.refuse(
        Code.UNKNOWN_ZONE, f"no time zone named {quoted(value)}; {suggestion(value, words, f'write {allowed}')}"
    )
    return None


@lru_cache(maxsize=1)
def _zone_names() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


@lru_cache(maxsize=1)
def _currency_codes() -> tuple[str, ...]:
    return tuple(sorted(currency.code for currency in Currency))


def currency(field: Field) -> str | None:
    """An ISO 4217 code, in capitals as everywhere on the wire."""
    value = text(field, "a currency")
    return value if value is None or currency_known(field, value, field.node.place) else None


def currency_known(field: Field, value: str, place: Place) -> bool:
    """Whether a currency exists; reports it otherwise."""
    if value in _currency_codes():
        return True
    cure = suggestion(value.upper(), _currency_codes(), "write an ISO 4217 code such as EUR")
    field.report.error(Code.NOT_A_CODE, place, field.path, f"no currency {quoted(value)}; {cure}")
    return False


def is_country(value: str) -> bool:
    """Whether a text has the form of a country's code: two capitals of ISO 3166."""
    return re.fullmatch(r"[A-Z]{2}", value) is not None


def country(field: Field) -> str | None:
    """Two letters of ISO 3166, in capitals. Events may hold any two, so that others are a warning: UK for GB."""
    value = text(field, "a country")
    if value is not None and is_country(value) and value not in countries():
        cure = 'write its two capitals, such as "DE" or "GB"'
        field.warn(Code.NOT_A_CODE, f"{quoted(value)} is no country of ISO 3166, by which events name them; {cure}")
    if value is None or is_country(value):
        return value
    field.refuse(Code.NOT_A_CODE, f'found {quoted(value)}; write two capitals of ISO 3166, such as "DE"')
    return None


def moment(field: Field) -> datetime | None:
    """An instant with its offset; here an unquoted YAML date is what is meant.

    Whoever writes a policy may leave out the seconds, and the colon of the offset, as its JSON Schema always allowed:
    versions that are on file stay readable.
    """
    node = field.node
    if isinstance(node, Scalar) and node.kind in (Kind.TEXT, Kind.DATE):
        shorter = _SHORTER_TIME.fullmatch(node.text)
        value = parse_rfc3339(_written_out(*shorter.groups())) if shorter else None
        if value is not None:
            return value
    field.refuse(Code.NOT_A_TIME, f"found {described(node)}; write a time with offset such as 2026-05-01T00:00:00Z")
    return None


def _written_out(until_minute: str, seconds: str | None, offset: str, offset_minutes: str | None) -> str:
    """A time with all that RFC 3339 asks for, of one that may be shorter."""
    return f"{until_minute}{seconds or ':00'}{offset}{f':{offset_minutes}' if offset_minutes else ''}"


def elements(field: Field, length_max: int = LIST_LENGTH_MAX) -> list[Field]:
    """The elements of a list; an empty list after something else was reported."""
    if not isinstance(field.node, Items):
        field.refuse(Code.WRONG_TYPE, f"found {described(field.node)}; expected a list")
        return []
    items = field.node.items
    if len(items) > length_max:
        field.refuse(Code.OUT_OF_BOUNDS, f"{len(items)} entries; at most {length_max} are allowed")
    return [
        Field(f"{field.path}[{number}]", item, field.report, item.place)
        for number, item in enumerate(items[:length_max])
    ]


def each(field: Field, read: Callable[[Field], T | None], length_max: int = LIST_LENGTH_MAX) -> tuple[T, ...]:
    """The elements of a list that could be read."""
    values = (read(element) for element in elements(field, length_max))
    return tuple(value for value in values if value is not None)


def distinct(field: Field, read: Callable[[Field], T | None]) -> tuple[T, ...]:
    """Like `each`, for lists in which a repetition can only be a slip."""
    values: list[T] = []
    for element in elements(field):
        value = read(element)
        if value is not None and value in values:
            element.refuse(Code.REPEATED, f"{described(element.node)} is in this list already")
        elif value is not None:
            values.append(value)
    return tuple(values)


def entries(field: Field) -> dict[str, Field]:
    """A mapping with keys of any name: its values by key. Repeated keys are reported, the first one counts."""
    if not isinstance(field.node, Table):
        field.refuse(Code.WRONG_TYPE, f"found {described(field.node)}; expected a mapping such as {{key: value}}")
        return {}
    if len(field.node.entries) > LIST_LENGTH_MAX:
        field.refuse(Code.OUT_OF_BOUNDS, f"{len(field.node.entries)} keys; at most {LIST_LENGTH_MAX} are allowed")
    found: dict[str, Field] = {}
    for key, value in field.node.entries[:LIST_LENGTH_MAX]:
        entry = Field(_joined(field.path, key.text), value, field.report, key.place)
        if key.text in found:
            first = found[key.text].key_place.line
            field.report.error(Code.DUPLICATE_KEY, key.place, entry.path, f"the key is in line {first} already")
        else:
            found[key.text] = entry
    return found


def section(field: Field, allowed: Collection[str], required: Collection[str] = ()) -> dict[str, Field]:
    """A mapping with known keys. Reports the others, those that are missing, and those that are not in force yet.

    A misspelt key is read as the one that was probably meant, so that one slip does not look like several.
    """
    found = entries(field)
    for key in [key for key in found if key not in allowed]:
        close = closest(key, allowed)
        cure = f'did you mean "{close}"?' if close else f"allowed: {', '.join(allowed)}"
        unknown = found.pop(key)
        field.report.error(Code.UNKNOWN_KEY, unknown.key_place, unknown.path, f"unknown key; {cure}")
        if close:
            found.setdefault(close, unknown)
    if isinstance(field.node, Table):
        for key in [key for key in required if key not in found]:
            field.report.error(Code.MISSING_KEY, field.node.place, _joined(field.path, key), "required, but missing")
    for entry in found.values():
        pending = NOT_IN_FORCE.get(_INDEX.sub("[]", entry.path))
        if pending and pending.asks(entry.node):
            message = f"not in force yet; {pending.instead}"
            field.report.error(Code.NOT_IN_FORCE, entry.key_place, entry.path, message)
    return found


def _joined(path: str, key: str) -> str:
    step = key if _PLAIN_KEY.match(key) else quoted(key)
    return f"{path}.{step}" if path else step
