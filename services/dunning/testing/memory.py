"""A store without a database: the same promises, kept by one event loop.

Nothing is written before the transaction commits, and a commit has no `await` in it; so whoever reads sees all of it or
nothing. Locks are held to the end of the transaction, like those of rows. States are kept as bytes, so that no value is
shared between transactions.
"""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate, count, islice
from typing import Any, Generic, TypeVar

from msgspec import structs

from dunning.domain.account import AccountState
from dunning.domain.decision import Errand
from dunning.runtime.letter_orders import By, Ending, LetterPlace, OrderOnFile, Replay, ReplayOrder
from dunning.runtime.service import Repository, Service
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import (
    BYTES_UNLIMITED,
    Fenced,
    ForgetBefore,
    Forgotten,
    LeasedErrand,
    OutboxRow,
    Owned,
    PendingRow,
    ReadUpTo,
    SharedRow,
    TopicKey,
    TopicPartition,
    Verdict,
    Walked,
)
from dunning.testing import memory_forgetting, memory_orders
from dunning.testing.memory_tables import CaseRow, ErrandRow, Lockable, LockName, Locks, OffsetRow, Tables, Written

A = TypeVar("A", bound=AccountState[Any])
Clock = Callable[[], datetime]


class MemoryTransaction(Generic[A]):
    """`dunning.runtime.store.Transaction`: what it writes is set aside until the store takes it over."""

    def __init__(self, tables: Tables, locks: Locks, repository: Repository[A], clock: Clock) -> None:
        self.written = Written()
        self.held: set[LockName] = set()
        self._tables = tables
        self._locks = locks
        self._repository = repository
        self._clock = clock
        self._now: datetime | None = None

    async def now(self) -> datetime:
        if self._now is None:
            self._now = self._clock()
        return self._now

    @property
    def connection(self) -> Any:
        raise NotImplementedError("there is no database here")

    async def may_act(self, *, hold: bool) -> bool:  # noqa: ARG002 - nobody switches in the middle of anything here
        return self._tables.mode == "act"

    async def lock_offsets(self, owned: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        await self._hold(Lockable.OFFSET, owned)
        lost = [each for each in sorted(owned) if self._offsets_row(each).epoch != owned[each]]
        if lost:
            raise Fenced(f"owned by somebody else now: {lost}")
        return {each: self._offsets_row(each).next_offset for each in sorted(owned)}

    async def advance_offsets(self, positions: Mapping[TopicPartition, int]) -> None:
        self.written.offsets.update(positions)

    async def take_replay(self, but_not: Collection[int] = ()) -> Replay | None:
        for order_id, replay in sorted(self._tables.replays.items()):
            if order_id not in but_not and self._locks.is_free(LockName(Lockable.REPLAY, order_id), self):
                await self._hold(Lockable.REPLAY, [order_id])
                return replay
        return None

    async def note_replay(self, replay: Replay, ending: Ending) -> None:
        self.written.orders[replay.order_id] = replace(
            self._tables.orders[replay.order_id],
            outcome=ending.outcome,
            reason=ending.reason,
            detail=ending.detail,
            done_at=await self.now(),
        )

    async def first_sightings(self, sightings: Sequence[tuple[int, int]]) -> list[Verdict]:
        await self._hold(Lockable.SIGHTING, {key for key, _ in sightings})
        return [self._sighting(key, content) for key, content in sightings]

    async def forget_sightings(self, keys: Sequence[int]) -> None:
        for key in keys:
            self.written.inbox.pop(key, None)

    async def load(self, wanted: Mapping[str, Collection[str]]) -> dict[str, A]:
        await self._hold(Lockable.ACCOUNT, wanted)
        return {account_id: self._revive(account_id, wanted[account_id]) for account_id in sorted(wanted)}

    async def closed_with(self, things: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return sorted(
            (account_id, invoice_id)
            for account_id, thing in things
            for invoice_id, row in self._tables.cases.of(account_id).items()
            if not row.is_open and json.dumps(thing, ensure_ascii=False).encode() in row.state
        )

    async def save(self, accounts: Iterable[A]) -> None:
        now = await self.now()
        for account in accounts:
            self._save(account, now)

    async def load_shared(self, keys: Collection[str]) -> dict[str, bytes | None]:
        await self._hold(Lockable.SHARED, set(keys))
        rows = {key: self.written.shared.get(key, self._tables.shared.get(key)) for key in sorted(set(keys))}
        return {key: row.state if row is not None else None for key, row in rows.items()}

    async def save_shared(self, rows: Sequence[SharedRow]) -> None:
        for row in rows:
            if LockName(Lockable.SHARED, row.key) not in self.held:
                raise LookupError(f"shared state {row.key} was not loaded in this transaction, so nobody locked it")
            self.written.shared[row.key] = row

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        self.written.outbox.extend(rows)

    async def give_errands(self, errands: Sequence[Errand]) -> None:
        await self._hold(Lockable.ERRAND, {errand.errand_id for errand in errands})
        for errand in errands:
            if self._errand(errand.errand_id) is None:
                self.written.errands[errand.errand_id] = ErrandRow(errand, due_at=errand.not_before)

    async def withdraw_errands(self, errand_ids: Sequence[str]) -> None:
        now = await self.now()
        await self._hold(Lockable.ERRAND, set(errand_ids))
        for errand_id in errand_ids:
            if row := self._errand(errand_id):
                due_at = min(row.due_at, now) if row.state == "waiting" else row.due_at
                errand = structs.replace(row.errand, payload={})
                self.written.errands[errand_id] = replace(row, errand=errand, withdrawn=True, due_at=due_at)

    async def lock_due_accounts(
        self, due_before: datetime, limit: int, but_not: Collection[str] = (), since: datetime | None = None
    ) -> dict[str, list[tuple[str, datetime]]]:
        rows = list(self._tables.cases.due(due_before))
        locked: list[str] = []
        for due_at, account_id, _ in rows:
            if account_id in but_not or (since is not None and due_at < since):
                continue
            if account_id not in locked:
                if not self._locks.is_free(LockName(Lockable.ACCOUNT, account_id), self):
                    continue
                await self._hold(Lockable.ACCOUNT, [account_id])
            locked.append(account_id)
            if len(locked) == limit:
                break
        due: dict[str, list[tuple[str, datetime]]] = {}
        theirs = set(locked)
        for due_at, account_id, invoice_id in [row for row in rows if row.account_id in theirs][:limit]:
            due.setdefault(account_id, []).append((invoice_id, due_at))
        return due

    async def finish_errand(self, leased: LeasedErrand) -> None:
        await self._hold(Lockable.ERRAND, [leased.errand.errand_id])
        row = self._errand(leased.errand.errand_id)
        if row is None or row.token != leased.token:
            raise Fenced(f"errand {leased.errand.errand_id} is in other hands now")
        self.written.errands[leased.errand.errand_id] = None

    async def _hold(self, kind: Lockable, keys: Collection[Any]) -> None:
        for key in sorted(keys):
            name = LockName(kind, key)
            await self._locks.take(name, self)
            self.held.add(name)

    def _offsets_row(self, partition: TopicPartition) -> OffsetRow:
        return self._tables.offsets.get(partition, OffsetRow())

    def _sighting(self, key: int, content: int) -> Verdict:
        standing = self.written.inbox.get(key, self._tables.inbox.get(key))
        if standing is None:
            self.written.inbox[key] = content
            return Verdict.FIRST
        return Verdict.DUPLICATE if standing == content else Verdict.CONFLICT

    def _revive(self, account_id: str, named: Collection[str]) -> A:
        state = self.written.accounts.get(account_id, self._tables.accounts.get(account_id))
        if state is None:
            return self._repository.new_account(account_id)
        cases = {**self._tables.cases.of(account_id), **self.written.cases.get(account_id, {})}
        wanted = [row.state for invoice_id, row in sorted(cases.items()) if row.is_open or invoice_id in named]
        return self._repository.decode_account(account_id, state, wanted)

    def _save(self, account: A, now: datetime) -> None:
        account_id = account.account_id
        if LockName(Lockable.ACCOUNT, account_id) not in self.held:
            raise LookupError(f"account {account_id} was not loaded in this transaction, so nobody locked it")
        if account.changed or account.touched:
            self.written.accounts[account_id] = self._repository.encode_account(account)
        for invoice_id in account.touched:
            case = account.cases[invoice_id]
            state, closed_at = self._repository.encode_case(account, invoice_id), None if case.is_open else now
            row = CaseRow(state, case.is_open, case.due_at, closed_at, case.kept_longer)
            self.written.cases.setdefault(account_id, {})[invoice_id] = row
        account.changed = False
        account.touched.clear()

    def _errand(self, errand_id: str) -> ErrandRow | None:
        if errand_id in self.written.errands:
            return self.written.errands[errand_id]
        return self._tables.errands.get(errand_id)


class MemoryStore(Generic[A]):
    """`dunning.runtime.store.Store` for one event loop. Several users of one object are instances of one service."""

    def __init__(self, service: Service[A], *, clock: Clock, shards: int = 4) -> None:
        self._repository = service.repository
        self._clock = clock
        self._tables = Tables(outbox=[{} for _ in range(shards)])
        self._locks = Locks()
        self._row_numbers = count(1)
        self._tokens = count(1)

    @property
    def shards(self) -> int:
        return len(self._tables.outbox)

    async def mode(self) -> str:
        return self._tables.mode

    async def now(self) -> datetime:
        return self._clock()

    def switch_mode(self, word: str) -> None:
        """As `dunning mode set` does."""
        self._tables.mode = word

    @property
    def journal(self) -> Sequence[PendingRow]:
        """What was acknowledged and belongs to a story, in the order of acknowledgement."""
        return self._tables.journal

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction[A]]:
        transaction = MemoryTransaction(self._tables, self._locks, self._repository, self._clock)
        try:
            yield transaction
            self._commit(transaction.written, await transaction.now())
        finally:
            self._locks.release(transaction.held, transaction)

    async def take_over(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Owned]:
        async with self._locked(Lockable.OFFSET, partitions):
            return {each: self._raise_epoch(each) for each in sorted(set(partitions))}

    async def note_read_through(self, read: Mapping[TopicPartition, ReadUpTo]) -> set[TopicPartition]:
        noted = set()
        async with self._locked(Lockable.OFFSET, read):
            for partition, given in read.items():
                row = self._tables.offsets.get(partition)
                if row is not None and row.epoch == given.epoch and row.holds(given.stored):
                    row.read_through = max(row.read_through or given.instant, given.instant)
                    noted.add(partition)
        return noted

    async def horizon(self, all_partitions: Collection[TopicPartition]) -> datetime | None:
        rows = [self._tables.offsets.get(each) for each in all_partitions]
        instants = [row.read_through for row in rows if row is not None and row.read_through is not None]
        return min(instants) if instants and len(instants) == len(rows) else None

    async def pending(
        self, shard: int, limit: int, *, bytes_max: int = BYTES_UNLIMITED, but_not: Collection[TopicKey] = ()
    ) -> list[PendingRow]:
        free = (each for each in self._may_leave(shard) if (each.row.topic, each.row.key) not in but_not)
        oldest = list(islice(free, limit))
        sizes = accumulate(_size_of(each.row) for each in oldest)
        return [
            each for place, (each, size) in enumerate(zip(oldest, sizes, strict=True)) if not place or size <= bytes_max
        ]

    async def shards_pending(self, shards: Collection[int]) -> set[int]:
        return {shard for shard in shards if any(self._may_leave(shard))}

    async def outbox_holds(self, rows: int) -> bool:
        return self._tables.mode == "act" and sum(map(len, self._tables.outbox)) >= rows

    async def finish(self, shard: int, row_ids: Collection[int], recorded_until: datetime | None = None) -> None:
        rows = self._tables.outbox[shard]
        for row_id in sorted(row_ids):
            if row_id in rows and recorded_until is not None and rows[row_id].recorded_at > recorded_until:
                continue
            done = rows.pop(row_id, None)
            if done is not None and (done.row.case_id is not None or done.row.account_id is not None):
                self._tables.journal.append(done)

    async def lease_errands(self, limit: int, lease_seconds: float) -> list[LeasedErrand]:
        now = self._clock()
        if self._tables.mode != "act":
            return []
        due = sorted(
            (row.due_at, errand_id)
            for errand_id, row in self._tables.errands.items()
            if row.due_at <= now and self._locks.is_free(LockName(Lockable.ERRAND, errand_id), self)
        )
        leased = [self._lease(errand_id, lease_seconds, now) for _, errand_id in due[:limit]]
        return sorted(leased, key=lambda each: (each.errand.not_before, each.errand.errand_id))

    async def begin_errand(self, leased: LeasedErrand) -> bool:
        errand_id = leased.errand.errand_id
        async with self._locked(Lockable.ERRAND, [errand_id]):
            row, now = self._tables.errands.get(errand_id), self._clock()
            if row is None or row.token != leased.token or row.state != "leased" or row.withdrawn or row.due_at <= now:
                return False
            if self._tables.mode != "act":
                return False
            due_at = now + timedelta(seconds=row.lease_seconds)
            self._tables.errands[errand_id] = replace(row, state="begun", due_at=due_at)
            return True

    async def postpone_errand(
        self, leased: LeasedErrand, due_at: datetime, *, not_before: datetime | None = None, refused: bool = False
    ) -> None:
        errand_id = leased.errand.errand_id
        async with self._locked(Lockable.ERRAND, [errand_id]):
            row = self._tables.errands.get(errand_id)
            if row is None or row.token != leased.token:
                raise Fenced(f"errand {errand_id} is in other hands now")
            self._tables.errands[errand_id] = replace(
                row,
                errand=structs.replace(row.errand, not_before=not_before or row.errand.not_before),
                state="waiting",
                token=None,
                due_at=self._clock() if row.withdrawn else due_at,
                refusals=row.refusals + refused,
            )

    async def give_replay(self, order: ReplayOrder, by: By) -> int | None:
        return memory_orders.give_replay(self._tables, order, by, self._clock())

    async def give_discard(self, place: LetterPlace, set_aside_for: str, by: By) -> int | None:  # noqa: ARG002
        return memory_orders.give_discard(self._tables, place, by, self._clock())

    async def orders_on_file(self, places: Collection[LetterPlace]) -> list[OrderOnFile]:
        return memory_orders.orders_on_file(self._tables, places)

    async def forget_closed(self, before: ForgetBefore, limit: int) -> Forgotten:
        return memory_forgetting.forget_closed(self._tables, self._locks, self._repository, before, limit)

    async def drop_old_sightings(self, seen_before: datetime, place: int) -> Walked:  # noqa: ARG002
        return memory_forgetting.drop_old_sightings(self._tables, seen_before)

    async def drop_old_shared(self, kept_until_before: datetime, place: int) -> Walked:  # noqa: ARG002
        return memory_forgetting.drop_old_shared(self._tables, self._locks, kept_until_before)

    @asynccontextmanager
    async def _locked(self, kind: Lockable, keys: Collection[Any]) -> AsyncIterator[None]:
        """Wait for the transactions that hold these rows."""
        names = [LockName(kind, key) for key in sorted(set(keys))]
        held: list[LockName] = []
        holder = object()
        try:
            for name in names:
                await self._locks.take(name, holder)
                held.append(name)
            yield
        finally:
            self._locks.release(held, holder)

    def _may_leave(self, shard: int) -> Iterator[PendingRow]:
        acts = self._tables.mode == "act"
        return (each for each in self._tables.outbox[shard].values() if acts or _is_letter(each.row))

    def _raise_epoch(self, partition: TopicPartition) -> Owned:
        row = self._tables.offsets.setdefault(partition, OffsetRow())
        row.epoch += 1
        row.read_through = None
        return Owned(row.epoch, row.next_offset)

    def _lease(self, errand_id: str, lease_seconds: float, now: datetime) -> LeasedErrand:
        row = replace(
            self._tables.errands[errand_id],
            due_at=now + timedelta(seconds=lease_seconds),
            token=str(next(self._tokens)),
            lease_seconds=lease_seconds,
        )
        row = replace(row, state="begun" if row.state == "begun" else "leased", tries=row.tries + 1)
        self._tables.errands[errand_id] = row
        assert row.token is not None
        begun = row.state == "begun"
        return LeasedErrand(row.errand, row.token, row.tries, row.withdrawn, begun=begun, refusals=row.refusals)

    def _commit(self, written: Written, now: datetime) -> None:
        for partition, next_offset in written.offsets.items():
            self._tables.offsets[partition].next_offset = next_offset
        self._tables.inbox.update(written.inbox)
        self._tables.seen_at.update(dict.fromkeys(written.inbox, now))
        self._tables.accounts.update(written.accounts)
        self._tables.shared.update(written.shared)
        for account_id, cases in written.cases.items():
            for invoice_id, case in cases.items():
                self._tables.cases.put(account_id, invoice_id, case)
        for row in written.outbox:
            number = next(self._row_numbers)
            self._tables.outbox[shard_of(row.key, self.shards)][number] = PendingRow(number, row, now)
        for order_id, order in written.orders.items():
            self._tables.orders[order_id] = order
            del self._tables.replays[order_id]
        for errand_id, errand in written.errands.items():
            if errand is None:
                self._tables.errands.pop(errand_id, None)
            else:
                self._tables.errands[errand_id] = errand


def _is_letter(row: OutboxRow) -> bool:
    return row.case_id is None and row.account_id is None


def _size_of(row: OutboxRow) -> int:
    """As PostgreSQL reckons, but for a few bytes of the headers."""
    headers = sum(len(name.encode()) + len(value) for name, value in row.headers)
    return len(row.value) + headers + len(row.key.encode())
