"""What only PostgreSQL can show: the journal, its constraints, its time limits, and what it cannot hold."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from dunning.runtime.migrate import migrate
from dunning.runtime.postgres import (
    PolicyChanged,
    PostgresSettings,
    PostgresStore,
    SchemaMissing,
    StoredPolicy,
    load_policies,
    save_policy,
)
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import OutboxRow, StoreUnavailable
from dunning.testing.toy import ToyAccount, toy_service
from tests.contract.kit import a_row, all_pending, at, count_up, counted, counts_of, finish, published, taken_over

Store = PostgresStore[ToyAccount]
Statement = Callable[[str], Awaitable[Any]]


@pytest.fixture
async def case_of_retry_scheduler(database_url: str) -> AsyncIterator[Statement]:
    """Changes the one case in a migrated schema of the retry scheduler."""
    await migrate(database_url, "retry_scheduler")
    connection = await asyncpg.connect(database_url, server_settings={"search_path": "retry_scheduler"})
    await connection.execute(
        """insert into cases (account_id, invoice_id, state, is_open, due_at, case_id, number, stage)
           values ('acct-1', 'inv-1', '{}', true, now(), 'case-1', 1, 'scheduled')"""
    )
    yield lambda change: connection.execute(f"update cases set {change}")
    await connection.close()


async def test_the_database_keeps_the_time_unless_a_clock_is_given(pg: Store) -> None:
    async with pg.transaction() as tx, pg.connection() as connection:
        before = await connection.fetchval("select clock_timestamp()")
        now = await tx.now()
        after = await connection.fetchval("select clock_timestamp()")

        assert before < now < after
        assert await tx.now() == now


async def test_an_acknowledged_event_is_in_the_journal_of_its_case(pg: Store) -> None:
    dead_letter = OutboxRow("payment.failed.toy.dlq", "acct-1", b"?", (), None, None)
    await published(pg, [a_row("acct-1", "e1", case_id="case-1"), a_row("acct-1", "e2"), dead_letter])

    await finish(pg, await all_pending(pg))

    async with pg.connection() as connection:
        rows = await connection.fetch("select value, case_id, account_id from journal order by id")
    assert [tuple(row) for row in rows] == [(b"e1", "case-1", "acct-1"), (b"e2", None, "acct-1")]


async def test_the_projections_of_a_case_are_columns(pg: Store) -> None:
    await counted(pg, "acct-1", "inv-1", due_at=at(13))
    await counted(pg, "acct-1", "inv-1", due_at=at(14))

    async with pg.connection() as connection:
        row = await connection.fetchrow("select invoice_id, is_open, due_at, stage, count from cases")
    assert row is not None
    assert tuple(row) == ("inv-1", True, at(14), "scheduled", 2)


async def test_a_state_can_be_asked_for_in_sql(pg: Store) -> None:
    await counted(pg, "acct-1", "inv-1")

    async with pg.connection() as connection:
        assert await connection.fetchval("select state ->> 'stage' from cases") == "scheduled"


async def test_a_character_that_postgres_cannot_hold_is_left_out_of_a_state(pg: Store) -> None:
    async with pg.transaction() as tx:
        account = (await tx.load({"acct-1": ["inv-1"]}))["acct-1"]
        count_up(account, "inv-1")
        account.cases["inv-1"].errand_id = "a\0b\\u0000c\\\0"
        await tx.save([account])

    async with pg.transaction() as tx:
        account = (await tx.load({"acct-1": []}))["acct-1"]
        assert account.cases["inv-1"].errand_id == "ab\\u0000c\\"


async def test_a_lock_that_nobody_lets_go_of_is_a_store_that_is_unavailable(pg: Store, toy_database_url: str) -> None:
    impatient = PostgresSettings(url=toy_database_url, lock_timeout_seconds=0.05)
    async with PostgresStore.open(impatient, toy_service()) as store, store.transaction() as tx:
        await tx.load({"acct-1": []})
        with pytest.raises(StoreUnavailable):
            await counted(store, "acct-1", "inv-1")


async def test_a_transaction_that_hangs_is_ended_by_the_server_and_lets_go_of_its_locks(
    pg: Store, toy_database_url: str
) -> None:
    strict = PostgresSettings(url=toy_database_url, idle_in_transaction_timeout_seconds=0.05)

    async def hang(store: Store) -> None:
        async with store.transaction() as tx:
            await tx.load({"acct-1": []})
            locked.set()
            await counted_by_another.wait()
            await tx.publish([a_row("acct-1", "too late")])

    async with PostgresStore.open(strict, toy_service()) as store:
        locked, counted_by_another = asyncio.Event(), asyncio.Event()
        hanging = asyncio.create_task(hang(store))
        await locked.wait()
        await counted(store, "acct-1", "inv-1")
        counted_by_another.set()
        with pytest.raises(StoreUnavailable):
            await hanging
        assert await counts_of(store, "acct-1") == {"inv-1": 1}
        assert await all_pending(store) == []


async def test_a_session_that_froze_between_two_messages_of_a_statement_is_ended_by_whoever_waits_for_its_locks(
    pg: Store, toy_database_url: str
) -> None:
    """The server's limit does not count there: it takes a session that prepared and did not execute yet for busy."""
    first = await taken_over(pg)
    impatient = PostgresSettings(
        url=toy_database_url, lock_timeout_seconds=0.05, idle_in_transaction_timeout_seconds=0.05
    )
    as_of_a_service = {"application_name": "toy", "search_path": "toy", "idle_in_transaction_session_timeout": "1s"}
    frozen = await asyncpg.connect(toy_database_url, server_settings=as_of_a_service)
    somebody_else = await asyncpg.connect(toy_database_url)
    async with PostgresStore.open(impatient, toy_service()) as store:
        await frozen.execute("begin; select from offsets for update")
        for session in (frozen, somebody_else):
            await session.prepare("select 1")
        await asyncio.sleep(1.2)  # longer than any of them may be idle in a transaction

        with pytest.raises(StoreUnavailable):
            await taken_over(store)

        assert (await taken_over(store)).epoch == first.epoch + 1
        assert await somebody_else.fetchval("select 3") == 3
    frozen.terminate()
    await somebody_else.close()


