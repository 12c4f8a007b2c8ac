"""Who tells the relays of an instance that there is something to publish: whoever commits it, or one question for all
of its shards that have nothing to do. A whole instance on a broker and a database in memory, in simulated time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.cancelling import cancelled
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.health import Health
from dunning.runtime.instance import Instance
from dunning.runtime.metrics import Metrics
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import PendingRow, StoreUnavailable, TopicPartition
from dunning.testing.memory import MemoryStore
from dunning.testing.memory_clients import DirectLink, MemoryBroker
from dunning.testing.memory_log import MemoryLog
from dunning.testing.toy import TOPICS, ToyAccount, toy_service
from tests.contract.kit import a_row, published
from tests.in_memory import in_no_time
from tests.kernel import failure
from tests.platform.loop import PRESENT, Process

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
CHANGES = TopicPartition("dunning.stage.changed", 0)
ALL_SHARDS = list(range(8))
SETTINGS = load_settings(
    Settings,
    kafka_bootstrap_servers="nowhere:1",
    database_url="postgresql://nowhere",
    outbox_poll_seconds=0.05,
    outbox_batch_rows=2,
)


class Locks:
    """Of all shards but those that another instance has."""

    def __init__(self) -> None:
        self.others: set[int] = set()

    async def acquire(self, shard: int) -> bool:
        return shard not in self.others

    async def holds(self, shard: int) -> bool:
        return shard not in self.others

    async def give_up(self, _: int) -> None:
        raise AssertionError("nobody fences us off")

    async def keep_alive(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


class Outbox(MemoryStore[ToyAccount]):
    """Notes what its outbox is asked; a question may fail or be answered never."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(toy_service(), clock=now, shards=8)
        self.looks: list[int] = []  # at one shard
        self.questions: list[list[int]] = []  # about several
        self.looks_fail = self.questions_fail = self.questions_hang = False

    async def pending(self, shard: int, limit: int, **named: Any) -> list[PendingRow]:
        self.looks.append(shard)
        if self.looks_fail:
            raise StoreUnavailable("away")
        return await super().pending(shard, limit, **named)

    async def shards_pending(self, shards: Collection[int]) -> set[int]:
        self.questions.append(list(shards))
        if self.questions_hang:
            await asyncio.Event().wait()
        if self.questions_fail:
            raise StoreUnavailable("a connection broke")
        return await super().shards_pending(shards)


class World:
    """A running instance that has eight shards."""

    def __init__(self, *, poll_seconds: float = 0.05) -> None:
        self._loop = asyncio.get_running_loop()
        self.store, self.locks = Outbox(self.now), Locks()
        self.log = MemoryLog(dict.fromkeys((*TOPICS, CHANGES.topic), 1), lambda: 0)
        self.clients = MemoryBroker(self.log).clients(DirectLink())
        self.metrics = Metrics("toy")
        self.health = Health(self.metrics)
        self._settings = SETTINGS.model_copy(update={"outbox_poll_seconds": poll_seconds})

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self._loop.time())

    async def run(self) -> None:
        locks: Any = self.locks
        async with BrokerLog(self._settings, TOPICS, self.clients) as log:
            instance = Instance(
                toy_service(),
                self.store,
                log,
                self._settings,
                metrics=self.metrics,
                health=self.health,
                clock=DatabaseClock(5, host=self.now, monotonic=self._loop.time),
                clients=self.clients,
                locks=locks,
            )
            await instance.run()

    async def goes_on(self, seconds: float) -> None:
        """For so long; what was asked before is forgotten."""
        self.store.looks.clear()
        self.store.questions.clear()
        await asyncio.sleep(seconds)

    async def another_commits(self, *values: str) -> None:
        """Rows, each `key value`, of which this instance hears nothing."""
        await published(self.store, [a_row(*value.split()) for value in values])

    def out(self) -> list[str]:
        return [(entry.value or b"").decode() for entry in self.log.records(CHANGES)]


