"""A schema is brought up to date once, by whoever comes first, and never by a file that changed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest

from dunning.contracts.topics import SERVICES
from dunning.domain.calendar import rfc3339
from dunning.domain.rfc3339 import parse_rfc3339
from dunning.runtime.migrate import (
    Migration,
    MigrationError,
    kernel_migrations,
    migrate,
    migrate_with_shadow,
    migrations_of,
)
from dunning.runtime.postgres import PostgresSettings, PostgresStore, SchemaMissing
from dunning.runtime.problem import Problem
from dunning.runtime.start import FixedStart
from dunning.runtime.store import SharedRow
from dunning.testing.toy import migrate_toy, toy_migrations, toy_service
from tests.contract.kit import counted, counts_of
from tests.kernel import eventually

BIRDS = Migration("toy/0001_birds.pre.sql", "pre", "create table birds (name text)")
NESTS = Migration("toy/0002_nests.post.sql", "post", "alter table birds add column nest text not null")
MARCH = "2026-03-01T00:00:00Z"
STATES_AS_JSON = "kernel/0014_states_as_json.pre.sql"
JOURNAL_OF_ACCOUNTS = "kernel/0015_journal_of_accounts.pre.sql"
ONE_HOUR_EAST = timezone(timedelta(hours=1))
BROKEN = Migration("toy/0003_broken.pre.sql", "pre", "create table eggs (n int); create table eggs (n int)")


def with_kernel(*own: Migration) -> list[Migration]:
    return [*kernel_migrations(), *own]


async def asked(url: str, question: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_has_the_kernels_tables_and_its_own_columns(database_url: str, service: str) -> None:
    applied = await migrate(database_url, service)

    assert applied[0] == "kernel/0001_tables.pre.sql"
    assert f"{service}/0001_cases.pre.sql" in applied
    assert await asked(database_url, f"select count(*) from {service}.cases where stage = 'none'") == 0
    assert await asked(database_url, "select count(*) from pg_tables where schemaname = 'public'") == 0


async def test_a_second_time_there_is_nothing_to_do(database_url: str) -> None:
    assert await migrate_toy(database_url) == [
        "kernel/0001_tables.pre.sql",
        "kernel/0002_errand_refusals.pre.sql",
        "kernel/0003_dead_letter_orders.pre.sql",
        "kernel/0004_forgetting.pre.sql",
        "kernel/0010_modes.pre.sql",
        "kernel/0011_shared.pre.sql",
        "kernel/0012_reopening.pre.sql",
        "kernel/0013_offset_moves.pre.sql",
        STATES_AS_JSON,
        JOURNAL_OF_ACCOUNTS,
        "toy/0001_cases.pre.sql",
    ]
    assert await migrate_toy(database_url) == []


async def test_several_at_once_apply_everything_once(database_url: str) -> None:
    applied = await asyncio.gather(*(migrate_toy(database_url) for _ in range(5)))

    assert sorted(len(names) for names in applied) == [0, 0, 0, 0, len(toy_migrations())]


async def test_a_file_that_changed_after_it_was_applied_is_an_error(database_url: str) -> None:
    await migrate(database_url, "toy", migrations=with_kernel(BIRDS))
    changed = replace(BIRDS, sql="create table birds (name text, wings int)")

    with pytest.raises(MigrationError, match=r"toy/0001_birds\.pre\.sql changed"):
        await migrate(database_url, "toy", migrations=with_kernel(changed, NESTS))

    assert await asked(database_url, "select count(*) from toy.migrations where name like '%nests%'") == 0


async def test_the_second_half_waits_until_it_is_asked_for(database_url: str) -> None:
    steps = with_kernel(BIRDS, NESTS)

    assert (await migrate(database_url, "toy", migrations=steps, halves=["pre"]))[-1] == BIRDS.name
    assert await migrate(database_url, "toy", migrations=steps, halves=["pre", "post"]) == [NESTS.name]


async def test_a_step_that_fails_leaves_nothing_of_itself_but_those_before_it(database_url: str) -> None:
    with pytest.raises(MigrationError, match=r"toy/0003_broken\.pre\.sql"):
        await migrate(database_url, "toy", migrations=with_kernel(BIRDS, BROKEN))

    assert await asked(database_url, "select to_regclass('toy.eggs') is null")
    assert await asked(database_url, "select to_regclass('toy.birds') is not null")


async def test_a_step_that_loses_a_deadlock_with_somebody_at_work_is_tried_again(database_url: str) -> None:
    """It has one table and wants another, of somebody who wants the first and is the more patient one."""
    await migrate(database_url, "toy", migrations=with_kernel(BIRDS))
    waits = "select pg_advisory_xact_lock(7)"
    step = replace(NESTS, sql=f"{NESTS.sql}; {waits}; alter table inbox add column note text")
    patient = {"search_path": "toy", "deadlock_timeout": "1min"}
    async with connected(database_url, **patient) as working, connected(database_url) as gate:
        await gate.execute("select pg_advisory_lock(7)")
        migrating = asyncio.create_task(migrate(database_url, "toy", migrations=with_kernel(BIRDS, step)))
        await eventually(lambda: waited_for(database_url, "advisory"), "the step to have its first table")
        async with working.transaction():
            await working.execute("lock table inbox in row exclusive mode")
            wanting = asyncio.create_task(working.execute("lock table birds in row exclusive mode"))
            await eventually(lambda: waited_for(database_url, "relation"), "somebody to want that table")
            await gate.execute("select pg_advisory_unlock(7)")
            await wanting

        assert await migrating == [NESTS.name]


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def waited_for(url: str, kind: str) -> bool:
    """Whether somebody waits for a lock of this kind in this database."""
    here = "database = (select oid from pg_database where datname = current_database())"
    return bool(
        await asked(url, f"select exists (select from pg_locks where not granted and locktype = '{kind}' and {here})")
    )


async def test_an_older_program_does_not_mind_what_a_newer_one_applied(database_url: str) -> None:
    await migrate(database_url, "toy", migrations=with_kernel(BIRDS, NESTS))

    assert await migrate(database_url, "toy", migrations=with_kernel(BIRDS)) == []


TYPES_OF_STATES = """
select array_agg(distinct udt_name::text) from information_schema.columns
where table_schema = 'toy' and column_name = 'state' and table_name in ('accounts', 'cases', 'shared')
"""


def before_json(steps: list[Migration]) -> list[Migration]:
    return [step for step in steps if step.name not in (STATES_AS_JSON, JOURNAL_OF_ACCOUNTS)]


async def test_states_are_json_in_tables_that_nothing_was_read_into(database_url: str) -> None:
    await migrate_toy(database_url)

    assert await asked(database_url, TYPES_OF_STATES) == ["json"]


async def test_tables_with_states_as_jsonb_stay_so_and_are_written_and_read_as_well(database_url: str) -> None:
    await migrate(database_url, "toy", migrations=before_json(toy_migrations()))
    await asked(database_url, "insert into toy.offsets (topic, partition, epoch) values ('payment.failed', 0, 1)")

    assert await migrate_toy(database_url) == [STATES_AS_JSON, JOURNAL_OF_ACCOUNTS]

    assert await asked(database_url, TYPES_OF_STATES) == ["jsonb"]
    await written_and_read(database_url, times_before=0)
    for table in ("accounts", "cases", "shared"):  # as CHANGELOG.md tells
        await asked(database_url, f"alter table toy.{table} alter column state type json")
    assert await asked(database_url, TYPES_OF_STATES) == ["json"]
    await written_and_read(database_url, times_before=2)


async def written_and_read(url: str, *, times_before: int) -> None:
    """States that are new, known, and shared."""
    async with PostgresStore.open(PostgresSettings(url=url), toy_service()) as store:
        for times in (times_before + 1, times_before + 2):
            await counted(store, "acct-1", "inv-1")
            async with store.transaction() as tx:
                await tx.load_shared(["card-1"])
                await tx.save_shared([SharedRow("card-1", f"[{times}]".encode(), datetime.now(UTC))])
            assert await counts_of(store, "acct-1") == {"inv-1": times}
            async with store.transaction() as tx:
                assert await tx.load_shared(["card-1"]) == {"card-1": f"[{times}]".encode()}


async def test_what_observes_takes_its_states_and_its_shards_from_what_it_observes(database_url: str) -> None:
    """The first go of an older version ended before it had made the shadow."""
    await migrate(database_url, "retry_scheduler", migrations=before_json(migrations_of("retry_scheduler")), shards=8)
    read = "insert into retry_scheduler.offsets (topic, partition, epoch) values ('payment.failed', 0, 1)"
    await asked(database_url, read)

    await migrate_with_shadow(database_url, "retry_scheduler")

    types = "select array_agg(udt_name::text) from information_schema.columns where column_name = 'state'"
    assert await asked(database_url, f"{types} and table_name = 'cases'") == ["jsonb", "jsonb"]
    shards = "select value::text from retry_scheduler_observed.facts where name = 'outbox_shards'"
    assert await asked(database_url, shards) == "8"


async def test_the_number_of_shards_is_fixed_by_the_first_time(database_url: str) -> None:
    await migrate_toy(database_url, shards=3)
    await migrate_toy(database_url)
    await migrate_toy(database_url, shards=3)

    with pytest.raises(MigrationError, match="has 3 shards since it was made; it cannot have 5"):
        await migrate_toy(database_url, shards=5)


async def test_there_are_two_shards_unless_a_number_is_given(database_url: str) -> None:
    await migrate_toy(database_url)

    assert await asked(database_url, "select value::int from toy.facts where name = 'outbox_shards'") == 2


@pytest.mark.parametrize("shards", [0, -1, 1025])
async def test_a_number_of_shards_that_cannot_be_is_refused_before_anything_is_made(
    database_url: str, shards: int
) -> None:
    with pytest.raises(MigrationError, match="1 to 1024 shards"):
        await migrate_toy(database_url, shards=shards)

    assert await asked(database_url, "select to_regnamespace('toy') is null")


async def test_a_service_without_migrations_is_an_error_that_names_it(database_url: str) -> None:
    with pytest.raises(MigrationError, match="no_such_service has no migrations"):
        await migrate(database_url, "no_such_service")


async def test_a_service_does_not_take_half_made_tables_for_whole_ones(database_url: str) -> None:
    await migrate_toy(database_url)
    await asked(database_url, "delete from toy.facts returning name")

    with pytest.raises(SchemaMissing, match="dunning migrate"):
        async with PostgresStore.open(PostgresSettings(url=database_url), toy_service()):
            pass


async def test_the_start_is_fixed_once_for_all_services_of_a_database(database_url: str) -> None:
    await migrate(database_url, "account_enforcement", start=datetime(2026, 3, 1, tzinfo=UTC))
    await migrate(database_url, "retry_scheduler")

    assert await starts_of(database_url) == {"account_enforcement": MARCH, "retry_scheduler": MARCH}
    assert await migrate(database_url, "retry_scheduler", start=datetime(2026, 3, 1, 1, tzinfo=ONE_HOUR_EAST)) == []
    with pytest.raises(Problem, match=r"DUNNING_START is 2026-04-01T00:00:00Z, but the first .* 2026-03-01T00:00:00Z"):
        await migrate(database_url, "notification_dispatcher", start=datetime(2026, 4, 1, tzinfo=UTC))


async def test_left_out_the_start_is_the_moment_of_the_first_migration(database_url: str) -> None:
    before = await asked(database_url, "select clock_timestamp()")
    await asyncio.gather(*(migrate(database_url, service) for service in SERVICES))
    after = await asked(database_url, "select clock_timestamp()")

    (start,) = {parse_rfc3339(each) for each in (await starts_of(database_url)).values()}
    assert isinstance(before, datetime)
    assert start is not None
    assert before <= start <= after  # type: ignore[operator]


async def test_a_schema_from_before_there_was_a_start_began_when_it_was_made(database_url: str) -> None:
    await migrate(database_url, "retry_scheduler")
    made = await asked(database_url, "select recorded_at from retry_scheduler.facts where name = 'outbox_shards'")
    await asked(database_url, "delete from retry_scheduler.facts where name = 'start'")

    await migrate(database_url, "account_enforcement")
    await migrate(database_url, "retry_scheduler")

    assert isinstance(made, datetime)
    assert await starts_of(database_url) == dict.fromkeys(["account_enforcement", "retry_scheduler"], rfc3339(made))


async def test_a_service_refuses_another_start_than_the_one_on_file(database_url: str) -> None:
    await migrate_toy(database_url)
    fixed = FixedStart(datetime(2026, 3, 1, tzinfo=UTC))

    async with PostgresStore.open(PostgresSettings(url=database_url), toy_service()) as store:
        with pytest.raises(Problem, match="it never moves"):
            await fixed.start(store.connection)


async def starts_of(url: str) -> dict[str, str]:
    """The fact of every service that has tables."""
    found = {}
    for service in SERVICES:
        if await asked(url, f"select to_regclass('{service}.facts')"):
            found[service] = json.loads(
                str(await asked(url, f"select value from {service}.facts where name = 'start'"))
            )
    return found
