"""A log without a broker: topics, transactions, groups' offsets, with the promises of Kafka that the kernel rests on.

Nothing here awaits; who reads and writes over a network is `memory_clients`. What is kept of Kafka's behaviour:
a reader of committed records sees nothing behind an open transaction, and of a transaction all or nothing; the end of
a log counts open transactions and markers; a newer producer of the same id fences the older one off and ends what it
had open; offsets and their notes take effect with the transaction that sends them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dunning.runtime.store import TopicPartition

Headers = Sequence[tuple[str, bytes]]


class OldProducer(Exception):
    """Another producer has this transactional id now, or the broker ended the transaction by itself."""


class Note(NamedTuple):
    """A group's offset in a partition, with its metadata."""

    offset: int
    metadata: str


@dataclass(slots=True, eq=False)
class LogTransaction:
    """What one producer has under way. Partitions belong to it with the first record that it holds there."""

    first: dict[TopicPartition, int] = field(default_factory=dict)
    notes: dict[tuple[str, TopicPartition], Note] = field(default_factory=dict)
    state: str = "open"


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in a log: a record, or the marker that ends a transaction."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    within: LogTransaction | None
    is_marker: bool = False

    @property
    def is_readable(self) -> bool:
        return not self.is_marker and (self.within is None or self.within.state == "committed")


@dataclass(slots=True)
class PartitionLog:
    """One partition's entries; those before `begin` are gone."""

    entries: list[Entry] = field(default_factory=list)
    begin: int = 0
    open: list[LogTransaction] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The high watermark: the offset behind the last entry, committed or not."""
        return len(self.entries)

    def stable_end(self, at: TopicPartition) -> int:
        """Up to where everything is decided."""
        return min((each.first[at] for each in self.open), default=self.end)


@dataclass(slots=True)
class _Transactional:
    """What the broker knows of one transactional id."""

    epoch: int = 0
    under_way: LogTransaction | None = None


class MemoryLog:
    """All topics of one broker."""

    def __init__(self, topics: Mapping[str, int], now_ms: Callable[[], int]) -> None:
        self._logs = {
            TopicPartition(name, number): PartitionLog() for name, count in topics.items() for number in range(count)
        }
        self.partition_counts = dict(topics)
        self._now_ms = now_ms
        self._producers: dict[str, _Transactional] = {}
        self._notes: dict[tuple[str, TopicPartition], Note] = {}
        self._waiting: dict[TopicPartition, dict[Callable[[], None], None]] = {at: {} for at in self._logs}

    # -- reading

    def begin(self, at: TopicPartition) -> int:
        return self._logs[at].begin

    def end(self, at: TopicPartition) -> int:
        """The high watermark."""
        return self._logs[at].end

    def read(self, at: TopicPartition, position: int, limit: int, *, committed: bool) -> tuple[list[Entry], int]:
        """Records from a position on, and where a reader stands after them: behind markers and what was aborted."""
        log = self._logs[at]
        end = log.stable_end(at) if committed and log.open else log.end
        found: list[Entry] = []
        while position < end and len(found) < limit:
            entry = log.entries[position]
            position += 1
            if entry.is_readable or (not committed and not entry.is_marker):
                found.append(entry)
        return found, position

    def records(self, at: TopicPartition) -> list[Entry]:
        """All that a reader of committed records can read now."""
        return self.read(at, self.begin(at), self.end(at), committed=True)[0]

    @property
    def partitions(self) -> Sequence[TopicPartition]:
        return list(self._logs)

    def note(self, group: str, at: TopicPartition) -> Note | None:
        """A group's offset."""
        return self._notes.get((group, at))

    def keep_note(self, group: str, at: TopicPartition, note: Note) -> None:
        """Store a group's offset outside of any transaction."""
        self._notes[group, at] = note

    def listen(self, partitions: Collection[TopicPartition], tell: Callable[[], None]) -> None:
        """Tell whenever something was appended to one of these, a marker too, until nobody listens any more."""
        for at in partitions:
            self._waiting[at][tell] = None

    def listen_no_more(self, partitions: Collection[TopicPartition], tell: Callable[[], None]) -> None:
        """The opposite of `listen`."""
        for at in partitions:
            self._waiting[at].pop(tell, None)

    # -- writing

    def append(
        self,
        at: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
    ) -> int:
        """A record outside of any transaction; returns its offset."""
        return self._append(at, key, value, headers, timestamp_ms, None)

    def new_producer(self, transactional_id: str) -> int:
        """The epoch of a producer, with which it fences off all older ones; what they had open is aborted."""
        known = self._producers.setdefault(transactional_id, _Transactional())
        if known.under_way is not None:
            self._end(known, "aborted")
        known.epoch += 1
        return known.epoch

    def begin_transaction(self, transactional_id: str, epoch: int) -> LogTransaction:
        """Raises OldProducer."""
        known = self._current(transactional_id, epoch)
        known.under_way = LogTransaction()
        return known.under_way

    def send(
        self,
        transactional_id: str,
        epoch: int,
        at: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> int:
        """A record within the transaction under way. Raises OldProducer."""
        under_way = self._under_way(transactional_id, epoch)
        log = self._logs[at]
        if at not in under_way.first:
            under_way.first[at] = log.end
            log.open.append(under_way)
        return self._append(at, key, value, headers, None, under_way)

    def send_note(self, transactional_id: str, epoch: int, group: str, at: TopicPartition, note: Note) -> None:
        """A group's offset, in force when the transaction is committed. Raises OldProducer."""
        self._under_way(transactional_id, epoch).notes[group, at] = note

    def commit(self, transactional_id: str, epoch: int) -> None:
        """Everything of the transaction, at once. Raises OldProducer."""
        self._under_way(transactional_id, epoch)
        self._end(self._producers[transactional_id], "committed")

    def time_out(self, transactional_id: str, transaction: LogTransaction) -> None:
        """The broker ends a transaction that takes too long, and its producer with it."""
        known = self._producers[transactional_id]
        if known.under_way is transaction:
            self._end(known, "aborted")
            known.epoch += 1

    def truncate(self, at: TopicPartition, end: int) -> None:
        """Lose the newest entries, as a broker does that was restored from before."""
        del self._logs[at].entries[end:]

    # -- inside

    def _current(self, transactional_id: str, epoch: int) -> _Transactional:
        known = self._producers[transactional_id]
        if known.epoch != epoch:
            raise OldProducer(transactional_id)
        return known

    def _under_way(self, transactional_id: str, epoch: int) -> LogTransaction:
        under_way = self._current(transactional_id, epoch).under_way
        if under_way is None:
            raise OldProducer(transactional_id)
        return under_way

    def _append(
        self,
        at: TopicPartition,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp_ms: int | None,
        within: LogTransaction | None,
        *,
        is_marker: bool = False,
    ) -> int:
        log = self._logs[at]
        stamp = self._now_ms() if timestamp_ms is None else timestamp_ms
        log.entries.append(Entry(log.end, stamp, key, value, tuple(headers), within, is_marker))
        for tell in list(self._waiting[at]):
            tell()
        return log.end - 1

    def _end(self, known: _Transactional, state: str) -> None:
        under_way, known.under_way = known.under_way, None
        assert under_way is not None
        under_way.state = state
        for at in under_way.first:
            self._logs[at].open.remove(under_way)
            self._append(at, None, None, (), None, under_way, is_marker=True)
        if state == "committed":
            self._notes.update(under_way.notes)
