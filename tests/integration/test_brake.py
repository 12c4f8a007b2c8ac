"""The brake in a real database: exact over several instances, and shut until somebody opens it (rule 45)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from account_enforcement.brake import Brake, open_brake
from account_enforcement.case import EnforcedAccount
from account_enforcement.service import account_enforcement
from dunning.contracts.topics import ACCOUNT_ENFORCEMENT
from dunning.domain.policy_file import SHIPPED_TEMPLATES
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.migrate import migrate_with_shadow
from dunning.runtime.mode import Mode, observed_schema
from dunning.runtime.observer import shadow_of
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.postgres import PostgresSettings, PostgresStore
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.start import FixedStart
from dunning.runtime.switch import _commit, service_schema
from dunning.runtime.timers import Timers
from dunning.testing.hand_clock import HandClock
from tests.builders import failed, paid
from tests.cli import dunning
from tests.kernel import eventually

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SHADOW = observed_schema(ACCOUNT_ENFORCEMENT)
POLICY = """
id: limits
version: 1
timezone: UTC
retries: {strategy: ladder, after: [1d], window: 28d}
ladder:
  - {rung: limited, at: 0d, account: restricted}
"""


class Instance:
    """One instance of account enforcement, without Kafka: it fires when it is told to."""

    def __init__(self, store: PostgresStore[EnforcedAccount], timers: Timers[EnforcedAccount], brake: Brake) -> None:
        self.store = store
        self.brake = brake
        self._timers = timers

    async def fires(self, at: datetime) -> None:
        """Everything that is due, until there is nothing more."""
        while await self._timers._fire(at, only=None):
            pass
        await self._timers._fire(at, only=None)


@asynccontextmanager
async def instances(
    database_url: str, folder: Path, clock: HandClock, limit: int | None, count: int = 1, *, observing: bool = False
) -> AsyncIterator[Sequence[Instance]]:
    (folder / "limits.yaml").write_text(POLICY)
    await migrate_with_shadow(database_url, ACCOUNT_ENFORCEMENT, start=NOON - timedelta(days=365))
    settings: Any = SimpleNamespace(timer_batch_accounts=4, timer_poll_seconds=1)
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            shelf, start, brake = PolicyShelf(folder, SHIPPED_TEMPLATES), FixedStart(None), Brake(limit)
            service = account_enforcement(shelf, start, brake=brake)
            service, schema = (shadow_of(service), SHADOW) if observing else (service, ACCOUNT_ENFORCEMENT)
            store = await stack.enter_async_context(
                PostgresStore.open(PostgresSettings(url=database_url), service, schema=schema, clock=clock)
            )
            await shelf.start(store.connection)
            await start.start(store.connection)
            metrics = Metrics(ACCOUNT_ENFORCEMENT)
            unused: Any = None
            health = Health(metrics)
            timers = Timers(
                service,
                store,
                unused,
                OutboxBound(store, 1000, health),
                outbox_writer(""),
                settings=settings,
                clock=unused,
                metrics=metrics,
                health=health,
                committed=lambda _: None,
            )
            made.append(Instance(store, timers, brake))
        yield made


async def opens(instance: Instance, at: datetime, *accounts: str) -> None:
    """Each of these accounts fails to pay, so that it is to be restricted at once."""
    async with instance.store.transaction() as tx:
        loaded = await tx.load({account: ["in_1"] for account in accounts})
        for account in accounts:
            event = failed(at.strftime("%Y-%m-%d %H:%M"), account_id=account, customer=None, payment_method=None)
            _decide(instance, loaded[account], event, at)
        await tx.save(loaded.values())


def _decide(instance: Instance, account: EnforcedAccount, event: Any, at: datetime) -> None:
    assert instance._timers._service.decide(account, event, at).rejected is None


async def restricted(instance: Instance) -> list[str]:
    async with instance.store.connection() as connection:
        rows = await connection.fetch("select account_id from cases where stage = 'restricted' order by account_id")
    return [row["account_id"] for row in rows]


async def test_no_more_than_the_limit_and_then_it_stays_shut_until_it_is_opened(
    database_url: str, tmp_path: Path
) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=3) as (one,):
        await opens(one, NOON, *(f"acc_{number:02}" for number in range(10)))
        await one.fires(NOON)
        assert await restricted(one) == ["acc_00", "acc_01", "acc_02"]

        clock.advance(hours=30)  # the window is over, but nobody opened it
        await opens(one, clock(), "acc_99")
        await one.fires(clock())
        async with one.store.connection() as connection:
            standing = await one.brake.standing(connection)
            held_without_a_time = await connection.fetchval("select count(*) from cases where due_at is not null")
            assert await open_brake(connection, "ada", "looked at them") == 8
        assert (await restricted(one), standing.held, held_without_a_time) == (["acc_00", "acc_01", "acc_02"], 8, 0)

        opened_at = datetime.now(UTC) + timedelta(minutes=1)  # the opening is dated by the database itself
        await one.fires(opened_at)
        assert len(await restricted(one)) == 11  # all that waited, and not only three

        clock.advance(days=400)
        await opens(one, clock(), *(f"new_{number}" for number in range(5)))
        await one.fires(clock())
        assert len(await restricted(one)) == 14  # what comes later counts anew


async def test_all_that_waited_when_it_was_opened_go_on_also_where_it_is_shut_anew_before_their_turn(
    database_url: str, tmp_path: Path
) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=1) as (one,):
        await opens(one, NOON, *(f"acc_{number:02}" for number in range(10)))
        await one.fires(NOON)
        async with one.store.connection() as connection:
            assert await open_brake(connection, "ada", "looked at them") == 9
            await connection.execute("update brake set shut_at = clock_timestamp()")
        clock.now = datetime.now(UTC) + timedelta(minutes=1)
        await opens(one, clock(), "new_1")
        await one.fires(clock())

        assert await restricted(one) == [f"acc_{number:02}" for number in range(10)]
        async with one.store.connection() as connection:
            assert (await one.brake.standing(connection)).held == 1


async def test_the_count_is_exact_over_several_instances(database_url: str, tmp_path: Path) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=7, count=3) as several:
        await opens(several[0], NOON, *(f"acc_{number:02}" for number in range(40)))
        await asyncio.gather(*(each.fires(NOON) for each in several))
        await asyncio.gather(*(each.fires(NOON) for each in several))

        assert len(await restricted(several[0])) == 7


async def test_who_pays_while_it_is_shut_is_left_alone_when_it_opens(database_url: str, tmp_path: Path) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=0) as (one,):
        await opens(one, NOON, "acc_1", "acc_2")
        await one.fires(NOON)
        async with one.store.transaction() as tx:
            (account,) = (await tx.load({"acc_1": ["in_1"]})).values()
            _decide(one, account, paid("2026-03-02 13:00", account_id="acc_1"), clock())
            await tx.save([account])
        async with one.store.connection() as connection:
            await open_brake(connection, "ada", "")
        await one.fires(datetime.now(UTC) + timedelta(minutes=1))

        assert await restricted(one) == ["acc_2"]


async def test_a_shadow_shows_what_would_become_of_those_that_wait(database_url: str, tmp_path: Path) -> None:
    """The brake is off in it, and what was held before it was made is no exception (decisions/0009)."""
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=1) as (one,):
        await opens(one, NOON, "acc_1", "acc_2", "acc_3")
        await one.fires(NOON)
        settings = load_settings(Settings, kafka_bootstrap_servers="nobody:1", database_url=database_url)
        async with service_schema(settings, ACCOUNT_ENFORCEMENT) as connection:
            await _commit(connection, ACCOUNT_ENFORCEMENT, Mode.OBSERVE, "ada", "", {})
        async with instances(database_url, tmp_path, clock, limit=1, observing=True) as (shadow,):
            await shadow.fires(NOON)

            assert await restricted(shadow) == ["acc_1", "acc_2", "acc_3"]
        assert await restricted(one) == ["acc_1"]


async def test_nothing_is_released_before_the_news_up_to_the_opening_was_read(
    database_url: str, tmp_path: Path
) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=0) as (one,):
        await opens(one, NOON, "acc_1")
        await one.fires(NOON)
        async with one.store.connection() as connection:
            await open_brake(connection, "ada", "")
        await one.fires(datetime.now(UTC) - timedelta(minutes=1))

        assert await restricted(one) == []


async def test_left_out_the_limit_grows_with_what_is_known_and_with_busy_days(
    database_url: str, tmp_path: Path
) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=None) as (one,):
        async with one.store.connection() as connection:
            await connection.execute(
                "insert into restrictions (account_id, at, counted)"
                " select n::text, $1, true from generate_series(1, 9) n",
                NOON - timedelta(days=3),
            )
        await opens(one, NOON, *(f"acc_{number:02}" for number in range(30)))
        await one.fires(NOON)

        assert len(await restricted(one)) == 27  # three times nine


async def test_what_is_reckoned_from_millions_of_rows_is_not_reckoned_at_every_step(
    database_url: str, tmp_path: Path
) -> None:
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=None) as (one,), one.store.connection() as connection:
        await connection.execute(
            "insert into restrictions (account_id, at, counted) select n::text, $1, true from generate_series(1, 9) n",
            NOON - timedelta(days=3),
        )
        await opens(one, NOON, "acc_1")
        await one.fires(NOON)
        await connection.execute("delete from restrictions where account_id <> 'acc_1'")  # counted once, for good
        clock.advance(hours=2)
        await opens(one, clock(), "acc_2")
        await one.fires(clock())
        assert (await one.brake.standing(connection)).limit == 27

        await connection.execute("update pg_class set reltuples = 200000 where oid = 'accounts'::regclass")
        clock.advance(hours=2)
        await opens(one, clock(), "acc_3")
        await one.fires(clock())
        assert (await one.brake.standing(connection)).limit == 1000


async def test_what_waited_for_the_brake_while_it_was_opened_counts(database_url: str, tmp_path: Path) -> None:
    """Its clock was read before the opening, and the count begins anew with that."""
    async with instances(database_url, tmp_path, HandClock(NOON), limit=3) as (one,):
        async with one.store.connection() as connection:
            await open_brake(connection, "ada", "to begin with")
        await opens(one, NOON, *(f"acc_{number:02}" for number in range(10)))
        await one.fires(NOON)

        assert await restricted(one) == ["acc_00", "acc_01", "acc_02"]


async def _is(true: bool) -> bool:
    return true


async def test_the_alarm_and_the_command_tell_of_it(database_url: str, tmp_path: Path) -> None:
    settings = {
        "DUNNING_DATABASE_URL": database_url,
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DUNNING_MAX_RESTRICTIONS_PER_DAY": "7",  # whoever looks has other settings than the service
    }
    clock = HandClock(NOON)
    async with instances(database_url, tmp_path, clock, limit=1) as (one,):
        await opens(one, NOON, "acc_1", "acc_2", "acc_3")
        await one.fires(NOON)
        health = Health(Metrics(ACCOUNT_ENFORCEMENT))
        watching = asyncio.create_task(one.brake.watch(one.store.connection, health))
        await eventually(lambda: _is(bool(health.alarms)), "the alarm")
        shown = await asyncio.to_thread(dunning, "brake", "show", settings=settings)
        opened = await asyncio.to_thread(dunning, "brake", "open", "--by", "ada", settings=settings)
        await eventually(lambda: _is(not health.alarms), "its end")
        watching.cancel()
        after = await asyncio.to_thread(dunning, "brake", "show", "--format", "json", settings=settings)
        with pytest.raises(asyncpg.RaiseError, match="on record"):
            async with one.store.connection() as connection:
                await connection.execute("delete from brake_record")

    assert health.troubles == {}
    assert health.metrics.alarms.labels("DUN-R031")._value.get() == 1
    assert shown.lines[0].startswith("the brake is shut since 2026-03-02T12:00:00Z")
    assert shown.lines[1] == "newly restricted, suspended or terminated: 0 accounts of 1 within 24 hours"
    assert shown.lines[2] == "waiting: 2 accounts"
    assert opened.lines == ["open: 2 accounts go on"]
    assert [(each["what"], each["by"]) for each in after.json["record"]] == [
        ("opened", "ada"),
        ("shut", "account_enforcement"),
    ]
