"""What a service keeps, as a protocol: one transaction holds offsets, first sightings, accounts, outbox and errands.

Two implementations answer to the same contract tests: `postgres` for real, `dunning.testing.memory` for simulation.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, Protocol, TypeVar

from dunning.domain.account import AccountState
from dunning.domain.decision import Errand
from dunning.runtime.letter_orders import By, Ending, LetterPlace, OrderOnFile, Replay, ReplayOrder

A = TypeVar("A", bound=AccountState[Any])


class Fenced(Exception):
    """Somebody else owns this partition, shard or errand now; whatever was under way must be dropped."""


class StoreUnavailable(Exception):
    """The store cannot be reached or gave up (a time-out, a deadlock, a shutdown).

    Try the turn again: it was rolled back, or it was committed just before the line broke, and its offsets say which.
    """


class TopicPartition(NamedTuple):
    """A partition of a topic, the topic with its prefix."""

    topic: str
    partition: int


class TopicKey(NamedTuple):
    """A topic, with its prefix, and the key of some of its records."""

    topic: str
    key: str


BYTES_UNLIMITED = 2**62


class Verdict(Enum):
    """What the inbox says of a sighting (rule 1)."""

    FIRST = "first"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # same key, but a required field differs


@dataclass(frozen=True, slots=True)
class Owned:
    """A partition that this instance was given: its epoch, and the offset it goes on from."""

    epoch: int
    next_offset: int | None  # None: never read, begin at the beginning of the log


class ReadUpTo(NamedTuple):
    """Everything that the broker had at an instant was read. `stored` is what we know to be stored, if anything."""

    epoch: int
    instant: datetime
    stored: int | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event on its way to Kafka. Rows of one key keep their order."""

    topic: str  # with prefix
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    case_id: str | None  # for the journal: whose story this belongs to
    account_id: str | None


class SharedRow(NamedTuple):
    """State that accounts share, as it is stored. After `kept_until` it decides nothing any more."""

    key: str
    state: bytes
    kept_until: datetime


@dataclass(frozen=True, slots=True)
class PendingRow:
    """An outbox row as the relay reads it."""

    id: int
    row: OutboxRow
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LeasedErrand:
    """An errand in the hands of one worker: what it does after `begin` counts as done at most once."""

    errand: Errand
    token: str
    tries: int
    withdrawn: bool  # should not be begun any more: report it as withdrawn
    begun: bool  # a former worker had begun it and vanished: its outcome is unknown
    refusals: int = 0  # how often the other side said no for the moment


