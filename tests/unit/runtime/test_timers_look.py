"""How timers look for what is due: from time to time, with pauses after troubles, never again at what stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from dunning.domain.decision import CannotDecideYet, Decision
from dunning.domain.events import Input
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.fold import Outcome
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import StoreUnavailable
from dunning.runtime.timers import Timers
from dunning.testing.memory import MemoryStore, MemoryTransaction
from dunning.testing.toy import ToyAccount, decide, toy_service
from tests.contract.kit import counted
from tests.in_memory import in_no_time, told

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
SETTINGS = load_settings(
    Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere", timer_poll_seconds=1
)


class Odd:
    """The toy's decisions, but for three accounts: of one every wake-up leaves everything as it is, of one none can be
    made, of one none yet, until they are mended.
    """

    mended = False

    def decide(self, account: ToyAccount, event: Input, now: datetime) -> Decision:
        match account.account_id:
            case "acc-idle" if not self.mended:
                return Decision()
            case "acc-bad" if not self.mended:
                raise ZeroDivisionError
            case "acc-new" if not self.mended:
                raise CannotDecideYet("policy small version 3 is not on file here")
            case _:
                return decide(account, event, now)


class World:
    """Timers on a store in memory, in simulated time, with a horizon that is now or away."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.away: list[bool] = []  # at the next looks
        self.looks = 0
        self.outcomes: list[Outcome] = []
        self.odd = Odd()
        service = replace(toy_service(), decide=self.odd.decide)
        self.store: MemoryStore[ToyAccount] = MemoryStore(service, clock=self.now, shards=1)
        self.metrics = Metrics("toy")
        self.health = Health(self.metrics)
        horizon: Any = self
        self.timers: Timers[ToyAccount] = Timers(
            service,
            self.store,
            horizon,
            OutboxBound(self.store, 1000, self.health, monotonic=self.loop.time),
            outbox_writer(""),
            settings=SETTINGS,
            clock=DatabaseClock(5, host=self.now, monotonic=self.loop.time),
            metrics=self.metrics,
            health=self.health,
            committed=self.outcomes.append,
        )

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.loop.time())

    async def get(self) -> datetime:
        """As the horizon does."""
        self.looks += 1
        assert self.looks < 1000, "looks all the time"
        if self.away and self.away.pop(0):
            raise StoreUnavailable("away")
        return self.now()

    async def published(self) -> list[str]:
        """Whose wake-ups were decided, in order."""
        return [pending.row.key for pending in await self.store.pending(0, 10)]

    def told(self, name: str, **labels: str) -> float | None:
        return told(self.metrics, name, **labels)


