"""Faults that are placed where they hurt: each ambush waits for one moment and then does what a safeguard is there for.

Chance alone rarely hits these: a process that hangs between reading rows and publishing them while another one lives, a
commit whose answer is lost just when something was set aside. So most seeds lie in wait for one of them, beside
whatever else goes wrong.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dunning.runtime.store import PendingRow
from dunning.testing.memory_tables import Written

STORE, BROKER, LOCKS, MAIL = "store", "broker", "locks", "mail"
EVERY = "every service"


@dataclass(frozen=True, slots=True)
class Strike:
    """What goes wrong now, and for how long where it lasts."""

    kind: str
    seconds: float = 0.0


@dataclass
class Ambush:
    """Lies in wait; `left` is how often it may still strike."""

    rng: random.Random
    left: int = 3
    needs_two: str | None = None  # the service that runs in two instances then, or EVERY
    min_poison: int = 0

    def before(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        """Asked before each call over a network; `about` is what a transaction would write."""

    def after(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        """Asked after each call that was done; `about` is its answer, or what a transaction wrote."""

    def kills_at(self, name: str) -> bool:
        """Asked at each named crash point."""
        return False

    def brings_news(self) -> bool:
        """Asked when the clocks are about to jump to what is due."""
        return False

    def _strikes(self, chance: float) -> bool:
        if self.left <= 0 or self.rng.random() >= chance:
            return False
        self.left -= 1
        return True


@dataclass
class LostCommit(Ambush):
    """Something was set aside and committed, and nobody hears of it: the turn is taken once more."""

    min_poison: int = 2

    def after(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        lost = isinstance(about, Written) and any(row.topic.endswith(".dlq") for row in about.outbox)
        return Strike("answer lost") if lost and self._strikes(0.6) else None


@dataclass
class FailedCommit(Ambush):
    """Nothing of a turn is stored: all of it has to be done again."""

    def before(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        hits = isinstance(about, Written) and about.inbox and self._strikes(0.25)
        return Strike("failed") if hits else None


@dataclass
class UnfinishedRelay(Ambush):
    """Rows are published, and whoever did it dies or does not learn of it before the database knows."""

    def after(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        hits = (way, what) == (BROKER, "commit") and self._strikes(0.05)
        return Strike(self.rng.choice(["answer lost", "killed"])) if hits else None

    def kills_at(self, name: str) -> bool:
        return name == "relay.published" and self._strikes(0.05)


@dataclass
class TwoRelays(Ambush):
    """Whoever publishes a shard hangs with rows in hand until another one has the shard and published them."""

    left: int = 2
    needs_two: str | None = EVERY

    def after(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        hits = (way, what) == (STORE, "pending") and _are_rows(about) and self._strikes(0.08)
        return Strike("frozen", 8.0) if hits else None


@dataclass
class TwoWorkers(Ambush):
    """Whoever leased an errand hangs until another one has it, and wakes while that one is at it."""

    left: int = 5
    needs_two: str | None = "notification_dispatcher"
    hangs: str | None = field(default=None, init=False)

    def before(self, process: str, way: str, what: str, about: Any) -> Strike | None:
        if (way, what) == (STORE, "begin_errand") and self.hangs is None and self._strikes(0.5):
            self.hangs = process
            return Strike("frozen", 11.7)
        if way == MAIL and self.hangs not in (None, process):
            self.hangs = None
            return Strike("slow", 5.0)
        return None


@dataclass
class LateNews(Ambush):
    """A payment comes in a moment before something is due, and reaches those who would do it a moment after."""

    def brings_news(self) -> bool:
        return self._strikes(0.25)


KINDS: tuple[Callable[[random.Random], Ambush], ...] = (
    lambda rng: Ambush(rng, 0),
    LostCommit,
    FailedCommit,
    UnfinishedRelay,
    TwoRelays,
    TwoWorkers,
    LateNews,
)


def ambush(rng: random.Random) -> Ambush:
    """One of them, or none."""
    return rng.choice(KINDS)(rng)


def _are_rows(answer: Any) -> bool:
    return isinstance(answer, list) and bool(answer) and isinstance(answer[0], PendingRow)
