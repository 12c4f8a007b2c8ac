"""An instance's reading of its topics on a broker and a database in memory, in simulated time: what is read, by whom,
and how a partition comes back that something went wrong with.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import CorruptRecordException, GroupAuthorizationFailedError, KafkaConnectionError
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.contracts.decode import decode
from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.clients import Clients
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.consumer import Intake, _Listener
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.read_through import Done
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import Owned, TopicPartition
from dunning.runtime.turn import Batch, Turn
from dunning.runtime.wanted import pass_over
from dunning.testing.memory import MemoryStore
from dunning.testing.memory_clients import DirectLink, MemoryAdmin, MemoryBroker, MemoryConsumer
from dunning.testing.memory_log import MemoryLog
from dunning.testing.toy import ToyAccount, toy_service
from tests.in_memory import in_no_time, told
from tests.kernel import failure

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
FIRST, SECOND = TopicPartition("payment.failed", 0), TopicPartition("payment.failed", 1)
NOWHERE = TopicPartition("nowhere", 0)  # among the broken ones: a mistake of the client's
GROUP = TopicPartition("group", 0)  # the same: what the group's coordinator said
AWAY = TopicPartition("away", 0)  # and this: nobody answers who asks for a connection
ALL = ("payment.failed", "payment.succeeded", "dunning.signals")
SETTINGS = load_settings(
    Settings,
    kafka_bootstrap_servers="nowhere:1",
    database_url="postgresql://nowhere",
    lanes=1,
    kafka_metadata_max_age_seconds=10,
)


class Reader(MemoryConsumer):
    """Finds no records where bytes are broken, as aiokafka does."""

    def __init__(self, broken: set[TopicPartition], *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.broken = broken
        self.stop_seconds = 0.0
        self.stopped = False

    async def start(self) -> None:
        if AWAY in self.broken:
            await asyncio.sleep(0.01)
            raise KafkaConnectionError
        await super().start()

    async def stop(self) -> None:
        await asyncio.sleep(self.stop_seconds)
        await super().stop()
        self.stopped = True

    async def getmany(self, *partitions: KafkaPartition, **given: Any) -> dict[KafkaPartition, list[ConsumerRecord]]:
        if NOWHERE in self.broken:
            raise ZeroDivisionError
        if GROUP in self.broken:
            raise GroupAuthorizationFailedError
        if self.broken & {TopicPartition(*each) for each in partitions}:
            await asyncio.sleep(0.01)
            raise CorruptRecordException
        found: dict[KafkaPartition, list[ConsumerRecord]] = await super().getmany(*partitions, **given)
        return found


class Desk:
    """One instance that reads three topics, the first of two partitions."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.reading: asyncio.Task[None] | None = None
        self.broken: set[TopicPartition] = set()
        self.log = MemoryLog({ALL[0]: 2, ALL[1]: 1, ALL[2]: 1}, lambda: 0)
        self.broker = MemoryBroker(self.log)
        self.clients = Clients(
            consumer=partial(Reader, self.broken, self.broker, DirectLink()),
            admin=partial(MemoryAdmin, self.broker, DirectLink()),
        )
        self.store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=lambda: NOON, shards=1)
        self.metrics = Metrics("toy")
        self.health = Health(self.metrics)
        clock = DatabaseClock(5, host=lambda: NOON, monotonic=loop.time)
        clock.read(NOON)
        turn: Turn[ToyAccount] = Turn(
            toy_service(),
            self.store,
            decode,
            outbox_writer(""),
            pass_over(toy_service(), test_mode=False),
            topic_prefix="",
            clock=clock,
            metrics=self.metrics,
            health=self.health,
            committed=lambda _: None,
        )
        self.intake = Intake(
            "toy",
            ALL,
            self.store,
            turn,
            BrokerLog(SETTINGS, ALL, self.clients),
            OutboxBound(self.store, 1000, self.health, monotonic=loop.time),
            settings=SETTINGS,
            clock=clock,
            metrics=self.metrics,
            health=self.health,
            clients=self.clients,
        )

    def comes(self, at: TopicPartition, *accounts: str) -> None:
        for account in accounts:
            self.log.append(at, account.encode(), failure(account))

    async def published(self) -> list[str]:
        """Whose inputs were decided, in order: the toy publishes one transition for each."""
        return [pending.row.key for pending in await self.store.pending(0, 100)]

    async def done(self) -> dict[int, Done]:
        """How far the partitions of the first topic are stored, by their numbers."""
        return {at.partition: said for at, said in (await self.intake.done()).items() if at.topic == FIRST.topic}

    def told(self, name: str, **labels: str) -> float | None:
        return told(self.metrics, name, **labels)


