"""Policy versions on file: what a case pinned can be read for as long as the case uses it."""

from dataclasses import dataclass

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES


class PolicyChanged(Exception):
    """The file says something else than before under the same version: cases that pinned it would change their plan."""


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """One version as it was read. `digest` is of its meaning, `body` is the text to parse again."""

    id: str
    version: int
    digest: str
    body: str


async def save_policy(connection: Connection, policy: StoredPolicy) -> bool:
    """Put a version on file; says whether it is new. Raises PolicyChanged."""
    values = (policy.id, policy.version, policy.digest, policy.body)
    if await connection.fetchval(QUERIES["save_policy"], *values):
        return True
    if await connection.fetchval(QUERIES["policy_digest"], policy.id, policy.version) != policy.digest:
        raise PolicyChanged(f"policy {policy.id} version {policy.version} changed: give the changed one a new version")
    return False


async def policy_versions(connection: Connection) -> set[tuple[str, int]]:
    """Which versions are on file, without what they say."""
    return {(row["id"], row["version"]) for row in await connection.fetch(QUERIES["policy_versions"])}


async def load_policies(connection: Connection) -> list[StoredPolicy]:
    """All versions ever in force here."""
    rows = await connection.fetch(QUERIES["load_policies"])
    return [StoredPolicy(row["id"], row["version"], row["digest"], row["body"]) for row in rows]