def played(story: Callable[[World], Awaitable[None]], *, poll_seconds: float = 0.05) -> Callable[[], None]:
    """A test that tells its story of an instance that has just started, in time that takes none."""

    async def plays() -> None:
        PRESENT.set(Process("toy one"))
        world = World(poll_seconds=poll_seconds)
        running = asyncio.create_task(world.run())
        try:
            await asyncio.sleep(4.02)  # by then its lanes have heard of their partitions
            assert world.health.troubles == {}
            await story(world)
            assert not running.done()
        finally:
            await cancelled(running)

    return in_no_time(story, plays)


def seldom(story: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """The same for one that asks once an hour."""
    return played(story, poll_seconds=3600)


@played
async def test_an_idle_instance_asks_one_question_for_all_its_shards_every_fiftieth_of_a_second(world: World) -> None:
    await world.goes_on(10)

    assert {tuple(question) for question in world.store.questions} == {(0, 1, 2, 3, 4, 5, 6, 7)}
    assert len(world.store.questions) in {199, 200, 201}
    assert sorted(world.store.looks) == sorted(ALL_SHARDS * 2)  # each by itself, once in five seconds


@played
async def test_what_another_instance_commits_goes_out_with_the_next_question_and_no_other_shard_is_looked_at(
    world: World,
) -> None:
    assert (shard_of("a", 8), shard_of("b", 8)) == (3, 1)
    await world.goes_on(0)
    await world.another_commits("a a1", "b b1", "a a2", "a a3")
    await world.goes_on(0.06)

    assert sorted(world.out()) == ["a1", "a2", "a3", "b1"]
    assert [value for value in world.out() if value[0] == "a"] == ["a1", "a2", "a3"]
    assert set(world.store.looks) == {1, 3}


@seldom
async def test_what_the_instance_commits_goes_out_at_once_and_no_other_shard_is_looked_at(world: World) -> None:
    assert [shard_of(account, 8) for account in ("acc-1", "acc-2", "acc-4", "acc-9")] == [1, 3, 6, 3]
    await world.goes_on(0)
    for account in ("acc-1", "acc-2", "acc-4", "acc-9"):
        world.log.append(TopicPartition("payment.failed", 0), account.encode(), failure(account))
    await world.goes_on(0.5)

    assert len(world.out()) == 4
    assert set(world.store.looks) == {1, 3, 6}


@played
async def test_what_another_instance_publishes_is_not_asked_about(world: World) -> None:
    world.locks.others = {3, 5}
    world.store.looks_fail = world.store.questions_fail = True
    await asyncio.sleep(10)
    world.store.looks_fail = world.store.questions_fail = False
    await asyncio.sleep(30)

    await world.goes_on(1)

    assert {tuple(question) for question in world.store.questions} == {(0, 1, 2, 4, 6, 7)}


@played
async def test_a_question_that_fails_is_no_trouble_where_the_shards_can_be_looked_at(world: World) -> None:
    world.store.questions_fail = True
    await world.another_commits("a a1")
    await world.goes_on(1)

    assert (world.out(), world.health.troubles) == (["a1"], {})


@played
async def test_each_shard_tells_that_it_waits_for_the_database_and_that_it_does_no_more(world: World) -> None:
    world.store.looks_fail = world.store.questions_fail = True
    await world.goes_on(1)
    said = "publishing waits for the database (StoreUnavailable('away'))  [DUN-R003]"
    assert world.health.troubles == {f"outbox shard {shard}": said for shard in ALL_SHARDS}

    world.store.looks_fail = world.store.questions_fail = False
    await world.another_commits("a a1")
    await world.goes_on(30)

    assert (world.out(), world.health.troubles) == (["a1"], {})


@played
async def test_where_a_question_is_never_answered_each_shard_is_looked_at_all_the_same(world: World) -> None:
    world.store.questions_hang = True
    await world.goes_on(0.1)
    await world.another_commits("a a1", "b b1")
    await world.goes_on(5)

    assert sorted(world.out()) == ["a1", "b1"]
