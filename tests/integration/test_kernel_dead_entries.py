"""Timers that fired leave dead entries in their index, and a transaction that stays open keeps all of them there."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiokafka import ConsumerRecord

from dunning.testing.toy import SCHEDULED
from tests.faults.sizes import SIZES
from tests.kernel import Kernel

DEAD, LIVE, BATCH = 60_000, SIZES.timers_due, 50
RATE_MIN = 0.5
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


@pytest.mark.timeout(1200)
async def test_dead_entries_that_a_held_transaction_keeps_are_not_read_again_for_every_batch(
    kernel: Kernel, tell: Callable[[object], None]
) -> None:
    """How many timers fire in a second is judged at full size alone, by those that fired before beside nothing."""
    url = kernel.settings.database_url.get_secret_value()
    long_ago = datetime.now(UTC) - timedelta(hours=2)
    holder, other = [await asyncpg.connect(url, server_settings={"search_path": "toy"}) for _ in range(2)]
    try:
        await other.execute(_CASES, "calm-", long_ago, LIVE, SCHEDULED)
        await other.execute("analyze cases, accounts")
        async with kernel.instance(timer_batch_accounts=BATCH):
            calm = await kernel.published(LIVE)

        await other.execute(_CASES, "dead-", long_ago, DEAD, SCHEDULED)
        async with holder.transaction(isolation="repeatable_read"):
            await holder.execute("select from cases limit 1")
            await other.execute("update cases set due_at = null")
            await other.execute(_CASES, "live-", long_ago + timedelta(hours=1), LIVE, SCHEDULED)
            await other.execute("analyze cases, accounts")
            before = await other.fetchval(_READ)
            async with kernel.instance(timer_batch_accounts=BATCH):
                beside = [record for record in await kernel.published(2 * LIVE) if record.key.startswith(b"live-")]
            read = await other.fetchval(_READ) - before
    finally:
        await holder.close()
        await other.close()

    ratio = _per_second(beside) / _per_second(calm)
    tell(f"{LIVE} timers beside {DEAD} dead entries: {read} entries read, {ratio:.2f} times the rate without")
    assert sorted(record.key.decode() for record in beside) == sorted(f"live-{n}" for n in range(1, LIVE + 1))
    assert LIVE <= read < LIVE // BATCH * DEAD / 2  # they are read again once a second
    assert not SIZES.judges_time or ratio >= RATE_MIN


def _per_second(fired: Sequence[ConsumerRecord]) -> float:
    """Between the first and the last that was published."""
    sent: list[int] = [record.timestamp for record in fired]  # milliseconds
    return len(sent) * 1000 / (max(sent) - min(sent))
