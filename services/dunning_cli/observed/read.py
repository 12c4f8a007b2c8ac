"""Asks the shadows' journals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunning.contracts.topics import (
    ACCOUNT_ENFORCEMENT,
    ACCOUNT_STATUS,
    NOTICE_RESULT,
    NOTIFICATION_DISPATCHER,
    RETRY_REQUESTED,
    RETRY_SCHEDULER,
    SERVICES,
    observed_topic,
)
from dunning.domain.words import AccountStage
from dunning.runtime.mode import observed_schema
from dunning.runtime.postgres.queries import load_queries
from dunning_cli.asking import Connection

QUERIES = load_queries("dunning_cli.observed")
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would have happened. `since` says from when on; a service that never observed is not there."""

    since: dict[str, datetime]
    notices: Rows
    charges: Rows
    restrictions: Rows


async def read_dry_run(connection: Connection, topic_prefix: str, since: datetime | None) -> DryRun:
    """By day of UTC. Without `since`, each service since it was last switched to observe."""
    starts = await _starts(connection, since)

    async def asked(query: str, service: str, topic: str, *more: Any) -> Rows:
        if service not in starts:
            return []
        statement = QUERIES[query].replace("{schema}", observed_schema(service))
        rows = await connection.fetch(statement, topic_prefix + observed_topic(topic), starts[service], *more)
        return [dict(row) for row in rows]

    ranks = [stage.value for stage in AccountStage]
    worse = [stage.value for stage in AccountStage if stage.restricts]
    return DryRun(
        since=starts,
        notices=await asked("notices", NOTIFICATION_DISPATCHER, NOTICE_RESULT),
        charges=await asked("charges", RETRY_SCHEDULER, RETRY_REQUESTED),
        restrictions=await asked("restrictions", ACCOUNT_ENFORCEMENT, ACCOUNT_STATUS, ranks, worse),
    )


async def _starts(connection: Connection, since: datetime | None) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for service in SERVICES:
        if not await connection.fetchval(QUERIES["shadow_is_there"], observed_schema(service)):
            continue
        last = await connection.fetchval(QUERIES["last_observation"].replace("{service}", service))
        if last is not None:
            found[service] = since or last
    return found
