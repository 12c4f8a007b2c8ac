"""The tables and locks of the store in memory."""

import asyncio
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from dunning.domain.decision import Errand
from dunning.runtime.letter_orders import OrderOnFile, Replay
from dunning.runtime.store import OutboxRow, PendingRow, SharedRow, TopicPartition


class Lockable(Enum):
    """Kinds of rows, in the order in which a transaction locks them."""

    OFFSET = 1
    REPLAY = 2
    SIGHTING = 3
    ACCOUNT = 4
    SHARED = 5
    ERRAND = 6


class LockName(NamedTuple):
    """One row that can be locked."""

    kind: Lockable
    key: Any


class Locks:
    """Who holds what. A holder is any object; it may ask again for what it holds."""

    def __init__(self) -> None:
        self._holders: dict[LockName, object] = {}
        self._waiting: dict[LockName, list[asyncio.Future[None]]] = {}

    def is_free(self, name: LockName, holder: object) -> bool:
        """Whether this holder would not have to wait."""
        return self._holders.get(name, holder) is holder

    async def take(self, name: LockName, holder: object) -> None:
        """Wait until it is free, then hold it."""
        while not self.is_free(name, holder):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(name, []).append(turn)
            await turn
        self._holders[name] = holder

    def release(self, names: Iterable[LockName], holder: object) -> None:
        """Everybody who waits looks again: the first to run gets it. What is not held any more is passed over."""
        for name in names:
            if self._holders.get(name) is not holder:
                continue
            del self._holders[name]
            for turn in self._waiting.pop(name, ()):
                if not turn.done():
                    turn.set_result(None)


@dataclass(slots=True)
class OffsetRow:
    """A partition's row."""

    epoch: int = 0
    next_offset: int | None = None
    read_through: datetime | None = None

    def holds(self, stored: int | None) -> bool:
        """Whether what somebody stored is stored here."""
        return stored is None or (self.next_offset is not None and self.next_offset >= stored)


class CaseRow(NamedTuple):
    """A case's row."""

    state: bytes
    is_open: bool
    due_at: datetime | None
    closed_at: datetime | None
    kept_longer: bool


@dataclass(frozen=True, slots=True)
class ErrandRow:
    """An errand's row; `due_at` is when somebody may take it next. Never changed, only replaced."""

    errand: Errand
    due_at: datetime
    state: str = "waiting"
    withdrawn: bool = False
    token: str | None = None
    lease_seconds: float = 0
    tries: int = 0
    refusals: int = 0


class Due(NamedTuple):
    """A case that wants to be woken."""

    due_at: datetime
    account_id: str
    invoice_id: str


class Cases:
    """All cases by account and invoice, and those with a due time in its order."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, CaseRow]] = {}
        self._due: list[Due] = []

    def of(self, account_id: str) -> Mapping[str, CaseRow]:
        """An account's cases by invoice."""
        return self._rows.get(account_id, {})

    def put(self, account_id: str, invoice_id: str, row: CaseRow) -> None:
        """Write a case and keep the order of what is due."""
        cases = self._rows.setdefault(account_id, {})
        former = cases.get(invoice_id)
        if former is not None and former.due_at is not None:
            del self._due[bisect_left(self._due, Due(former.due_at, account_id, invoice_id))]
        if row.due_at is not None:
            insort(self._due, Due(row.due_at, account_id, invoice_id))
        cases[invoice_id] = row

    def closed(self) -> Iterator[tuple[str, str, CaseRow, datetime]]:
        """Rows that are not open, the longest closed first."""
        found = [
            (row.closed_at, account_id, invoice_id, row)
            for account_id, rows in self._rows.items()
            for invoice_id, row in rows.items()
            if row.closed_at is not None
        ]
        for closed_at, account_id, invoice_id, row in sorted(found):
            yield account_id, invoice_id, row, closed_at

    def remove(self, account_id: str, invoice_id: str) -> None:
        """Forget a row that is not due."""
        del self._rows[account_id][invoice_id]

    def due(self, before: datetime) -> Iterator[Due]:
        """What is due at or before this instant, oldest first."""
        for due in self._due:
            if due.due_at > before:
                return
            yield due


@dataclass(slots=True)
class Tables:
    """What is committed."""

    mode: str = "act"
    offsets: dict[TopicPartition, OffsetRow] = field(default_factory=dict)
    inbox: dict[int, int] = field(default_factory=dict)
    seen_at: dict[int, datetime] = field(default_factory=dict)  # of each key in the inbox
    accounts: dict[str, bytes] = field(default_factory=dict)
    shared: dict[str, SharedRow] = field(default_factory=dict)
    cases: Cases = field(default_factory=Cases)
    outbox: list[dict[int, PendingRow]] = field(default_factory=list)
    journal: list[PendingRow] = field(default_factory=list)
    errands: dict[str, ErrandRow] = field(default_factory=dict)
    orders: dict[int, OrderOnFile] = field(default_factory=dict)
    replays: dict[int, Replay] = field(default_factory=dict)  # that wait: the messages of their orders


@dataclass(slots=True)
class Written:
    """What a transaction is going to write."""

    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    inbox: dict[int, int] = field(default_factory=dict)
    accounts: dict[str, bytes] = field(default_factory=dict)
    shared: dict[str, SharedRow] = field(default_factory=dict)
    cases: dict[str, dict[str, CaseRow]] = field(default_factory=dict)
    outbox: list[OutboxRow] = field(default_factory=list)
    errands: dict[str, ErrandRow | None] = field(default_factory=dict)  # None: removed
    orders: dict[int, OrderOnFile] = field(default_factory=dict)  # replays that were taken, with what became of them
