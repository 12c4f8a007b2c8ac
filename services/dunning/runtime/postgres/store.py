"""The store of one service in PostgreSQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Generic, TypeVar

import asyncpg

from dunning.domain.account import AccountState
from dunning.runtime.letter_orders import By, LetterPlace, OrderOnFile, ReplayOrder
from dunning.runtime.logs import log_for
from dunning.runtime.mode import Mode
from dunning.runtime.postgres import errands, forgetting, letter_orders, modes, offsets, outbox, shared
from dunning.runtime.postgres.accounts import CaseTable
from dunning.runtime.postgres.connections import Clock, Connection, Pool, driver_errors_translated, open_pool
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.postgres.settings import PostgresSettings
from dunning.runtime.postgres.transaction import PostgresTransaction
from dunning.runtime.service import Repository, Service
from dunning.runtime.store import (
    BYTES_UNLIMITED,
    ForgetBefore,
    Forgotten,
    LeasedErrand,
    Owned,
    PendingRow,
    ReadUpTo,
    StoreUnavailable,
    TopicKey,
    TopicPartition,
    Walked,
)

_CLOSE_SECONDS_MAX = 5
_log = log_for("store")

A = TypeVar("A", bound=AccountState[Any])


class SchemaMissing(Exception):
    """The service's tables are not there."""


