"""A finding: what was looked at, whether it is as it should be, and what to do if not."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. Only a problem makes `dunning doctor` end with 1."""

    OK = "ok"
    WARNING = "warning"  # works, but somebody should know
    PROBLEM = "problem"  # something does not work, or soon will not


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor. `do` says what helps; empty where nothing is to be done."""

    check: str
    level: Level
    message: str
    do: str = ""


def ok(check: str, message: str) -> Finding:
    """It is as it should be."""
    return Finding(check, Level.OK, message)


def warning(check: str, message: str, do: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(check, Level.WARNING, message, do)


def problem(check: str, message: str, do: str) -> Finding:
    """It does not work."""
    return Finding(check, Level.PROBLEM, message, do)
