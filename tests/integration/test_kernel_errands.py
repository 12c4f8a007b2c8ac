"""Work on the outside world: begun at most once, reported always."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from dunning.domain.decision import Errand, Postpone
from dunning.domain.events import ErrandReport
from dunning.runtime.instance import Instance
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.service import Begin
from dunning.runtime.store import StoreUnavailable, TopicPartition
from dunning.testing.toy import ToyAccount
from tests.kernel import Kernel, eventually

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def accepted(errand: Errand) -> ErrandReport:
    return ErrandReport("event-1", errand.account_id, errand.invoice_id, errand.errand_id, "accepted", NOON)


class World:
    """A world to act on: it notes what reached it."""

    def __init__(self) -> None:
        self.touched: list[str] = []
        self.let_go_on = asyncio.Event()
        self.asked = 0

    async def do_it(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        if await begin():
            self.touched.append(errand.errand_id)
        return accepted(errand)

    async def hang_once_begun(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        await begin()
        self.touched.append(errand.errand_id)
        await asyncio.Event().wait()
        raise AssertionError

    async def fail_once_begun(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        await begin()
        self.touched.append(errand.errand_id)
        raise ConnectionResetError

    async def busy_twice(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        self.asked += 1
        return Postpone("busy", 0.01) if self.asked <= 2 else await self.do_it(errand, begin)

    async def always_busy(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        self.asked += 1
        return Postpone("busy", 0.01)

    async def away(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        self.asked += 1
        return Postpone("away", 0.01, refused=False) if self.asked <= 5 else await self.do_it(errand, begin)

    async def is_preparing(self) -> bool:
        return self.asked == 1

    async def prepare_for_long(self, errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        self.asked += 1
        await self.let_go_on.wait()
        return await self.do_it(errand, begin)


async def an_errand_is_given(kernel: Kernel) -> None:
    """A failure of right now: its timer is not due before tomorrow."""
    await kernel.fails("acc-1", code="toy_errand", failed_at=datetime.now(UTC))


async def reasons(kernel: Kernel, count: int) -> list[str]:
    return [orjson.loads(record.value)["reason"] for record in await kernel.published(count)]


def counted(instance: Instance[ToyAccount], outcome: str) -> float:
    value: float = instance.metrics.errands.labels("toy", outcome)._value.get()
    return value


async def test_an_errand_is_done_and_reported_once(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.do_it) as instance:
        await an_errand_is_given(kernel)

        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert len(world.touched) == 1
        assert counted(instance, "accepted") == 1


async def test_what_was_paid_in_the_last_moment_is_not_begun(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.prepare_for_long) as instance:
        await an_errand_is_given(kernel)
        await eventually(world.is_preparing, "the worker prepares")
        await kernel.succeeds("acc-1")
        await kernel.published(2)
        world.let_go_on.set()

        assert await reasons(kernel, 3) == ["PaymentFailed", "PaymentSucceeded", "ErrandReport"]
        assert counted(instance, "withdrawn") == 1
    assert world.touched == []


async def test_what_a_vanished_worker_had_begun_is_unknown_and_never_begun_again(kernel: Kernel) -> None:
    world = World()
    async with kernel.running(perform=world.hang_once_begun, errand_lease_seconds=1.0):
        await an_errand_is_given(kernel)

        async def begun() -> bool:
            return bool(world.touched)

        await eventually(begun, "the errand is begun")
    async with kernel.instance(perform=world.do_it) as instance:
        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "unknown") == 1
    assert len(world.touched) == 1


async def test_a_worker_that_fails_after_it_began_reports_unknown(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.fail_once_begun) as instance:
        await an_errand_is_given(kernel)

        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "unknown") == 1


async def test_what_reached_nobody_is_tried_again(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.busy_twice, errand_pause_seconds=0.05) as instance:
        await an_errand_is_given(kernel)

        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "accepted") == 1
    assert world.asked == 3


async def test_a_database_that_is_away_for_a_moment_costs_an_errand_no_more_than_that_moment(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease, after which it would be tried again anyway, lasts for six minutes."""
    world, away = World(), iter([StoreUnavailable("away"), StoreUnavailable("away"), None, None])
    postpone = PostgresStore.postpone_errand

    async def postpone_if_there(store: PostgresStore[ToyAccount], *given: Any, **more: Any) -> None:
        if (trouble := next(away)) is not None:
            raise trouble
        await postpone(store, *given, **more)

    monkeypatch.setattr(PostgresStore, "postpone_errand", postpone_if_there)
    async with kernel.instance(perform=world.busy_twice, errand_pause_seconds=0.05):
        await an_errand_is_given(kernel)

        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
    assert len(world.touched) == 1


async def test_after_many_tries_an_errand_has_failed(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.always_busy, errand_pause_seconds=0.05, errand_tries_max=3) as instance:
        await an_errand_is_given(kernel)

        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "failed") == 1
    assert world.asked == 3


async def test_a_provider_that_is_away_is_waited_for(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.away, errand_pause_seconds=0.01, errand_tries_max=3) as instance:
        await an_errand_is_given(kernel)

        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "accepted") == 1
    assert world.asked == 6


async def test_a_worker_that_was_frozen_for_longer_than_its_lease_leaves_the_errand_to_be_done(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.prepare_for_long) as instance:
        await an_errand_is_given(kernel)
        await eventually(world.is_preparing, "the worker prepares")
        async with kernel.store() as store, store.connection() as connection:
            await connection.execute("update errands set due_at = clock_timestamp() - interval '1 second'")
            world.let_go_on.set()
            assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert (counted(instance, "accepted"), counted(instance, "withdrawn")) == (1, 0)
    assert len(world.touched) == 1


async def test_nothing_is_begun_before_the_news_is_read(kernel: Kernel) -> None:
    world = World()
    async with kernel.instance(perform=world.do_it, horizon_age_seconds_max=1.0) as instance:
        await kernel.ready(instance)
        instance.intake.hold([TopicPartition(kernel.topic("payment.succeeded"), 1)])

        async def held() -> bool:
            assert instance.errands is not None
            return await instance.errands.horizon.get() is None

        await eventually(held, "the horizon is too old")
        await an_errand_is_given(kernel)
        await kernel.published(1)
        assert instance.errands is not None
        assert await instance.errands.lease() == []
    assert world.touched == []


async def test_a_stop_gives_back_what_was_leased_only(kernel: Kernel) -> None:
    """The lease would keep it from the next start for six minutes, longer than this test waits."""
    world = World()
    async with kernel.running(perform=world.prepare_for_long) as (instance, task):
        await an_errand_is_given(kernel)
        await eventually(world.is_preparing, "the worker prepares")
        instance.stop()
        await task
    async with kernel.instance(perform=world.do_it) as instance:
        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "accepted") == 1
    assert len(world.touched) == 1


async def test_a_stop_begins_nothing_more(kernel: Kernel) -> None:
    """The worker is ready in the moment of the stop; nobody reads the news any more that it would have to wait for."""
    world = World()
    async with kernel.running(perform=world.prepare_for_long) as (instance, task):
        await an_errand_is_given(kernel)
        await eventually(world.is_preparing, "the worker prepares")
        world.let_go_on.set()
        instance.stop()
        await task
        assert world.touched == []
    async with kernel.instance(perform=world.do_it) as instance:
        assert await reasons(kernel, 2) == ["PaymentFailed", "ErrandReport"]
        assert counted(instance, "accepted") == 1
    assert len(world.touched) == 1