class PostgresStore(Generic[A]):
    """`dunning.runtime.store.Store` in the schema of one service. Made by `PostgresStore.open`."""

    def __init__(
        self,
        pool: Pool,
        repository: Repository[A],
        *,
        shards: int,
        acquire_timeout_seconds: float,
        clock: Clock | None,
    ) -> None:
        self._pool = pool
        self._repository = repository
        self._table = CaseTable(repository)
        self._shards = shards
        self._acquire_timeout_seconds = acquire_timeout_seconds
        self._clock = clock
        self._acted = True  # when the mode was last looked at: saves looking for dead letters apart from the rest

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: PostgresSettings, service: Service[A], *, clock: Clock | None = None, schema: str | None = None
    ) -> AsyncIterator["PostgresStore[A]"]:
        """The store while the block lasts. `clock` stands in for the database's, for tests and trials; `schema` is not
        the service's own where a shadow of it observes (rule 42)."""
        pool = await open_pool(settings, schema or service.name)
        try:
            shards = await _shards_of(pool, schema or service.name)
            yield cls(
                pool,
                service.repository,
                shards=shards,
                acquire_timeout_seconds=settings.acquire_timeout_seconds,
                clock=clock,
            )
        finally:
            await _close(pool)

    @property
    def shards(self) -> int:
        return self._shards

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in the service's schema, for what is not part of a turn: policies, metrics, `case show`."""
        try:
            async with self._connection() as connection:
                yield connection
        except StoreUnavailable as error:
            if isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                await self._end_frozen()
            raise

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        with driver_errors_translated():
            async with self._pool.acquire(timeout=self._acquire_timeout_seconds) as connection:
                yield connection

    async def _end_frozen(self) -> None:
        """Whoever waited in vain for a lock tries again; by then no frozen process of this service holds it."""
        with suppress(StoreUnavailable):
            async with self._connection() as connection:
                if ended := await connection.fetchval(QUERIES["end_frozen"]):
                    _log.warning("ended sessions of a frozen process", sessions=ended)

    async def mode(self) -> str:
        async with self.connection() as connection:
            mode = await modes.present_mode(connection) or Mode.ACT
        self._acted = mode is Mode.ACT
        return mode

    async def now(self) -> datetime:
        if self._clock is not None:
            return self._clock()
        async with self.connection() as connection:
            now: datetime = await connection.fetchval(QUERIES["now"])
        return now

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction[A]]:
        async with self.connection() as connection, connection.transaction():
            yield PostgresTransaction(connection, self._repository, self._table, self._shards, self._clock)

    async def take_over(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Owned]:
        async with self.connection() as connection:
            return await offsets.take_over(connection, partitions)

    async def note_read_through(self, read: Mapping[TopicPartition, ReadUpTo]) -> set[TopicPartition]:
        async with self.connection() as connection:
            return await offsets.note_read_through(connection, read)

    async def horizon(self, all_partitions: Collection[TopicPartition]) -> datetime | None:
        async with self.connection() as connection:
            return await offsets.horizon(connection, all_partitions)

    async def pending(
        self, shard: int, limit: int, *, bytes_max: int = BYTES_UNLIMITED, but_not: Collection[TopicKey] = ()
    ) -> list[PendingRow]:
        async with self.connection() as connection:
            rows = await outbox.pending(connection, shard, limit, bytes_max, but_not)
            if not rows and not self._acted:
                rows = await outbox.pending_letters(connection, shard, limit, but_not)
            return rows

    async def shards_pending(self, shards: Collection[int]) -> set[int]:
        async with self.connection() as connection:
            return await outbox.shards_pending(connection, shards)

    async def outbox_holds(self, rows: int) -> bool:
        async with self.connection() as connection:
            return await outbox.holds(connection, rows)

    async def finish(self, shard: int, row_ids: Collection[int], recorded_until: datetime | None = None) -> None:
        async with self.connection() as connection:
            await outbox.finish(connection, shard, row_ids, recorded_until, self._given_now())

    async def lease_errands(self, limit: int, lease_seconds: float) -> list[LeasedErrand]:
        async with self.connection() as connection:
            return await errands.lease(connection, limit, lease_seconds, self._given_now())

    async def begin_errand(self, leased: LeasedErrand) -> bool:
        async with self.connection() as connection:
            return await errands.begin(connection, leased, self._given_now())

    async def postpone_errand(
        self, leased: LeasedErrand, due_at: datetime, *, not_before: datetime | None = None, refused: bool = False
    ) -> None:
        async with self.connection() as connection:
            await errands.postpone(connection, leased, due_at, not_before, self._given_now(), refused=refused)

    async def give_replay(self, order: ReplayOrder, by: By) -> int | None:
        async with self.connection() as connection:
            return await letter_orders.give_replay(connection, order, by, self._given_now())

    async def give_discard(self, place: LetterPlace, set_aside_for: str, by: By) -> int | None:
        async with self.connection() as connection:
            return await letter_orders.give_discard(connection, place, set_aside_for, by, self._given_now())

    async def orders_on_file(self, places: Collection[LetterPlace]) -> list[OrderOnFile]:
        async with self.connection() as connection:
            return await letter_orders.orders_on_file(connection, places)

    async def forget_closed(self, before: ForgetBefore, limit: int) -> Forgotten:
        async with self.connection() as connection, connection.transaction():
            return await forgetting.forget_closed(connection, self._repository, before, limit)

    async def drop_old_sightings(self, seen_before: datetime, place: int) -> Walked:
        async with self.connection() as connection:
            return await forgetting.drop_old_sightings(connection, seen_before, place)

    async def drop_old_shared(self, kept_until_before: datetime, place: int) -> Walked:
        async with self.connection() as connection:
            return await shared.drop_old(connection, kept_until_before, place)

    def _given_now(self) -> datetime | None:
        return self._clock() if self._clock else None


async def _shards_of(pool: Pool, service: str) -> int:
    with driver_errors_translated():
        try:
            facts = {row["name"]: row["value"] for row in await pool.fetch(QUERIES["facts"])}
        except asyncpg.UndefinedTableError as error:
            raise SchemaMissing(f"the tables of {service} are missing: run `dunning migrate`") from error
    if "outbox_shards" not in facts or "start" not in facts:  # the last that a migration writes
        raise SchemaMissing(
            f"the tables of {service} are being made, or were not made to the end: run `dunning migrate`"
        )
    shards: int = json.loads(facts["outbox_shards"])
    return shards


async def _close(pool: Pool) -> None:
    """A connection that hangs is cut: stopping must not take longer than the service may take to stop."""
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_SECONDS_MAX)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # OSError: also the time-out
        pool.terminate()