async def test_connections_that_the_server_cuts_are_replaced(pg: Store, toy_database_url: str) -> None:
    owned = await taken_over(pg)

    async def cut_in_the_middle() -> None:
        async with pg.transaction() as tx:
            await tx.publish([a_row("acct-1", "lost")])
            other = await asyncpg.connect(toy_database_url)
            await other.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                   where application_name = 'toy' and datname = current_database()"""
            )
            await other.close()
            await tx.publish([a_row("acct-1", "lost, too")])

    with pytest.raises(StoreUnavailable):
        await cut_in_the_middle()

    assert (await taken_over(pg)).epoch == owned.epoch + 1
    assert await all_pending(pg) == []


async def test_a_server_that_does_not_answer_is_a_store_that_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="did not finish"):
        async with PostgresStore.open(PostgresSettings(url="postgresql://nobody@127.0.0.1:1/none"), toy_service()):
            pass


async def test_a_database_without_the_tables_says_what_to_do(database_url: str) -> None:
    with pytest.raises(SchemaMissing, match="dunning migrate"):
        async with PostgresStore.open(PostgresSettings(url=database_url), toy_service()):
            pass


def test_the_password_in_the_url_is_not_shown() -> None:
    assert "secret" not in repr(PostgresSettings(url="postgresql://me:secret@db/dunning"))


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("stage = 'requested'", "requested_has_deadline"),
        ("answer_by = now()", "requested_has_deadline"),
        ("stage = 'dunned'", "stage_is_known"),
        ("is_open = false", "closed_has_no_timer"),
        ("case_id = null, number = null", "open_has_a_case"),
        ("amount_minor = 100", "amount_has_a_currency"),
    ],
)
async def test_impossible_cases_are_impossible(case_of_retry_scheduler: Statement, change: str, broken: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=broken):
        await case_of_retry_scheduler(change)


async def test_possible_cases_are_possible(case_of_retry_scheduler: Statement) -> None:
    await case_of_retry_scheduler("stage = 'requested', answer_by = now()")
    await case_of_retry_scheduler("stage = 'recovered', answer_by = null, is_open = false, due_at = null")
    await case_of_retry_scheduler("stage = 'none', case_id = null, number = null")


async def test_a_policy_version_is_on_file_for_ever_and_cannot_change(pg: Store) -> None:
    standard_1 = StoredPolicy("standard", 1, "digest-a", "id: standard")
    standard_2 = StoredPolicy("standard", 2, "digest-b", "id: standard # two")
    async with pg.connection() as connection:
        assert await save_policy(connection, standard_2)
        assert await save_policy(connection, standard_1)
        assert not await save_policy(connection, standard_1)
        with pytest.raises(PolicyChanged, match="policy standard version 1 changed"):
            await save_policy(connection, StoredPolicy("standard", 1, "digest-c", "id: standard"))

        assert await load_policies(connection) == [standard_1, standard_2]


async def test_looking_for_errands_reads_only_what_is_due(pg: PostgresStore[ToyAccount]) -> None:
    async with pg.connection() as connection:
        await connection.execute(
            "insert into errands (errand_id, account_id, invoice_id, kind, payload, not_before, due_at, given_at)"
            " select n::text, 'a', 'i', 'mail', '{}', now(), now() + interval '1 hour', now()"
            " from generate_series(1, 20000) n"
        )
        await connection.execute("analyze errands")
        plan = await connection.fetch(
            f"explain (analyze, costs off, timing off) {QUERIES['lease_errands']}", None, 16, 60
        )

    text = "\n".join(row[0] for row in plan)
    assert "Rows Removed by Filter" not in text, text
