"""`DUNNING_START`: the instant before which nothing that failed opens a case, one for all services (rule 43).

The first `migrate` fixes it. Each service keeps it in its own schema; those that share a database take it from each
other, so that they agree even when they were migrated one at a time.
"""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from dunning.domain.calendar import rfc3339
from dunning.domain.rfc3339 import parse_rfc3339
from dunning.runtime.problem import SCHEMA_MISSING, START_DIFFERS, Problem
from dunning.runtime.service import Connect

FACT = "start"
_LOCK_NAME = "start"
_FIXED = "select value from {schema}.facts where name = 'start'"
_MADE = "select min(recorded_at) from {schema}.facts"


async def fix_start(
    connection: "asyncpg.Connection[asyncpg.Record]",
    wanted: datetime | None,
    schemas: Iterable[str],
    lock_space: int,
) -> datetime:
    """Put the start on file in the connection's schema, the same that the other schemas have; returns it.

    Left out, it is the moment at which the first of these schemas was made. Raises Problem where another one is wanted
    than the one that was fixed.
    """
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1, hashtext($2))", lock_space, _LOCK_NAME)
        there = [schema for schema in schemas if await connection.fetchval(f"select to_regclass('{schema}.facts')")]
        fixed = await fixed_start(connection, there)
        if fixed is None:
            fixed = wanted or min(
                [await connection.fetchval(_MADE.format(schema=schema)) or datetime.now(UTC) for schema in there]
            )
        require_same(wanted, fixed)
        await connection.execute(
            "insert into facts (name, value) values ($1, $2) on conflict (name) do nothing",
            FACT,
            json.dumps(rfc3339(fixed)),
        )
    return fixed


async def fixed_start(connection: "asyncpg.Connection[asyncpg.Record]", schemas: Iterable[str]) -> datetime | None:
    """What one of these schemas has on file already; they agree."""
    for schema in schemas:
        value = await connection.fetchval(_FIXED.format(schema=schema))
        if value is not None:
            return read_start(value)
    return None


def read_start(value: str | bytes) -> datetime:
    """The fact as it is kept."""
    start = parse_rfc3339(json.loads(value))
    assert start is not None, "we wrote it"
    return start


def require_same(wanted: datetime | None, fixed: datetime) -> None:
    """It never moves: a later one would forget debts, an earlier one would turn history into letters."""
    if wanted is not None and wanted != fixed:
        raise Problem(
            START_DIFFERS,
            f"DUNNING_START is {rfc3339(wanted)}, but the first migration fixed {rfc3339(fixed)}, and it never moves: "
            "remove the setting or give that time",
        )


class FixedStart:
    """What a service's decisions ask for the start; read once, for it never moves."""

    name = FACT

    def __init__(self, wanted: datetime | None) -> None:
        """`wanted` is what the settings say; where it is given it must be the one on file."""
        self._wanted = wanted
        self._fixed: datetime | None = None

    def instant(self) -> datetime:
        """Failures before it open no case."""
        assert self._fixed is not None, "read before anything is decided"
        return self._fixed

    async def start(self, connect: Connect) -> None:
        """Read it. Raises Problem where it is missing, or is not the one that the settings say."""
        async with connect() as connection:
            value = await connection.fetchval("select value from facts where name = $1", FACT)
        if value is None:
            raise Problem(SCHEMA_MISSING, "the database does not know DUNNING_START: run `dunning migrate`")
        self._fixed = read_start(value)
        require_same(self._wanted, self._fixed)

    async def run(self, health: Any) -> None:  # noqa: ARG002
        """Nothing to keep up to date."""
        await asyncio.Event().wait()