def played(story: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """A test that tells its story in time that takes none."""

    async def plays() -> None:
        await story(World())

    return in_no_time(story, plays)


async def works(world: World, seconds: float) -> None:
    """For so long; then it is stopped and ends. It may begin again."""
    world.timers._rounds.stopping = False
    working = asyncio.create_task(world.timers.run())
    await asyncio.wait([working], timeout=seconds)
    world.timers.stop()
    await working


@played
async def test_they_look_once_a_second_and_fire_what_has_come_due(world: World) -> None:
    await counted(world.store, "acc-1", "inv-1", due_at=NOON + timedelta(seconds=5))

    await works(world, 10.5)

    assert world.looks == 11
    assert await world.published() == ["acc-1"]
    assert [len(outcome.rows) for outcome in world.outcomes] == [1]
    assert (world.told("timers_fired_total"), world.told("timers_fire_delay_seconds_sum")) == (1, 0)


@played
async def test_what_is_planned_for_now_wakes_them_and_what_is_planned_for_later_does_not(world: World) -> None:
    working = asyncio.create_task(world.timers.run())
    await asyncio.sleep(0.5)
    world.timers.due_by(NOON + timedelta(seconds=0.6))
    world.timers.due_by(None)
    await asyncio.sleep(0.2)
    assert world.looks == 1

    world.timers.due_by(NOON + timedelta(seconds=0.7))
    await asyncio.sleep(0.01)
    assert world.looks == 2
    world.timers.stop()
    await working


@played
async def test_three_troubles_in_a_row_are_told_and_two_never_however_often_they_come(world: World) -> None:
    world.away = [True, True, False] * 5

    await works(world, 20)
    assert (world.told("alarms_total", code="DUN-R003"), world.told("retries_total", what="timers")) == (None, 10)

    world.away = [True, True, True]
    await works(world, 20)
    assert (world.told("alarms_total", code="DUN-R003"), world.health.troubles) == (1, {})


@played
async def test_a_case_that_stays_due_is_told_and_looked_at_again_after_a_minute(world: World) -> None:
    await counted(world.store, "acc-idle", "inv-1", due_at=NOON)
    await counted(world.store, "acc-1", "inv-1", due_at=NOON)

    await works(world, 59.5)
    assert await world.published() == ["acc-1"]
    assert world.told("timers_failed_total") == 1
    said = "the timers of 1 accounts cannot be acted on; the log names them  [DUN-R013]"
    assert world.health.troubles == {"stuck timers": said}

    await works(world, 1.5)
    assert world.told("timers_failed_total") == 2
    assert world.told("alarms_total", code="DUN-R013") == 1

    world.odd.mended = True
    await works(world, 61)
    assert await world.published() == ["acc-1", "acc-idle"]
    assert world.health.troubles == {}


@played
async def test_a_policy_that_is_not_on_file_is_told_as_that_and_not_as_a_database_that_is_away(world: World) -> None:
    await counted(world.store, "acc-new", "inv-1", due_at=NOON)

    await works(world, 20)
    assert world.health.troubles == {"timers": "timers wait: policy small version 3 is not on file here  [DUN-R020]"}


@played
async def test_where_one_account_cannot_be_decided_the_others_are_fired_at_once(world: World) -> None:
    await counted(world.store, "acc-bad", "inv-1", due_at=NOON)
    await counted(world.store, "acc-1", "inv-1", due_at=NOON)

    await works(world, 0.5)

    assert await world.published() == ["acc-1"]
    assert world.told("timers_failed_total") == 1


@played
async def test_what_a_wake_up_plans_for_a_time_gone_by_is_fired_at_once_too(world: World) -> None:
    """The toy wakes up three times, a day apart; it was away for two days."""
    await counted(world.store, "acc-1", "inv-1", due_at=NOON - timedelta(days=2))

    await works(world, 0.5)

    assert await world.published() == ["acc-1"] * 3


@played
async def test_what_was_committed_tells_when_the_first_of_it_wants_to_be_woken(world: World) -> None:
    for account, days in (("acc-1", 2), ("acc-2", 1)):
        await counted(world.store, account, "inv-1", due_at=NOON - timedelta(days=days))

    await works(world, 0)

    assert world.outcomes[0].earliest_due_at == NOON - timedelta(days=1)


@played
async def test_while_there_is_plenty_they_go_on_behind_what_was_just_fired(world: World) -> None:
    """A timer that fired leaves a dead entry behind: to look from the beginning would read them all for every batch."""
    world.timers._settings = SETTINGS.model_copy(update={"timer_batch_accounts": 2})
    for number, account in enumerate(("acc-1", "acc-2", "acc-3", "acc-4", "acc-5")):
        await counted(world.store, account, "inv-1", due_at=NOON - timedelta(seconds=50 - number))
    looked_from: list[datetime | None] = []
    genuine = MemoryTransaction.lock_due_accounts

    async def lock_due_accounts(tx: Any, due: datetime, limit: int, but_not: Any = (), since: Any = None) -> Any:
        looked_from.append(since)
        return await genuine(tx, due, limit, but_not, since)

    with patch.object(MemoryTransaction, "lock_due_accounts", lock_due_accounts):
        await works(world, 0)

    behind_two, behind_four = NOON - timedelta(seconds=49), NOON - timedelta(seconds=47)
    assert looked_from[:3] == [None, behind_two, behind_four]
    assert await world.published() == ["acc-1", "acc-2", "acc-3", "acc-4", "acc-5"]
