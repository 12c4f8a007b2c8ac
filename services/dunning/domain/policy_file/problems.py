"""What can be wrong with a policy file, as values: a code that never changes its meaning, a place and a cure."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_SUGGEST_LENGTH_MAX = 64  # comparing words is quadratic in their length, and no word of ours is longer
_SHOWN_LENGTH_MAX = 60


class Code(StrEnum):
    """Stable codes; `docs/policy-reference.md` explains each. A retired number is never used again."""

    NOT_YAML = "DUN-P001"
    TOO_LARGE = "DUN-P002"
    UNKNOWN_KEY = "DUN-P003"
    DUPLICATE_KEY = "DUN-P004"
    MISSING_KEY = "DUN-P005"
    WRONG_TYPE = "DUN-P006"
    NOT_IN_FORCE = "DUN-P007"
    OUT_OF_BOUNDS = "DUN-P008"
    UNKNOWN_WORD = "DUN-P009"
    NOT_A_DURATION = "DUN-P010"
    NOT_HOURS = "DUN-P011"
    UNKNOWN_ZONE = "DUN-P012"
    BAD_NAME = "DUN-P013"
    NO_SUCH_RUNG = "DUN-P014"
    DUPLICATE_RUNG = "DUN-P015"
    RESERVED_NAME = "DUN-P016"
    UNKNOWN_TEMPLATE = "DUN-P017"
    REPEATED = "DUN-P018"
    OUT_OF_ORDER = "DUN-P019"
    NOBODY_WARNS = "DUN-P020"
    WARNED_TOO_LATE = "DUN-P021"
    WARNING_SAYS_NOTHING = "DUN-P022"
    LEAD_TOO_LONG = "DUN-P023"
    STAGE_GOES_DOWN = "DUN-P024"
    NO_EFFECT = "DUN-P025"
    NO_DISTANCE = "DUN-P026"
    WINDOW_TOO_SHORT = "DUN-P027"
    VERSION_CHANGED = "DUN-P028"
    NEVER_REACHED = "DUN-P029"
    NO_WARNING_TIME = "DUN-P030"
    NOT_A_CODE = "DUN-P031"
    NOT_A_TIME = "DUN-P032"
    UNREADABLE = "DUN-P033"
    UNKNOWN_CALENDAR = "DUN-P034"
    QUIET_TOO_LONG = "DUN-P035"
    CAPS_HOLD_WARNING = "DUN-P036"
    CAPS_SHUT_NOTICE = "DUN-P037"
    ROLL_TAKES_LEAD = "DUN-P038"
    WARNING_GROWS_OLD = "DUN-P039"
    HOLD_TOO_LONG = "DUN-P040"
    NEVER_HOLDS = "DUN-P041"
    ALWAYS_SUPERSEDED = "DUN-P042"
    ROLLS_TO_ANCHOR = "DUN-P043"


class Severity(StrEnum):
    """An error keeps a policy from being used; a warning says that it may not do what its author meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands in a file, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, for a person with an editor and for a program that lists problems."""

    file: str
    line: int
    column: int
    path: str  # `ladder[1].at`; empty when the file as a whole is meant
    message: str
    code: Code
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """One line that editors and terminals turn into a link to the place."""
        warning = "warning: " if self.severity is Severity.WARNING else ""
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.line}:{self.column}: {warning}{path}{self.message} [{self.code}]"


class Report:
    """Collects the problems of one file, so that its author sees all of them at once."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: dict[Problem, None] = {}  # a node that an alias repeats is reported once

    def error(self, code: Code, place: Place, path: str, message: str) -> None:
        """Something that keeps the policy from being used."""
        self._add(code, place, path, message, Severity.ERROR)

    def warning(self, code: Code, place: Place, path: str, message: str) -> None:
        """Something that works, but probably not as meant."""
        self._add(code, place, path, message, Severity.WARNING)

    def _add(self, code: Code, place: Place, path: str, message: str, severity: Severity) -> None:
        self._problems[Problem(self.file, place.line, place.column, path, message, code, severity)] = None

    @property
    def has_errors(self) -> bool:
        """Whether the policy cannot be used."""
        return any(problem.severity is Severity.ERROR for problem in self._problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All of them in the order of the file."""
        return tuple(sorted(self._problems, key=lambda problem: (problem.line, problem.column)))


def quoted(text: str) -> str:
    """Text from a file as it is shown in a message: on one line, in quotes, not endless."""
    return json.dumps(text if len(text) <= _SHOWN_LENGTH_MAX else text[:_SHOWN_LENGTH_MAX] + "…", ensure_ascii=False)


def closest(found: str, allowed: Iterable[str]) -> str | None:
    """The word that was probably meant, if any comes close."""
    close = difflib.get_close_matches(found, list(allowed), n=1) if len(found) <= _SUGGEST_LENGTH_MAX else []
    return close[0] if close else None


def suggestion(found: str, allowed: Iterable[str], otherwise: str) -> str:
    """`did you mean "at"?` where a word comes close, else what is allowed."""
    close = closest(found, allowed)
    return f'did you mean "{close}"?' if close else otherwise
