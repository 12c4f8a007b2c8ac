"""Moving the place that a partition is read from, on record: where the log no longer holds what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import TopicPartition


@dataclass(frozen=True, slots=True)
class Move:
    """One move on record. `from_offset` is None where the partition was never read."""

    at: datetime
    tp: TopicPartition
    from_offset: int | None
    to_offset: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a partition is read next, and until when it is known to have been read through."""

    next_offset: int | None
    read_through: datetime | None
    now: datetime


async def stored_offsets(connection: Connection, schema: str) -> dict[TopicPartition, Stored]:
    """Of all partitions that the service of this schema ever read."""
    rows = await connection.fetch(QUERIES["offsets"].replace("{schema}", schema))
    return {
        TopicPartition(row["topic"], row["partition"]): Stored(row["next_offset"], row["read_through"], row["now"])
        for row in rows
    }


async def move_offset(connection: Connection, tp: TopicPartition, to_offset: int, by: str, reason: str) -> Move:
    """From now on the partition is read from there, by whoever reads it. Waits for a turn that has it in hand."""
    async with connection.transaction():
        former = await connection.fetchval(QUERIES["lock_offset"], tp.topic, tp.partition)
        row = await connection.fetchrow(QUERIES["move_offset"], tp.topic, tp.partition, to_offset, former, by, reason)
    assert row is not None, "it returns what it wrote"
    return _move(row)


async def moves(connection: Connection, limit: int) -> Sequence[Move]:
    """The latest ones, newest first."""
    return [_move(row) for row in await connection.fetch(QUERIES["offset_moves"], limit)]


def _move(row: Any) -> Move:
    tp = TopicPartition(row["topic"], row["partition"])
    return Move(row["at"], tp, row["from_offset"], row["to_offset"], row["by_name"], row["reason"])
