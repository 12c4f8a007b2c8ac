"""Removing what is old: closed invoices with all that hangs on them, empty accounts, first sightings (rule 9)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.service import Repository
from dunning.runtime.store import ForgetBefore, Forgotten, Walked

WALK_BLOCKS = 64  # of 8 KiB: up to about 10 000 sightings


async def forget_closed(
    connection: Connection, repository: Repository[Any], before: ForgetBefore, limit: int
) -> Forgotten:
    """Within a transaction. The accounts are locked first, so nobody is at work on what goes."""
    locked = await connection.fetch(QUERIES["lock_forgettable"], before.invoices, before.cases, limit)
    accounts = sorted({row["account_id"] for row in locked})
    if not accounts:
        return Forgotten()
    rows = await connection.fetch(QUERIES["forget_cases"], accounts, before.invoices, before.cases, limit)
    stories = [case_id for row in rows for case_id in repository.case_ids(row["account_id"], row["state"])]
    events = await connection.fetchval(QUERIES["forget_events"], stories, accounts, before.cases)
    with_a_case = sum(row["kept_longer"] for row in rows)
    return Forgotten(
        cases=with_a_case,
        invoices=len(rows) - with_a_case,
        accounts=await _forget_accounts(connection, repository, accounts),
        events=events,
        full=len(locked) >= limit and bool(rows),
    )


async def _forget_accounts(connection: Connection, repository: Repository[Any], accounts: Sequence[str]) -> int:
    """Those that have no row left and of which nothing is known: facts, consents and marks stay (rule 12)."""
    left = await connection.fetch(QUERIES["accounts_without_cases"], accounts)
    empty = [account_id for account_id, state in left if is_empty(repository, account_id, state)]
    if empty:
        await connection.execute(QUERIES["forget_accounts"], empty)
    return len(empty)


def is_empty(repository: Repository[Any], account_id: str, state: bytes | None) -> bool:
    """Whether a row says no more than that there is an account."""
    if state is None:
        return True
    known: Any = repository.decode_account(account_id, state, ())
    return bool(known == repository.new_account(account_id))


async def drop_old_sightings(connection: Connection, seen_before: datetime, place: int) -> Walked:
    """A stretch of blocks of the table, in the order in which they lie on the disk."""
    blocks: int = await connection.fetchval(QUERIES["inbox_blocks"])
    begin, end = (place, 0), (place + WALK_BLOCKS, 0)
    dropped: int = await connection.fetchval(QUERIES["drop_old_sightings"], begin, end, seen_before)
    return Walked(dropped, place + WALK_BLOCKS if place + WALK_BLOCKS < blocks else 0)
