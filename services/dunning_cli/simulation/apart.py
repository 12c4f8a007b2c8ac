"""Which input lines have nothing to do with each other: they can be simulated apart, and put together by rule 46.

Accounts are independent of each other, but for what is kept across them: the first sightings of events (rule 1), by
business key and by the id of an envelope, and the ledgers of cards, which several accounts may use (rule 18).
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heapreplace

from dunning.contracts.decoded import Readable
from dunning_cli.simulation.lines import InputLine
from retry_scheduler.counting import ledger_named

Name = tuple[str, str | int]


def set_apart(lines: Sequence[InputLine], parts_max: int) -> list[list[InputLine]]:
    """The lines in parts of about one length, none of which can have an effect on another, each in the order given.

    There are fewer parts than asked for where the lines hang together more.
    """
    together = _Together()
    for line in lines:
        first, *others = _names(line)
        for other in others:
            together.join(first, other)
    lengths: dict[Name, int] = {}
    groups = [together.name_of(next(_names(line))) for line in lines]
    for group in groups:
        lengths[group] = lengths.get(group, 0) + 1
    part_of = _shared_out(lengths, parts_max)
    parts: list[list[InputLine]] = [[] for _ in range(parts_max)]
    for line, group in zip(lines, groups, strict=True):
        parts[part_of[group]].append(line)
    return [part for part in parts if part]


def _names(line: InputLine) -> Iterator[Name]:
    """What a line has a part in. Reading a line is a good part of all work, and is left to the processes where it can
    be: the business key of an event holds its account."""
    if line.account_id is None:
        yield from _names_when_read(line)
        return
    yield "account", line.account_id
    if line.method_key:
        yield "ledger", line.method_key


def _names_when_read(line: InputLine) -> Iterator[Name]:
    """The same of one in an envelope, whose id may be that of another account's. One that nobody can read changes
    nothing, so it stands alone."""
    decoded = line.decoded
    if not isinstance(decoded, Readable):
        yield "line", line.number
        return
    yield "account", decoded.input.account_id
    yield from (("sighting", sighting.key) for sighting in decoded.sightings)
    ledger = ledger_named(decoded.input)
    if ledger:
        yield "ledger", ledger


class _Together:
    """Names that hang together, directly or through others: each points to another one of its group, up to the last."""

    def __init__(self) -> None:
        self._next: dict[Name, Name] = {}

    def name_of(self, name: Name) -> Name:
        """The one that stands for the whole group."""
        following = self._next.get(name, name)
        while following != name:
            self._next[name] = beyond = self._next.get(following, following)  # shortens the way for the next who asks
            name, following = following, beyond
        return name

    def join(self, one: Name, other: Name) -> None:
        one, other = self.name_of(one), self.name_of(other)
        if one != other:
            self._next[one] = other


def _shared_out(lengths: dict[Name, int], parts: int) -> dict[Name, int]:
    """The longest group first, each to the part that is shortest by then."""
    so_far = [(0, part) for part in range(parts)]
    heapify(so_far)
    part_of: dict[Name, int] = {}
    for name, length in sorted(lengths.items(), key=lambda item: item[1], reverse=True):
        total, part_of[name] = so_far[0]
        heapreplace(so_far, (total + length, part_of[name]))
    return part_of
