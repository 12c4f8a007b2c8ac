"""Where each partition is read: epochs fence off former owners (docs/concepts.md, "Exactly once")."""

from collections.abc import Collection, Mapping
from datetime import datetime

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import Fenced, Owned, ReadUpTo, TopicPartition


async def lock_offsets(connection: Connection, owned: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
    """Lock our rows; a row that is missing in the answer has a new owner."""
    rows = await connection.fetch(QUERIES["lock_offsets"], *_columns(owned), list(owned.values()))
    stored = {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}
    if lost := sorted(owned.keys() - stored.keys()):
        raise Fenced(f"owned by somebody else now: {_names(lost)}")
    return stored


async def advance_offsets(connection: Connection, positions: Mapping[TopicPartition, int]) -> None:
    await connection.execute(QUERIES["advance_offsets"], *_columns(positions), list(positions.values()))


async def take_over(connection: Connection, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Owned]:
    rows = await connection.fetch(QUERIES["take_over"], *_columns(set(partitions)))
    return {
        TopicPartition(row["topic"], row["partition"]): Owned(epoch=row["epoch"], next_offset=row["next_offset"])
        for row in rows
    }


async def note_read_through(connection: Connection, read: Mapping[TopicPartition, ReadUpTo]) -> set[TopicPartition]:
    given = list(read.values())
    rows = await connection.fetch(
        QUERIES["note_read_through"],
        *_columns(read),
        [each.epoch for each in given],
        [each.instant for each in given],
        [each.stored for each in given],
    )
    return {TopicPartition(row["topic"], row["partition"]) for row in rows}


async def horizon(connection: Connection, partitions: Collection[TopicPartition]) -> datetime | None:
    """None also when there are no partitions at all: nobody read anything then."""
    wanted = set(partitions)
    row = await connection.fetchrow(QUERIES["horizon"], *_columns(wanted))
    if row is None or row["known"] < len(wanted):
        return None
    instant: datetime | None = row["instant"]
    return instant


def _columns(partitions: Collection[TopicPartition]) -> tuple[list[str], list[int]]:
    return [each.topic for each in partitions], [each.partition for each in partitions]


def _names(partitions: Collection[TopicPartition]) -> str:
    return ", ".join(f"{topic}[{partition}]" for topic, partition in partitions)