@dataclass(frozen=True, slots=True)
class ForgetBefore:
    """Since when a row must have been closed to be forgotten (rule 9)."""

    cases: datetime  # of an invoice that had a case, or was voided
    invoices: datetime  # of any other


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How much was forgotten in one step; `full` says that there may be more."""

    cases: int = 0
    invoices: int = 0
    accounts: int = 0
    events: int = 0  # of the journal
    full: bool = False

    def counts(self) -> dict[str, int]:
        """By what was forgotten."""
        return {"cases": self.cases, "invoices": self.invoices, "accounts": self.accounts, "events": self.events}


@dataclass(frozen=True, slots=True)
class Walked:
    """A stretch of the walk over a table: what was dropped, and where to go on; 0: from the beginning."""

    dropped: int
    next_place: int


class Transaction(Protocol[A]):
    """One database transaction.

    Locks are taken in this order: offsets or a replay, first sightings by key, accounts by id, shared state by key,
    errands of accounts that are locked. Each kind is taken in one call: whoever comes back for more can deadlock.
    """

    async def now(self) -> datetime:
        """The store's clock, read when first asked and then fixed for the transaction: asked after `load`, an account's
        times never run backwards."""

    @property
    def connection(self) -> Any:
        """The database's own, for what a service keeps there beside its cases (`Guard`)."""

    async def may_act(self, *, hold: bool) -> bool:
        """Whether the service acts on the world (rule 42). With `hold`, it does so until the transaction ends."""

    async def lock_offsets(self, owned: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        """Lock the partitions' rows, in order, by our epochs; returns the stored next offsets. Raises Fenced."""

    async def advance_offsets(self, positions: Mapping[TopicPartition, int]) -> None:
        """Store the next offsets to read, for partitions that were locked in this transaction."""

    async def take_replay(self, but_not: Collection[int] = ()) -> Replay | None:
        """Lock the oldest replay that waits and that no other transaction has in hand; those numbered are left."""

    async def note_replay(self, replay: Replay, ending: Ending) -> None:
        """What became of a replay that was taken in this transaction: with that it is done (rule 5)."""

    async def first_sightings(self, sightings: Sequence[tuple[int, int]]) -> list[Verdict]:
        """Record (key, content) pairs; says of each whether it is new. Repetitions within the call count as seen."""

    async def forget_sightings(self, keys: Sequence[int]) -> None:
        """Take back keys that were first seen in this transaction: what named them had no effect."""

    async def load(self, wanted: Mapping[str, Collection[str]]) -> dict[str, A]:
        """Lock these accounts in order of their ids, new ones included; load their open cases and the named ones."""

    async def closed_with(self, things: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Account and invoice of closed cases that hold something by these ids, given with their accounts."""

    async def save(self, accounts: Iterable[A]) -> None:
        """Write back what `changed` and `touched` name, and forget these marks."""

    async def load_shared(self, keys: Collection[str]) -> dict[str, bytes | None]:
        """Lock state that accounts share, in order of its keys; None: nobody wrote it yet, and it is locked as well."""

    async def save_shared(self, rows: Sequence[SharedRow]) -> None:
        """Write shared state that was loaded in this transaction."""

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Add to the outbox, in order."""

    async def give_errands(self, errands: Sequence[Errand]) -> None:
        """Record errands; one that is already known by its id is not given again."""

    async def withdraw_errands(self, errand_ids: Sequence[str]) -> None:
        """Mark errands that should not be begun any more, and empty their payloads."""

    async def lock_due_accounts(
        self, due_before: datetime, limit: int, but_not: Collection[str] = (), since: datetime | None = None
    ) -> dict[str, list[tuple[str, datetime]]]:
        """Lock up to `limit` accounts that have cases due at or before this instant, oldest first, passing over those
        that another transaction holds or that are named; returns due invoices of each with their due times, oldest
        first, up to `limit` of them. With `since`, only accounts that have one due at that instant or later; of these
        all that is due."""

    async def finish_errand(self, leased: LeasedErrand) -> None:
        """Remove an errand that this lease still holds. Raises Fenced when another worker has it now."""


class Store(Protocol[A]):
    """A service's database schema."""

    @property
    def shards(self) -> int:
        """How many shards the outbox has, numbered from 0: fixed when the schema was made."""

    async def mode(self) -> str:
        """The mode in force, a word of `dunning.runtime.mode.Mode`."""

    async def now(self) -> datetime:
        """The database's clock, or the one given in its place."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction[A]]:
        """Begin; commit at the end of the block, roll back when it raises."""

    async def take_over(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Owned]:
        """Raise the epoch of newly assigned partitions (their row is created), and forget that they were read through:
        whoever had them before can write no more, and nothing due is done until the news is read again (rule 40)."""

    async def note_read_through(self, read: Mapping[TopicPartition, ReadUpTo]) -> set[TopicPartition]:
        """Record for each partition that everything the broker had at an instant was read; returns those for which that
        was recorded. Not where somebody else owns it by now, nor where an older offset is stored than we stored: then
        the database is not the one that we wrote to, and what we read since is to be read again."""

    async def horizon(self, all_partitions: Collection[TopicPartition]) -> datetime | None:
        """The oldest `read through` over all input partitions, or None while one of them has none (rule 40)."""

    async def pending(
        self, shard: int, limit: int, *, bytes_max: int = BYTES_UNLIMITED, but_not: Collection[TopicKey] = ()
    ) -> list[PendingRow]:
        """The oldest outbox rows of a shard, in order, as many as fit into so many bytes (one always does); those of
        some topics and keys may be passed over. While the service does not act, dead letters only (rule 42)."""

    async def shards_pending(self, shards: Collection[int]) -> set[int]:
        """Those of some shards in which something waits that may leave: where `pending`, passing over nothing, would
        find a row."""

    async def outbox_holds(self, rows: int) -> bool:
        """Whether at least so many rows wait for Kafka; not while the service does not act: then they are meant to."""

    async def finish(self, shard: int, row_ids: Collection[int], recorded_until: datetime | None = None) -> None:
        """Move acknowledged rows of one shard from the outbox to the journal; what is gone already is passed over, and
        what was recorded later: a database that was restored gives the same numbers to other rows."""

    async def lease_errands(self, limit: int, lease_seconds: float) -> list[LeasedErrand]:
        """Take due errands that nobody holds, or whose lease ran out; none while the service does not act (rule 42)."""

    async def begin_errand(self, leased: LeasedErrand) -> bool:
        """The last word before the world is touched: False when it was withdrawn, when the lease is lost, and when the
        service does not act any more (rule 42)."""

    async def postpone_errand(
        self, leased: LeasedErrand, due_at: datetime, *, not_before: datetime | None = None, refused: bool = False
    ) -> None:
        """Give an errand back to be tried later: only for what surely had no effect on the world. `not_before` is its
        new due time, up to which the news must be read (rule 40); left out, the former one stands."""

    async def give_replay(self, order: ReplayOrder, by: By) -> int | None:
        """Order a replay; its number, or None where another one of that dead letter waits or has acted."""

    async def give_discard(self, place: LetterPlace, set_aside_for: str, by: By) -> int | None:
        """Note that a dead letter needs nothing; the order's number, or None where a replay waits or has acted."""

    async def orders_on_file(self, places: Collection[LetterPlace]) -> list[OrderOnFile]:
        """All orders for these dead letters, oldest first."""

    async def forget_closed(self, before: ForgetBefore, limit: int) -> Forgotten:
        """Remove up to `limit` rows of invoices that were closed before these instants, with the journal of their
        cases, and accounts of which nothing is left. Never what is open, terminated, due, or out on an errand, and
        nothing of an account that another transaction holds."""

    async def drop_old_sightings(self, seen_before: datetime, place: int) -> Walked:
        """Remove first sightings of before this instant from a part of the table, beginning at a place of it."""

    async def drop_old_shared(self, kept_until_before: datetime, place: int) -> Walked:
        """The same for shared state that decides nothing any more, and for rows that nobody ever wrote. What another
        transaction holds is passed over."""
