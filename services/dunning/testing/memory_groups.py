"""Consumer groups of the log in memory: who gets which partitions, and when everybody has to ask again.

Members are static, as ours are: one that comes back under its name gets what it had, without a rebalance, and one that
leaves is missed only when its session runs out. A new generation begins when all members asked again, or when those
that did not were given up.
"""

import asyncio
import contextvars
from collections.abc import Collection
from dataclasses import dataclass, field

from dunning.runtime.store import TopicPartition

_NOBODY = contextvars.Context()  # what the broker does belongs to no client


@dataclass(slots=True, eq=False)
class Member:
    """One client of a group, under the name of its instance."""

    name: str
    session_seconds: float
    topics: frozenset[str] = frozenset()
    heard_at: float = 0.0
    generation: int = 0
    joining: "asyncio.Future[list[TopicPartition]] | None" = None


@dataclass(slots=True)
class Group:
    """One group. `asked_again` is true while a new generation is being made."""

    partitions: Collection[TopicPartition]
    members: dict[str, Member] = field(default_factory=dict)
    generation: int = 0
    spread: dict[str, list[TopicPartition]] = field(default_factory=dict)
    rebalancing: bool = False

    def join(self, member: Member) -> "asyncio.Future[list[TopicPartition]]":
        """Ask for partitions; the answer comes with the next generation."""
        loop = asyncio.get_running_loop()
        member.heard_at = loop.time()
        joining = member.joining = loop.create_future()
        known = self.members.get(member.name)
        self.members[member.name] = member
        if known is not None and known is not member and not self.rebalancing and known.topics == member.topics:
            self._answer(member)
        else:
            self.rebalancing = True
            self._go_on()
        return joining

    def beat(self, member: Member) -> bool:
        """A sign of life; says whether the member still has what it was given."""
        if self.members.get(member.name) is not member or member.generation != self.generation:
            return False
        member.heard_at = asyncio.get_running_loop().time()
        return not self.rebalancing

    def _go_on(self) -> None:
        """Begin the next generation if everybody asked, else look again when the first session may have run out."""
        if not self.rebalancing:
            return
        loop = asyncio.get_running_loop()
        missing = [each for each in self.members.values() if each.joining is None]
        for each in missing:
            if loop.time() >= each.heard_at + each.session_seconds:
                del self.members[each.name]
        missing = [each for each in missing if each.name in self.members]
        if missing:
            at = min(each.heard_at + each.session_seconds for each in missing)
            loop.call_at(at, self._go_on, context=_NOBODY)
            return
        self.rebalancing = False
        self.generation += 1
        self._spread()
        for member in self.members.values():
            self._answer(member)

    def give_up_the_silent(self) -> None:
        """Who was not heard of for its session's time is no member any more; the others share what it had."""
        now = asyncio.get_running_loop().time()
        silent = [each for each in self.members.values() if now > each.heard_at + each.session_seconds]
        if silent and not self.rebalancing:
            for each in silent:
                del self.members[each.name]
            self.rebalancing = bool(self.members)
            self._go_on()

    def _spread(self) -> None:
        names = sorted(self.members)
        self.spread = {name: [] for name in names}
        for at in sorted(self.partitions):
            wanting = [name for name in names if at.topic in self.members[name].topics]
            if wanting:
                self.spread[wanting[at.partition % len(wanting)]].append(at)

    def _answer(self, member: Member) -> None:
        member.generation = self.generation
        member.heard_at = asyncio.get_running_loop().time()
        joining, member.joining = member.joining, None
        if joining is not None and not joining.done():
            joining.set_result(list(self.spread.get(member.name, ())))