def played(story: Callable[[Desk], Awaitable[None]]) -> Callable[[], None]:
    """A test that tells its story while the intake runs, in time that takes none."""

    async def plays() -> None:
        desk = Desk()
        desk.reading = asyncio.create_task(desk.intake.run())
        try:
            await asyncio.sleep(5)
            await story(desk)
        finally:
            desk.intake.stop()
            await asyncio.wait([desk.reading])

    return in_no_time(story, plays)


@played
async def test_what_comes_is_decided_stored_and_told_to_kafka(desk: Desk) -> None:
    desk.comes(FIRST, "acc-1", "acc-2")
    desk.comes(SECOND, "acc-3")
    await asyncio.sleep(10)

    assert sorted(await desk.published()) == ["acc-1", "acc-2", "acc-3"]
    assert await desk.done() == {0: Done(1, 2, 2), 1: Done(1, 1, 1)}
    assert (desk.intake.settled, desk.health.troubles, desk.told("partitions_owned")) == (True, {}, 4)
    notes = [desk.log.note("toy", at) for at in (FIRST, SECOND)]
    assert [note.offset for note in notes if note is not None] == [2, 1]


@played
async def test_a_partition_that_somebody_took_over_comes_back_after_a_while_and_nothing_is_done_twice(
    desk: Desk,
) -> None:
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(5)
    await desk.store.take_over([FIRST])
    desk.comes(FIRST, "acc-2")
    desk.comes(SECOND, "acc-3")
    await asyncio.sleep(10)

    assert sorted(await desk.published()) == ["acc-1", "acc-2", "acc-3"]
    assert await desk.done() == {0: Done(3, 2, 2), 1: Done(2, 1, 1)}
    assert desk.told("fenced_total", what="partition") == 1


@played
async def test_it_begins_again_from_what_is_stored_where_it_read_under_the_epoch_that_is_named(desk: Desk) -> None:
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(5)

    desk.intake.begin_again({FIRST: 1, SECOND: 7})
    assert list(await desk.done()) == [1]
    desk.comes(FIRST, "acc-2")
    await asyncio.sleep(2)
    assert await desk.published() == ["acc-1"]
    await asyncio.sleep(8)

    assert await desk.published() == ["acc-1", "acc-2"]
    assert await desk.done() == {0: Done(2, 2, 2), 1: Done(1, 0)}
    assert desk.told("fenced_total", what="partition") == 1


@played
async def test_a_partition_that_is_held_is_not_read_and_the_others_are(desk: Desk) -> None:
    desk.intake.hold([FIRST])
    desk.comes(FIRST, "acc-1")
    desk.comes(SECOND, "acc-2")
    await asyncio.sleep(100)

    assert await desk.published() == ["acc-2"]


@played
async def test_bytes_that_are_no_records_stop_their_own_partition_only_and_are_told(desk: Desk) -> None:
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(5)
    desk.broken.add(FIRST)
    await asyncio.sleep(5)
    desk.comes(FIRST, "acc-2")
    desk.comes(SECOND, "acc-3")
    await asyncio.sleep(29)

    assert await desk.published() == ["acc-1", "acc-3"]
    (said,) = desk.health.troubles.values()
    assert said.startswith("payment.failed[0] from 1 on cannot be read (CorruptRecordException(")
    assert said.endswith("`dunning offsets` has the ways on  [DUN-R008]")

    desk.broken.clear()
    await asyncio.sleep(60)
    assert (await desk.published(), desk.health.troubles) == (["acc-1", "acc-3", "acc-2"], {})


