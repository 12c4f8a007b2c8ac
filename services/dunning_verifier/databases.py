"""Reads the services' tables, the second witness: what they hold has to be what the topics say. It changes nothing.

Each service has a schema of its own name. All tables of one are read in one read-only snapshot.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from dunning_verifier.clock import instant
from dunning_verifier.evidence import CannotRead
from dunning_verifier.replays import Replay
from dunning_verifier.values import SERVICES, Where

_APPLIED = "applied"


@dataclass(frozen=True, slots=True)
class Row:
    """A case as a service keeps it; its present one, or the last that the invoice had."""

    service: str
    account_id: str
    invoice_id: str
    case_id: str
    stage: str
    is_open: bool
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that was decided and not published."""

    service: str
    topic: str
    account_id: str | None
    case_id: str | None
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a service read a partition; the offset is that of the next record, None before the first."""

    service: str
    topic: str
    partition: int
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class Errand:
    """A notice that is to be sent, or under way."""

    service: str
    errand_id: str
    account_id: str
    state: str


@dataclass(frozen=True, slots=True)
class Order:
    """A replay of a dead letter, and what became of it; None while it waits."""

    service: str
    letter: Where
    outcome: str | None
    at: datetime
    corrected: bool


@dataclass(slots=True)
class Tables:
    """What the services' tables held at one time, all services together."""

    rows: list[Row] = field(default_factory=list)
    outbox: list[Waiting] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    starts_at: datetime | None = None

    @property
    def replays(self) -> list[Replay]:
        """Dead letters whose replay took effect."""
        applied = (order for order in self.orders if order.outcome == _APPLIED)
        return [Replay(order.letter, order.at, order.corrected) for order in applied]


async def read_tables(url: str, prefix: str = "") -> Tables:
    """Of every service that has tables there. Raises CannotRead."""
    try:
        connection = await asyncpg.connect(url)
        try:
            return await _read_all(connection, prefix)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresError) as error:
        raise CannotRead(f"cannot read the services' tables: {error}") from None


async def _read_all(connection: Any, prefix: str) -> Tables:
    tables = Tables()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for service in SERVICES:
            if await connection.fetchval("select to_regclass($1) is not null", f"{service}.outbox"):
                await _read(connection, service, prefix, tables)
    if not tables.positions:
        raise CannotRead(f"none of {', '.join(SERVICES)} has tables there, or none ever ran")
    return tables


async def _read(connection: Any, service: str, prefix: str, tables: Tables) -> None:
    async def rows(columns: str, table: str) -> Iterable[Any]:
        found: Iterable[Any] = await connection.fetch(f"select {columns} from {service}.{table}")
        return found

    cases = "account_id, invoice_id, case_id, stage, is_open, due_at"
    tables.rows += [Row(service, *row) for row in await rows(cases, "cases where case_id is not null")]
    for topic, *rest in await rows("topic, account_id, case_id, recorded_at", "outbox order by shard, id"):
        tables.outbox.append(Waiting(service, topic.removeprefix(prefix), *rest))
    for topic, *rest in await rows("topic, partition, next_offset", "offsets"):
        tables.positions.append(Position(service, topic.removeprefix(prefix), *rest))
    tables.errands += [Errand(service, *row) for row in await rows("errand_id, account_id, state", "errands")]
    replays = "dead_letter_orders where kind = 'replay'"
    for topic, partition, offset, *rest in await rows(
        "topic, dlq_partition, dlq_offset, outcome, coalesce(done_at, given_at), corrected", replays
    ):
        tables.orders.append(Order(service, Where(f"{topic}.{service}.dlq", partition, offset), *rest))
    start = await connection.fetchval(f"select value #>> '{{}}' from {service}.facts where name = 'start'")
    tables.starts_at = instant(start) if start else tables.starts_at
