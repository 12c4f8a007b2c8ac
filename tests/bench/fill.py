"""Filling the retry scheduler's tables with open cases, past the service: by COPY, a few minutes for ten million."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import TypeAlias

import asyncpg

from dunning.contracts.topics import RETRY_SCHEDULER, STAGE_CHANGED
from tests.bench.load import INVOICES_OF_ACCOUNT
from tests.bench.place import Place
from tests.bench.template import COLUMNS_OF, account_lines, template

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_FILLED = (*COLUMNS_OF, "inbox", "journal")
_INDEXES = """
select conname as name, pg_get_constraintdef(oid) as made, true as is_constraint from pg_constraint
where conrelid = $1::regclass and contype = 'p'
union all
select indexrelid::regclass::text, pg_get_indexdef(indexrelid), false from pg_index
where indrelid = $1::regclass and not indisprimary
"""
# A first sighting and a published transition of each case, as far as they concern the cost of the next one: the bytes
# that were published are left out, for of the journal only its indexes are looked at.
_SIGHTINGS = "insert into inbox select hashint8extended(number, 1), 0, now() from generate_series(1, $1::bigint) number"
_TRANSITIONS = f"""
insert into journal
select number - $1::bigint - 1, '{STAGE_CHANGED}', '', '', '', gen_random_uuid()::text, md5(number::text), now(), now()
from generate_series(1, $1::bigint) number
"""


async def fill(place: Place, cases: int, due_at: Callable[[int], datetime]) -> int:
    """Fill empty tables with about so many open cases, three of an account; returns how many there are.

    `due_at` says when the n-th is due, counted from 0 and never going back; the cases of one account lie a third of
    all apart.
    """
    accounts = -(-cases // INVOICES_OF_ACCOUNT)
    connection = await asyncpg.connect(place.database, server_settings={"search_path": RETRY_SCHEDULER})
    try:
        await connection.execute("set maintenance_work_mem = '1GB'")
        indexes = {table: await _without_indexes(connection, table) for table in _FILLED}
        for table, columns in COLUMNS_OF.items():
            lines = account_lines(template(place.policies), table, _dues(accounts, due_at))
            async with connection.transaction():
                await connection.execute(f"truncate {table}")  # made in this transaction, rows may be frozen at once
                await connection.copy_to_table(table, source=_aiter(lines), columns=columns, freeze=True)
        for statement in (_SIGHTINGS, _TRANSITIONS):
            await connection.execute(statement, accounts * INVOICES_OF_ACCOUNT)
        for table, made in indexes.items():
            for statement in made:
                await connection.execute(statement)
            await connection.execute(f"vacuum (analyze) {table}")  # or autovacuum does it while we measure
        await connection.execute("checkpoint")
    finally:
        await connection.close()
    return accounts * INVOICES_OF_ACCOUNT


def _dues(accounts: int, due_at: Callable[[int], datetime]) -> Iterator[tuple[datetime, ...]]:
    for number in range(accounts):
        yield tuple(due_at(place * accounts + number) for place in range(INVOICES_OF_ACCOUNT))


async def _without_indexes(connection: Connection, table: str) -> list[str]:
    """Drop a table's indexes, which grow much faster at one go; returns how to make them again."""
    made = []
    for name, definition, is_constraint in await connection.fetch(_INDEXES, table):
        if is_constraint:
            await connection.execute(f"alter table {table} drop constraint {name}")
            made.append(f"alter table {table} add constraint {name} {definition}")
        else:
            await connection.execute(f"drop index {name}")
            made.append(definition)
    return made


async def _aiter(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    for some in lines:
        yield some
