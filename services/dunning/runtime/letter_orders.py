"""What an operator orders for a dead letter, and what becomes of it (rule 5), as values."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]


class LetterPlace(NamedTuple):
    """Where a dead letter lies in its service's `<topic>.<service>.dlq`; the topic is the message's, without prefix."""

    topic: str
    partition: int
    offset: int


class OrderKind(StrEnum):
    """What is to be done with a dead letter."""

    REPLAY = "replay"
    DISCARD = "discard"


class OrderOutcome(StrEnum):
    """What became of an order. After the first two a replay has acted, and no other one may follow."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"  # the same thing had come in another way before (rule 1)
    PASSED_OVER = "passed_over"  # not for this service, so it changed nothing
    SET_ASIDE = "set_aside"  # again, with a reason of its own; nothing changed
    DISCARDED = "discarded"


ACTED = frozenset({OrderOutcome.APPLIED, OrderOutcome.DUPLICATE})


@dataclass(frozen=True, slots=True)
class By:
    """Who gives an order, and why: kept for good."""

    who: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """A replay as it is ordered: the message to read, which is the one that was set aside unless it was `corrected`."""

    place: LetterPlace
    set_aside_for: str
    key: bytes | None
    headers: Headers
    body: bytes | None
    masked: bool = False  # the bytes on file are not those that came, so only a corrected body may be read
    corrected: bool = False

    @property
    def body_sha256(self) -> str | None:
        """Tells afterwards which body it was, when the body itself is gone."""
        return None if self.body is None else hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Replay:
    """A replay in the hands of the service that is to take it."""

    order_id: int
    place: LetterPlace
    key: bytes | None
    headers: Headers
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of a replay; `reason` is one word, `detail` what to correct."""

    outcome: OrderOutcome
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OrderOnFile:
    """An order as it stands on file. `outcome` is None while a replay waits for its service."""

    order_id: int
    place: LetterPlace
    kind: OrderKind
    by: By
    given_at: datetime
    corrected: bool
    body_sha256: str | None
    outcome: OrderOutcome | None
    reason: str
    detail: str
    done_at: datetime | None

    @property
    def in_the_way(self) -> bool:
        """Whether no other replay may be ordered: one waits, or one has acted."""
        return self.kind is OrderKind.REPLAY and (self.outcome is None or self.outcome in ACTED)
