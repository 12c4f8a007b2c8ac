"""State that accounts share, as rows with keys of their own."""

from collections.abc import Collection, Sequence

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import SharedRow


async def load(connection: Connection, keys: Collection[str]) -> dict[str, bytes | None]:
    """New keys first, for they are locked by being written, then the others."""
    wanted = sorted(set(keys))
    created = {row["key"] for row in await connection.fetch(QUERIES["create_shared"], wanted)}
    states: dict[str, bytes | None] = dict.fromkeys(created)
    if known := [key for key in wanted if key not in created]:
        states.update((key, state) for key, state in await connection.fetch(QUERIES["lock_shared"], known))
    return states


async def save(connection: Connection, rows: Sequence[SharedRow]) -> None:
    """All in one statement."""
    await connection.execute(QUERIES["save_shared"], *zip(*rows, strict=True))
