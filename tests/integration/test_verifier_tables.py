"""The verifier reads the services' real tables, and changes nothing there."""

import json
from datetime import UTC, datetime

import asyncpg
import pytest

from dunning.runtime.migrate import migrate
from dunning_verifier.databases import Errand, Order, Position, Row, Waiting, read_tables
from dunning_verifier.evidence import CannotRead
from dunning_verifier.values import Where

SCHEDULER = "retry_scheduler"
AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
PREFIX = "run."


async def test_what_the_services_keep_is_read(database_url: str) -> None:
    await migrate(database_url, SCHEDULER, start=AT)
    await _fill(database_url)

    tables = await read_tables(database_url, PREFIX)

    assert tables.rows == [Row(SCHEDULER, "acc_1", "in_1", "c-1", "scheduled", True, AT)]
    assert tables.outbox == [Waiting(SCHEDULER, "dunning.stage.changed", "acc_1", "c-1", AT)]
    assert tables.positions == [Position(SCHEDULER, "payment.failed", 2, 7)]
    assert tables.errands == [Errand(SCHEDULER, "e-1", "acc_1", "waiting")]
    letter = Where("payment.failed.retry_scheduler.dlq", 0, 4)
    assert tables.orders == [Order(SCHEDULER, letter, "applied", AT, False)]
    assert tables.starts_at == AT


async def test_a_database_that_holds_nothing_is_an_error(database_url: str) -> None:
    with pytest.raises(CannotRead, match=r"none of retry_scheduler, .* has tables there"):
        await read_tables(database_url)


async def _fill(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"search_path": SCHEDULER})
    try:
        await connection.execute(
            "insert into cases (account_id, invoice_id, state, is_open, due_at, case_id, number, stage) "
            "values ('acc_1', 'in_1', '{}', true, $1, 'c-1', 1, 'scheduled')",
            AT,
        )
        await connection.execute(
            "insert into outbox (shard, topic, key, headers, value, case_id, account_id, recorded_at) "
            "values (0, 'dunning.stage.changed', 'acc_1', '', '', 'c-1', 'acc_1', $1)",
            AT,
        )
        await connection.execute("insert into offsets values ('run.payment.failed', 2, 1, 7, null)")
        await connection.execute(
            "insert into errands (errand_id, account_id, invoice_id, kind, payload, not_before, due_at, given_at) "
            "values ('e-1', 'acc_1', 'in_1', 'notice', $1, $2, $2, $2)",
            json.dumps({}),
            AT,
        )
        await connection.execute(
            "insert into dead_letter_orders (kind, topic, dlq_partition, dlq_offset, set_aside_for, given_by, "
            "given_at, outcome, done_at) "
            "values ('replay', 'payment.failed', 0, 4, 'no_policy', 'anna', $1, 'applied', $1)",
            AT,
        )
    finally:
        await connection.close()
