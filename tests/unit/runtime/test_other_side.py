"""A mail server that is away is told once, with what it said, and the service stays ready (promise 10)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dunning.domain.decision import Errand, Postpone
from dunning.domain.events import ErrandReport
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.errands import Errands
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.settings import Settings, load_settings
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service
from tests.in_memory import in_no_time, told

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
SETTINGS = load_settings(
    Settings,
    kafka_bootstrap_servers="nowhere:1",
    database_url="postgresql://nowhere",
    errand_pause_seconds_max=20,
    errand_lease_seconds=60,
)
AWAY, LATER = Postpone("smtp_unreachable", 5, refused=False), Postpone("450 4.7.1", 5)
SAID = "nobody takes errands of the kind email (smtp_unreachable): they wait and are tried again  [DUN-R004]"


class World:
    """Errands on a store in memory, in simulated time, and whoever takes them."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.answer: Postpone | str = AWAY
        self.store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=self.now, shards=1)
        self.metrics = Metrics("toy")
        self.health = Health(self.metrics)
        horizon: Any = self
        self.errands: Errands[ToyAccount] = Errands(
            toy_service(),
            self.store,
            self.perform,
            horizon,
            outbox_writer(""),
            settings=SETTINGS,
            clock=DatabaseClock(5, host=self.now, monotonic=self.loop.time),
            metrics=self.metrics,
            health=self.health,
            committed=lambda _: None,
        )

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.loop.time())

    async def get(self) -> datetime:
        """As the horizon does."""
        return self.now()

    async def perform(self, errand: Errand, begin: Any) -> ErrandReport | Postpone:
        if isinstance(self.answer, Postpone):
            return self.answer
        await begin()
        return ErrandReport("event-1", errand.account_id, errand.invoice_id, errand.errand_id, self.answer, self.now())

    async def gives(self, errand_id: str) -> None:
        async with self.store.transaction() as tx:
            await tx.load({"acc-1": ["inv-1"]})
            await tx.give_errands([Errand(errand_id, "acc-1", "inv-1", "email", self.now(), {})])


def played(story: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """A test that tells its story in time that takes none."""

    async def plays() -> None:
        world = World()
        working = asyncio.create_task(world.errands.run())
        await story(world)
        world.errands.stop()
        await working

    return in_no_time(story, plays)


@played
async def test_after_a_minute_it_is_an_alarm_until_somebody_answers(world: World) -> None:
    await world.gives("errand-1")
    await asyncio.sleep(50)
    assert world.health.alarms == {}

    await asyncio.sleep(60)
    assert (world.health.alarms, world.health.troubles) == ({"errands email": SAID}, {})
    assert told(world.metrics, "troubles", code="DUN-R004") == 1

    await asyncio.sleep(600)
    assert told(world.metrics, "alarms_total", code="DUN-R004") == 1

    world.answer = "accepted"
    await asyncio.sleep(30)
    assert (world.health.alarms, told(world.metrics, "troubles", code="DUN-R004")) == ({}, 0)


@played
async def test_one_that_says_later_is_there(world: World) -> None:
    world.answer = LATER
    await world.gives("errand-1")
    await asyncio.sleep(120)

    assert world.health.alarms == {}


@played
async def test_one_that_answers_now_and_then_is_only_busy(world: World) -> None:
    for number in range(10):
        world.answer = AWAY
        await world.gives(f"errand-{number}")
        await asyncio.sleep(30)
        world.answer = "accepted"
        await asyncio.sleep(30)

    assert told(world.metrics, "alarms_total", code="DUN-R004") is None


@played
async def test_it_is_over_too_when_nothing_waits_for_it_any_more(world: World) -> None:
    await world.gives("errand-1")
    await asyncio.sleep(120)
    assert world.health.alarms == {"errands email": SAID}

    async with world.store.transaction() as tx:
        await tx.load({"acc-1": ["inv-1"]})
        await tx.withdraw_errands(["errand-1"])
    await asyncio.sleep(200)

    assert world.health.alarms == {}
