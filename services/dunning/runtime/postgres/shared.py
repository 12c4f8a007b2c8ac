"""State that accounts share, as rows with keys of their own."""

from collections.abc import Collection, Sequence
from datetime import datetime

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import SharedRow, Walked

WALK_BLOCKS = 64  # of 8 KiB


async def load(connection: Connection, keys: Collection[str]) -> dict[str, bytes | None]:
    """New keys first, for they are locked by being written, then the others. What was forgotten between being found and
    being locked is made anew."""
    states: dict[str, bytes | None] = {}
    while wanted := [key for key in sorted(set(keys)) if key not in states]:
        created = {row["key"] for row in await connection.fetch(QUERIES["create_shared"], wanted)}
        states.update(dict.fromkeys(created))
        if known := [key for key in wanted if key not in created]:
            states.update((key, state) for key, state in await connection.fetch(QUERIES["lock_shared"], known))
    return states


async def save(connection: Connection, rows: Sequence[SharedRow]) -> None:
    """All in one statement."""
    await connection.execute(QUERIES["save_shared"], *zip(*rows, strict=True))


async def drop_old(connection: Connection, kept_until_before: datetime, place: int) -> Walked:
    """A stretch of blocks of the table, in the order in which they lie on the disk."""
    blocks: int = await connection.fetchval(QUERIES["shared_blocks"])
    begin, end = (place, 0), (place + WALK_BLOCKS, 0)
    dropped: int = await connection.fetchval(QUERIES["drop_old_shared"], begin, end, kept_until_before)
    return Walked(dropped, place + WALK_BLOCKS if place + WALK_BLOCKS < blocks else 0)
