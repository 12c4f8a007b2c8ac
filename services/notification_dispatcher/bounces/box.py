"""What a box of mails is to its reader. Its calls block, so they are made in a thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAILS_AT_ONCE = 100


class BoxTrouble(Exception):
    """The box is away, or does not do what it should; the message says what, without names of mails or passwords."""


@dataclass(frozen=True, slots=True)
class Found:
    """A mail in the box. `key` is the box's own name for it."""

    key: str
    size_bytes: int


class Box(Protocol):
    """Mails that nobody dealt with yet. Every call may raise BoxTrouble."""

    name: str  # a word for the metric

    def look(self) -> Sequence[Found]:
        """Some of them, at most `MAILS_AT_ONCE`. Begins anew each time: connects where that is needed."""

    def read(self, mail: Found) -> bytes | None:
        """The whole mail; None where somebody else took it meanwhile."""

    def done(self, mail: Found) -> None:
        """It was told to the world; not to be found again."""

    def set_aside(self, mail: Found) -> None:
        """It is none of ours; not to be found again by this process."""

    def leave(self) -> None:
        """Be done with looking; may be called at any time, from another thread, to break off what is going on."""
