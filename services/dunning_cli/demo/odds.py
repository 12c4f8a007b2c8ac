"""What the simulated processor does with a charge: the request alone decides, so that asking again changes nothing."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from dunning.domain.words import DeclineClass


class Fate(StrEnum):
    """What becomes of a charge."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SILENT = "silent"  # it never reaches the bank, and nobody ever answers


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate, and the code where it failed."""

    fate: Fate
    code: str = ""


SILENT_SHARE = 0.015
ANSWER_SECONDS_MIN, ANSWER_SECONDS_MAX = 0.05, 0.4

_SOFT = (0.16, 0.13, 0.10, 0.08)  # by retry: the money may be there tomorrow, less and less likely
_CHANCES: dict[str, tuple[float, ...]] = {
    DeclineClass.SOFT: _SOFT,
    DeclineClass.UNKNOWN: _SOFT,
    DeclineClass.TECHNICAL: (0.75, 0.6, 0.4),
    DeclineClass.HARD: (0.85, 0.3),  # asked only after a new card
    DeclineClass.NEEDS_CUSTOMER: (0.85, 0.3),
}
_FAILS_WITH = (
    ("insufficient_funds", 0.66),
    ("do_not_honor", 0.14),
    ("generic_decline", 0.11),
    ("issuer_not_available", 0.05),
    ("lost_card", 0.03),
    ("expired_card", 0.01),
)


def verdict(seed: int, retry_id: str, decline_class: str, attempt_number: int) -> Verdict:
    """Won, lost or never answered."""
    if _unit(seed, "silent", retry_id) < SILENT_SHARE:
        return Verdict(Fate.SILENT)
    chances = _CHANCES.get(decline_class, _SOFT)
    retry = max(attempt_number - 2, 0)
    if _unit(seed, "won", retry_id) < chances[min(retry, len(chances) - 1)]:
        return Verdict(Fate.SUCCEEDED)
    return Verdict(Fate.FAILED, _code(_unit(seed, "code", retry_id)))


def answer_seconds(seed: int, retry_id: str) -> float:
    """How long the charge takes."""
    return ANSWER_SECONDS_MIN + (ANSWER_SECONDS_MAX - ANSWER_SECONDS_MIN) * _unit(seed, "delay", retry_id)


def _code(drawn: float) -> str:
    for code, weight in _FAILS_WITH:
        drawn -= weight
        if drawn < 0:
            return code
    return _FAILS_WITH[0][0]


def _unit(seed: int, what: str, retry_id: str) -> float:
    """A number from 0 up to 1, the same for the same text on every machine."""
    digest = blake2b(f"{seed}/{what}/{retry_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
