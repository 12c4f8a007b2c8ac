"""Nothing goes out while a service does not act, and a switch is committed before or after an act (rule 42)."""

import asyncio

import asyncpg
import pytest

from dunning.runtime.mode import Mode
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.postgres.modes import present_mode, switch_mode, switches
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import OutboxRow
from dunning.runtime.switch import begin
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount
from tests.contract.kit import ToyStore, a_row, an_errand, given, leased, published

LETTER = OutboxRow("payment.failed.toy.dlq", "acct-1", b"{", (), None, None)
SHARD = shard_of("acct-1", 4)


async def switched(store: ToyStore, to: Mode) -> None:
    if isinstance(store, MemoryStore):
        return store.switch_mode(to.value)
    assert isinstance(store, PostgresStore)
    async with store.connection() as connection, connection.transaction():
        await switch_mode(connection, to, "ada", "a test")
    assert await store.mode() == to
    return None


async def topics_that_leave(store: ToyStore) -> list[str]:
    return [pending.row.topic for pending in await store.pending(SHARD, 10)]


@pytest.mark.parametrize("mode", [Mode.STOP, Mode.OBSERVE])
async def test_what_was_decided_waits_until_the_service_acts_again_and_dead_letters_do_not(
    store: ToyStore, mode: Mode
) -> None:
    await published(store, [a_row("acct-1", "e1"), LETTER, a_row("acct-1", "e2")])
    await switched(store, mode)
    held, waits_for_kafka = await topics_that_leave(store), await store.outbox_holds(3)
    await switched(store, Mode.ACT)

    assert (held, waits_for_kafka) == ([LETTER.topic], False)
    assert await store.outbox_holds(3)
    assert await topics_that_leave(store) == ["dunning.stage.changed", LETTER.topic, "dunning.stage.changed"]


async def test_shards_in_which_all_is_held_back_are_none_in_which_something_waits(store: ToyStore) -> None:
    await published(store, [a_row("acct-1", "e1"), LETTER, a_row("acct-2", "x1")])
    await switched(store, Mode.STOP)

    assert await store.shards_pending(range(4)) == {SHARD}
    await switched(store, Mode.ACT)
    assert await store.shards_pending(range(4)) == {SHARD, shard_of("acct-2", 4)}


async def test_no_errand_is_leased_or_begun_while_the_service_does_not_act(store: ToyStore) -> None:
    await given(store, an_errand("a"), an_errand("b"))
    in_hand = (await store.lease_errands(1, 60))[0]
    await switched(store, Mode.STOP)

    assert not await store.begin_errand(in_hand)
    assert await store.lease_errands(1, 60) == []

    await switched(store, Mode.ACT)
    assert await store.begin_errand(in_hand)
    assert (await leased(store)).errand.errand_id == "b"


async def test_a_transaction_can_tell_whether_the_service_acts(store: ToyStore) -> None:
    await switched(store, Mode.OBSERVE)
    async with store.transaction() as tx:
        assert not await tx.may_act(hold=True)
    await switched(store, Mode.ACT)
    async with store.transaction() as tx:
        assert await tx.may_act(hold=True)


async def test_a_switch_waits_for_whoever_is_about_to_act(pg: PostgresStore[ToyAccount]) -> None:
    async with pg.transaction() as tx:
        assert await tx.may_act(hold=True)
        switching = asyncio.create_task(switched(pg, Mode.STOP))
        done, _ = await asyncio.wait([switching], timeout=0.2)
        assert not done
    await switching

    async with pg.transaction() as tx:
        assert not await tx.may_act(hold=True)


async def test_who_asks_in_the_middle_of_a_switch_hears_the_new_word(pg: PostgresStore[ToyAccount]) -> None:
    await given(pg, an_errand())
    lease = await leased(pg)
    async with pg.connection() as connection, connection.transaction():
        await switch_mode(connection, Mode.STOP, "ada", "")
        beginning = asyncio.create_task(pg.begin_errand(lease))
        done, _ = await asyncio.wait([beginning], timeout=0.2)
        assert not done

    assert not await beginning


async def test_every_switch_is_on_record_and_the_record_cannot_be_changed(pg: PostgresStore[ToyAccount]) -> None:
    async with pg.connection() as connection:
        before = len(await switches(connection, 100))
        assert await present_mode(connection) is None
        assert await begin(connection, "toy", Mode.OBSERVE) is Mode.OBSERVE  # type: ignore[arg-type]
        assert await begin(connection, "toy", Mode.ACT) is Mode.OBSERVE  # type: ignore[arg-type]
        async with connection.transaction():
            await switch_mode(connection, Mode.ACT, "grace", "compared, looks right")
            assert await switch_mode(connection, Mode.ACT, "grace", "twice") is None
        known = await switches(connection, 100)

        assert [(each.from_mode, each.to_mode, each.by, each.reason) for each in known[: len(known) - before]] == [
            (Mode.OBSERVE, Mode.ACT, "grace", "compared, looks right"),
            (None, Mode.OBSERVE, "DUNNING_MODE", "the first start"),
        ]
        for change in ("update mode_switches set by_name = 'nobody'", "delete from mode_switches"):
            with pytest.raises(asyncpg.RaiseError, match="on record"):
                await connection.execute(change)


@pytest.mark.parametrize("mode", [Mode.ACT, Mode.STOP])
async def test_looking_for_what_may_leave_walks_along_an_index(pg: PostgresStore[ToyAccount], mode: Mode) -> None:
    await published(pg, [a_row(f"acct-{number}", "e") for number in range(20_000)])
    await switched(pg, mode)
    async with pg.connection() as connection:
        await connection.execute("analyze outbox")
        explain = f"explain (analyze, costs off, timing off) {QUERIES['pending']}"
        plan = "\n".join(row[0] for row in await connection.fetch(explain, SHARD, 10, 2**40, []))

    assert "Seq Scan on outbox" not in plan, plan
    assert "Sort" not in plan, plan
    assert ("never executed" in plan) == (mode is Mode.STOP), plan


@pytest.mark.parametrize("mode", [Mode.ACT, Mode.STOP])
async def test_asking_where_something_waits_reads_a_row_of_each_shard_at_most(
    pg: PostgresStore[ToyAccount], mode: Mode
) -> None:
    await published(pg, [a_row(f"acct-{number}", "e") for number in range(20_000)])
    await switched(pg, mode)
    async with pg.connection() as connection:
        await connection.execute("analyze outbox")
        explain = f"explain (analyze, costs off, timing off) {QUERIES['shards_pending']}"
        plan = "\n".join(row[0] for row in await connection.fetch(explain, list(range(4))))

    assert "Seq Scan on outbox" not in plan, plan
    assert "Sort" not in plan, plan
    assert plan.count("never executed") == 1, plan
    assert "rows=20000" not in plan, plan
