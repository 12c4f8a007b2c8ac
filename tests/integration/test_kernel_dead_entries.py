"""Timers that fired leave dead entries in their index, and a transaction that stays open keeps all of them there."""

from datetime import UTC, datetime, timedelta

import asyncpg

from dunning.testing.toy import SCHEDULED
from tests.kernel import Kernel

DEAD, LIVE, BATCH = 60_000, 2_000, 50
_CASES = """
with given as (
    select $1 || n as account_id, 'inv-' || n as invoice_id, $2::timestamptz + n * interval '1 millisecond' as due_at
    from generate_series(1, $3::integer) n
), known as (insert into accounts (account_id, state) select account_id, '{"seen": 1}' from given)
insert into cases (account_id, invoice_id, case_id, stage, count, is_open, due_at, state)
select account_id, invoice_id, account_id, $4, 1, true, due_at, jsonb_build_object(
    'invoice_id', invoice_id, 'case_id', account_id, 'stage', $4::text, 'count', 1,
    'due_at', to_char(due_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ')
)
from given
"""
_READ = "select idx_tup_read from pg_stat_user_indexes where indexrelname = 'cases_by_due_at'"


async def test_dead_entries_that_a_held_transaction_keeps_are_not_read_again_for_every_batch(kernel: Kernel) -> None:
    """Reading from the beginning for each of the 40 batches would be more than two million entries."""
    url = kernel.settings.database_url.get_secret_value()
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    holder, other = [await asyncpg.connect(url, server_settings={"search_path": "toy"}) for _ in range(2)]
    try:
        await other.execute(_CASES, "dead-", long_ago, DEAD, SCHEDULED)
        async with holder.transaction(isolation="repeatable_read"):
            await holder.execute("select from cases limit 1")
            await other.execute("update cases set due_at = null")
            await other.execute(_CASES, "live-", long_ago + timedelta(hours=1), LIVE, SCHEDULED)
            await other.execute("analyze cases, accounts")
            before = await other.fetchval(_READ)
            async with kernel.instance(timer_batch_accounts=BATCH):
                found = await kernel.transitions(LIVE)
            read = await other.fetchval(_READ) - before
    finally:
        await holder.close()
        await other.close()

    assert found == {f"live-{number}": [1] for number in range(1, LIVE + 1)}
    assert LIVE <= read < 15 * DEAD
