"""One turn's transaction: each step is one statement, or a few."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from dunning.domain.account import AccountState
from dunning.domain.decision import Errand
from dunning.runtime.letter_orders import Ending, Replay
from dunning.runtime.postgres import errands as errand_table
from dunning.runtime.postgres import inbox, letter_orders, modes, offsets, outbox, shared
from dunning.runtime.postgres.accounts import Accounts, CaseTable
from dunning.runtime.postgres.connections import Clock, Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.service import Repository
from dunning.runtime.store import LeasedErrand, OutboxRow, SharedRow, TopicPartition, Verdict

A = TypeVar("A", bound=AccountState[Any])


class PostgresTransaction(Generic[A]):
    """`dunning.runtime.store.Transaction` on one connection."""

    def __init__(
        self, connection: Connection, repository: Repository[A], table: CaseTable, shards: int, clock: Clock | None
    ) -> None:
        self._connection = connection
        self._accounts = Accounts(connection, repository, table)
        self._shards = shards
        self._clock = clock
        self._now: datetime | None = None

    async def now(self) -> datetime:
        if self._now is None:
            self._now = self._clock() if self._clock else await self._connection.fetchval(QUERIES["now"])
        assert self._now is not None
        return self._now

    @property
    def connection(self) -> Connection:
        return self._connection

    async def may_act(self, *, hold: bool) -> bool:
        return await modes.may_act(self._connection, hold=hold)

    async def lock_offsets(self, owned: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        return await offsets.lock_offsets(self._connection, owned)

    async def advance_offsets(self, positions: Mapping[TopicPartition, int]) -> None:
        await offsets.advance_offsets(self._connection, positions)

    async def take_replay(self, but_not: Collection[int] = ()) -> Replay | None:
        return await letter_orders.take_replay(self._connection, list(but_not))

    async def note_replay(self, replay: Replay, ending: Ending) -> None:
        await letter_orders.note_replay(self._connection, replay, ending, await self.now())

    async def first_sightings(self, sightings: Sequence[tuple[int, int]]) -> list[Verdict]:
        if not sightings:
            return []
        seen_at = self._clock() if self._clock else None  # not `now`: that is fixed only once the accounts are locked
        return await inbox.first_sightings(self._connection, sightings, seen_at)

    async def forget_sightings(self, keys: Sequence[int]) -> None:
        if keys:
            await inbox.forget_sightings(self._connection, keys)

    async def load(self, wanted: Mapping[str, Collection[str]]) -> dict[str, A]:
        return await self._accounts.load(wanted) if wanted else {}

    async def closed_with(self, things: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return await self._accounts.closed_with(things) if things else []

    async def save(self, accounts: Iterable[A]) -> None:
        await self._accounts.save(list(accounts), await self.now())

    async def load_shared(self, keys: Collection[str]) -> dict[str, bytes | None]:
        return await shared.load(self._connection, keys) if keys else {}

    async def save_shared(self, rows: Sequence[SharedRow]) -> None:
        if rows:
            await shared.save(self._connection, rows)

    async def publish(self, rows: Sequence[OutboxRow]) -> None:
        if rows:
            await outbox.publish(self._connection, rows, self._shards, await self.now())

    async def give_errands(self, errands: Sequence[Errand]) -> None:
        if errands:
            await errand_table.give(self._connection, errands, await self.now())

    async def withdraw_errands(self, errand_ids: Sequence[str]) -> None:
        if errand_ids:
            await errand_table.withdraw(self._connection, errand_ids, await self.now())

    async def lock_due_accounts(
        self, due_before: datetime, limit: int, but_not: Collection[str] = (), since: datetime | None = None
    ) -> dict[str, list[tuple[str, datetime]]]:
        return await self._accounts.lock_due(due_before, limit, but_not, since)

    async def finish_errand(self, leased: LeasedErrand) -> None:
        await errand_table.finish(self._connection, leased)