@played
async def test_what_a_turn_holds_does_not_count_as_read_before_it_is_stored(desk: Desk) -> None:
    """Timers would act before that news (rule 40)."""
    lane: Any = desk.intake._lanes[0]
    genuine, stored = lane._turn.take, asyncio.Event()

    async def take(batch: Batch) -> float:
        await stored.wait()
        seconds: float = await genuine(batch)
        return seconds

    lane._turn = SimpleNamespace(take=take)
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(5)
    assert (await desk.done())[0] == Done(1, 0)

    stored.set()
    await asyncio.sleep(5)
    assert (await desk.done())[0] == Done(1, 1, 1)


@played
async def test_a_partition_that_another_instance_has_now_is_no_trouble_of_ours(desk: Desk) -> None:
    desk.broken.add(FIRST)
    await asyncio.sleep(20)
    assert list(desk.health.troubles) == ["offsets"]

    desk.intake.assigned(desk.intake._reading.consumer, [KafkaPartition(*SECOND)])

    assert desk.health.troubles == {}


@played
async def test_who_shares_a_lane_with_a_flood_waits_for_one_turn_of_it(desk: Desk) -> None:
    """A client hands out what it fetched in its order: the flood to its end, if nobody asked for the others first."""
    for number in range(3000):
        desk.log.append(FIRST, b"acc-1", failure("acc-1", f"pay-{number}"))
    desk.comes(SECOND, "acc-2")
    await asyncio.sleep(30)

    told = [pending.row.key for pending in await desk.store.pending(0, 5000)]
    assert (len(told), told.index("acc-2")) == (3001, 1000)


@played
async def test_a_consumer_that_is_slow_to_stop_is_neither_waited_for_nor_cut_short(desk: Desk) -> None:
    """aiokafka waits for a rebalance; cut short, it would go on with its heartbeat and keep its partitions."""
    consumer: Any = desk.intake._reading.consumer
    consumer.stop_seconds = 20.0
    desk.intake.stop()
    await asyncio.sleep(10)

    assert desk.reading is not None
    assert (desk.reading.done(), consumer.stopped) == (True, False)
    await asyncio.sleep(15)
    assert consumer.stopped


@played
async def test_a_mistake_ends_the_intake_and_is_not_kept_quiet(desk: Desk) -> None:
    """Whoever runs it ends the instance, and a supervisor starts it anew."""
    desk.broken.add(NOWHERE)
    await asyncio.sleep(5)

    assert desk.reading is not None
    assert desk.reading.done()
    with pytest.raises(ZeroDivisionError):
        await desk.reading


@played
async def test_records_that_the_log_has_no_more_are_never_jumped_over(desk: Desk) -> None:
    desk.comes(FIRST, "acc-1", "acc-2", "acc-3")
    await asyncio.sleep(5)
    desk.log.truncate(FIRST, 1)
    desk.intake.begin_again({FIRST: 1})
    desk.comes(SECOND, "acc-9")
    await asyncio.sleep(20)

    assert [await desk.published(), list(await desk.done())] == [["acc-1", "acc-2", "acc-3", "acc-9"], [1]]
    (said,) = desk.health.troubles.values()
    assert said.startswith("we read payment.failed[0] up to 3, but its log holds 0 to 1: records are gone")


@played
async def test_partitions_that_are_new_are_seen_and_asked_for(desk: Desk) -> None:
    """A group's leader does not notice them by itself where it is a static member that was restarted."""
    asked: list[Sequence[str]] = []
    consumer: Any = desk.intake._reading.consumer
    genuine = consumer.subscribe

    def subscribe(topics: Sequence[str], listener: Any) -> None:
        asked.append(topics)
        genuine(topics, listener)

    consumer.subscribe = subscribe
    await asyncio.sleep(30)
    assert asked == []

    desk.log.partition_counts["payment.failed"] = 3
    await asyncio.sleep(30)
    assert asked == [sorted(ALL)]
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(10)
    assert await desk.published() == ["acc-1"]


