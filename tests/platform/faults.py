"""What may go wrong, when, decided by one random generator; every call over a network passes here twice.

Before a call it may be slow, its process may die or freeze, the way may be cut, the call may fail with nothing done.
After it the process may die or freeze, or the answer may get lost with everything done.
"""

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiokafka.errors import KafkaConnectionError

from dunning.runtime.store import StoreUnavailable, TopicPartition
from tests.platform.ambushes import BROKER, LOCKS, MAIL, STORE, Ambush, Strike
from tests.platform.loop import Killed, Process, SimulatedLoop

T = TypeVar("T")
OUTSIDE = contextvars.Context()  # nobody's process
TROUBLES: dict[str, Callable[[str], Exception]] = {
    STORE: StoreUnavailable,
    BROKER: KafkaConnectionError,
    LOCKS: OSError,
    MAIL: OSError,
}
# Looking is most of what is done, and least of what can go wrong.
_LOOKS = frozenset(
    {
        "begin",
        "may_act",
        "fetch",
        "ask ends",
        "ask beginnings",
        "ask topics",
        "mode",
        "horizon",
        "pending",
        "shards_pending",
        "holds",
        "group",
    }
)
_A_MOMENT = 0.25  # how often a call takes a little longer than no time at all
_BEFORE = ("killed", "frozen", "cut off", "failed", "slow")
_AFTER = ("killed", "frozen", "answer lost", "slow")
FREEZE_SECONDS = (1.0, 4.0, 7.0, 18.0)
CUT_SECONDS = (0.5, 2.0, 9.0)
SLOW_SECONDS = (0.3, 1.5, 6.0)


@dataclass
class Faults:
    """The faults of one run. `left` is how many may still happen; at 0 everything works."""

    rng: random.Random
    loop: SimulatedLoop
    left: int
    chance: float  # of a fault at a call that does something
    ambush: Ambush
    say: Callable[[str], None] = lambda what: None
    counts: Counter[str] = field(default_factory=Counter)
    cut_until: dict[tuple[str, str], float] = field(default_factory=dict)  # process and way
    slow_until: dict[tuple[str, TopicPartition], float] = field(default_factory=dict)  # process, or whole service

    def heal(self) -> None:
        """No more faults, and none goes on."""
        self.left = self.ambush.left = 0
        self.cut_until.clear()
        self.slow_until.clear()

    async def before(self, process: Process, way: str, what: str, about: Any = None) -> None:
        """Up to the moment at which the call is done; `about` is what would be written."""
        rng = self.rng
        if rng.random() < (_A_MOMENT / 4 if what in _LOOKS else _A_MOMENT):
            await asyncio.sleep(rng.random() * 0.02)
        await self._while_cut(process, way, what)
        if self.ambush.left > 0 and (planned := self.ambush.before(process.name, way, what, about)):
            await self._strike(process, way, what, planned)
        elif self._strikes(what):
            await self._strike(process, way, what, Strike(rng.choice(_BEFORE)))

    async def after(self, process: Process, way: str, what: str, about: Any = None) -> None:
        """From there to the answer; `about` is the answer, or what was written."""
        if self.ambush.left > 0 and (planned := self.ambush.after(process.name, way, what, about)):
            await self._strike(process, way, what, planned)
        elif self._strikes(what):
            await self._strike(process, way, what, Strike(self.rng.choice(_AFTER)))
        elif self.rng.random() < _A_MOMENT / 2 and what not in _LOOKS:
            await asyncio.sleep(self.rng.random() * 0.02)

    def at_point(self, process: Process, name: str) -> None:
        """A named crash point of the kernel."""
        if self.ambush.kills_at(name) or (self.left > 0 and self.rng.random() < self.chance * 4):
            self._note("killed", process, f"at {name}")
            process.kill()
            raise Killed

    def is_slow(self, process: Process, at: TopicPartition) -> bool:
        """Whether what is new in a partition reaches this process later than the rest."""
        for who in (process.name, process.service):
            if self.slow_until.get((who, at), 0.0) > self.loop.time():
                return True
        if self.left > 0 and self.rng.random() < self.chance / 4:
            self._note("partition late", process, f"{at.topic}[{at.partition}]")
            self.slow_until[process.name, at] = self.loop.time() + self.rng.choice(SLOW_SECONDS)
            return True
        return False

    def _strikes(self, what: str) -> bool:
        if self.left <= 0:
            return False
        chance = self.chance / 8 if what in _LOOKS else self.chance
        return self.rng.random() < chance

    async def _strike(self, process: Process, way: str, what: str, strike: Strike) -> None:
        kind = strike.kind
        self._note(kind, process, f"{way}: {what}")
        match kind:
            case "killed":
                process.kill()
                raise Killed
            case "frozen":
                self.freeze(process, strike.seconds or self.rng.choice(FREEZE_SECONDS))
                await asyncio.sleep(0)
            case "cut off":
                self.cut_until[process.name, way] = self.loop.time() + self.rng.choice(CUT_SECONDS)
                await self._while_cut(process, way, what)
            case "failed" | "answer lost":
                raise TROUBLES[way](f"{what}: {kind}")
            case "slow":
                await asyncio.sleep(strike.seconds or self.rng.choice(SLOW_SECONDS))

    async def _while_cut(self, process: Process, way: str, what: str) -> None:
        """A call over a way that is cut fails after a while; nobody knows how long it stays so."""
        left = self.cut_until.get((process.name, way), 0.0) - self.loop.time()
        if left > 0:
            await asyncio.sleep(min(left, 0.5 + self.rng.random()))
            raise TROUBLES[way](f"{what}: cut off")

    def freeze(self, process: Process, seconds: float) -> None:
        """For a while; longer than a session lives, another instance takes over."""
        process.freeze()
        self.loop.call_later(seconds, process.thaw, self.loop, context=OUTSIDE)

    def note(self, kind: str, where: str) -> None:
        """It counts, and is told."""
        self.counts[kind] += 1
        self.say(f"FAULT {kind}: {where}")

    def _note(self, kind: str, process: Process, where: str) -> None:
        self.left = max(0, self.left - 1)
        self.note(kind, f"{process.name}, {where}")


@dataclass
class Way:
    """A process's way to one of the servers."""

    faults: Faults
    process: Process
    to: str

    async def call(self, what: str, do: Callable[[], T]) -> T:
        """The link of the log's clients."""
        await self.faults.before(self.process, self.to, what)
        done = do()
        await self.faults.after(self.process, self.to, what, done)
        return done

    async def before(self, what: str, about: Any = None) -> None:
        await self.faults.before(self.process, self.to, what, about)

    async def after(self, what: str, about: Any = None) -> None:
        await self.faults.after(self.process, self.to, what, about)

    def is_slow(self, at: Any) -> bool:
        return self.faults.is_slow(self.process, at)
