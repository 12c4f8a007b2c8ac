"""First sightings by business key (rule 1)."""

from collections.abc import Sequence
from datetime import datetime

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import Verdict


async def first_sightings(
    connection: Connection, sightings: Sequence[tuple[int, int]], seen_at: datetime | None
) -> list[Verdict]:
    """Each key goes into the statement once, with the content that came first; the others are compared with it."""
    standing = dict(reversed(sightings))
    rows = await connection.fetch(QUERIES["first_sightings"], list(standing), list(standing.values()), seen_at)
    fresh = {row["key"] for row in rows}
    if len(fresh) < len(standing):
        known = [key for key in standing if key not in fresh]
        standing.update((key, content) for key, content in await connection.fetch(QUERIES["seen_contents"], known))
    return [_verdict(key, content, fresh, standing) for key, content in sightings]


async def forget_sightings(connection: Connection, keys: Sequence[int]) -> None:
    """Take back what this transaction wrote."""
    await connection.execute(QUERIES["forget_sightings"], sorted(keys))


def _verdict(key: int, content: int, fresh: set[int], standing: dict[int, int]) -> Verdict:
    if standing[key] != content:
        return Verdict.CONFLICT
    if key in fresh:
        fresh.discard(key)
        return Verdict.FIRST
    return Verdict.DUPLICATE