@played
async def test_a_marker_right_behind_what_was_stored_counts_as_read_before_that_is_on_file(desk: Desk) -> None:
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(0.1)
    epoch = desk.log.new_producer("somebody")
    desk.log.begin_transaction("somebody", epoch)
    desk.log.send("somebody", epoch, FIRST, b"acc-2", failure("acc-2"), ())
    desk.log.new_producer("somebody")  # the one before is fenced off, and what it had begun taken back
    await asyncio.sleep(0.1)

    assert (await desk.done())[0] == Done(1, 3, 1)
    await asyncio.sleep(5)
    assert (await desk.done())[0] == Done(1, 3, 3)
    assert await desk.published() == ["acc-1"]


@pytest.mark.parametrize("open_before", [False, True])
def test_what_lies_behind_the_last_record_counts_as_read_once_nothing_is_in_hand(open_before: bool) -> None:
    """Markers of transactions take up offsets and hold nothing: timers must not wait for them (rule 40)."""

    @played
    async def told(desk: Desk) -> None:
        if open_before:
            desk.comes(FIRST, "acc-1")
            await asyncio.sleep(5)
        epoch = desk.log.new_producer("somebody")
        desk.log.begin_transaction("somebody", epoch)
        desk.log.send("somebody", epoch, FIRST, b"acc-2", failure("acc-2"), ())
        desk.log.commit("somebody", epoch)
        await asyncio.sleep(0.5)

        records = 2 if open_before else 1
        assert (await desk.done())[0].offset == desk.log.end(FIRST) == records + 1

    told()


@played
async def test_what_came_in_and_was_stored_by_the_former_owner_at_the_very_last_is_not_taken_for_lost(
    desk: Desk,
) -> None:
    """Whoever does not know yet that it was replaced reads on until somebody takes the partition over."""
    genuine = desk.store.take_over

    async def take_over(partitions: Collection[TopicPartition]) -> dict[TopicPartition, Owned]:
        async with desk.store.transaction() as tx:
            desk.comes(FIRST, "acc-1")
            await tx.lock_offsets({FIRST: 1})
            await tx.advance_offsets({FIRST: 1})
        return await genuine(partitions)

    with patch.object(desk.store, "take_over", take_over):
        desk.intake.begin_again({FIRST: 1})
        await asyncio.sleep(5)

    assert (await desk.done())[0] == Done(2, 1, 1)
    assert desk.told("alarms_total", code="DUN-R008") is None


@played
async def test_a_former_consumer_that_is_still_being_stopped_takes_nothing_from_the_present_one(desk: Desk) -> None:
    former: Any = Reader(desk.broken, desk.broker, DirectLink())
    await _Listener(desk.intake, former).on_partitions_revoked([KafkaPartition(*FIRST)])
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(5)

    assert await desk.published() == ["acc-1"]


@played
async def test_while_kafka_is_away_that_is_one_trouble_and_does_not_seem_over_at_each_try(desk: Desk) -> None:
    desk.broken |= {GROUP, AWAY}
    await asyncio.sleep(20)
    assert list(desk.health.troubles) == ["consumer"]
    assert desk.told("alarms_total", code="DUN-R002") == 1

    desk.broken.clear()
    await asyncio.sleep(30)
    assert desk.health.troubles == {}


@played
async def test_what_the_group_says_is_heard_where_it_gave_nothing_to_read(desk: Desk) -> None:
    """aiokafka waits with it until somebody asks for records, and asks the group for nothing in the meantime."""
    former = desk.intake._reading.consumer
    desk.intake.assigned(former, [])
    desk.broken.add(GROUP)
    await asyncio.sleep(2)
    desk.broken.clear()
    await asyncio.sleep(20)
    desk.comes(FIRST, "acc-1")
    await asyncio.sleep(5)

    assert (await desk.published(), desk.health.troubles) == (["acc-1"], {})
    assert desk.intake._reading.consumer is not former


@played
async def test_an_instance_that_asks_for_no_records_stays_a_member_of_its_group(desk: Desk) -> None:
    """aiokafka would leave it after `max_poll_interval_ms`, and ask to come back only when somebody asks for records:
    never where it has no partition to ask for, nor after a database was away for longer."""
    consumer: Any = desk.intake._reading.consumer

    assert consumer._settings["max_poll_interval_ms"] / 86_400_000 > 365 * 10
