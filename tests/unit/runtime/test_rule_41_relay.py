"""Rule 41: rows of the outbox go out in order and once, and what Kafka refuses keeps nobody else waiting."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError, ProducerFenced

from dunning.runtime.clients import Clients
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.publisher import note_on
from dunning.runtime.relay import Relay
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import PendingRow, StoreUnavailable, TopicPartition
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.memory_clients import DirectLink, MemoryAdmin, MemoryBroker, MemoryProducer
from dunning.testing.memory_log import MemoryLog
from dunning.testing.toy import ToyAccount, toy_service
from tests.contract.kit import a_row, published
from tests.in_memory import told

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
CHANGES, STATUSES = TopicPartition("dunning.stage.changed", 0), TopicPartition("dunning.account.status", 0)
SETTINGS = load_settings(Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere")
Hurdle = Callable[[bytes, bool], bool]  # of a value, and whether it comes compressed: whether Kafka refuses it


class Producer(MemoryProducer):
    """Brings what Kafka takes; it may be away or fenced off when it starts."""

    def __init__(self, office: "Office", *given: Any, compression_type: str | None, **named: Any) -> None:
        super().__init__(*given, **named)
        self._office = office
        self._compressed = compression_type == "gzip"

    async def start(self) -> None:
        if self._office.troubles:
            raise self._office.troubles.pop(0)
        await super().start()

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any:
        if any(self._office.refuses(value, self._compressed) for _, value, _ in batch.records):
            raise MessageSizeTooLargeError
        return await super().send_batch(batch, topic, partition=partition)

    async def commit_transaction(self) -> None:
        self._office.commits += 1
        assert self._office.commits < 100, "published for ever"
        await super().commit_transaction()


class Locks:
    """One shard that nobody else wants."""

    given_up = 0
    others = 0  # how often somebody else has it still

    async def acquire(self, _: int) -> bool:
        self.others -= 1
        return self.others < 0

    async def holds(self, _: int) -> bool:
        return True

    async def give_up(self, _: int) -> None:
        self.given_up += 1


class Office:
    """A relay with an outbox and a broker; it publishes what is there, then ends."""

    def __init__(self, *troubles: Exception) -> None:
        self.troubles, self.commits = list(troubles), 0
        self.refuses: Hurdle = lambda value, compressed: False
        self.hand, self.seconds = HandClock(NOON), 1000.0
        self.store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=self.hand, shards=1)
        self.log = MemoryLog({"dunning.stage.changed": 1, "dunning.account.status": 1}, lambda: 0)
        self.metrics, self.locks = Metrics("toy"), Locks()
        self.health = Health(self.metrics)
        self.broker = MemoryBroker(self.log)
        self.relay = self.another_relay()

    def another_relay(self) -> Relay:
        broker, locks = self.broker, self.locks
        clients = Clients(
            producer=partial(Producer, self, broker, DirectLink()), admin=partial(MemoryAdmin, broker, DirectLink())
        )
        given: Any = 0, "toy", self.store, locks, "payment.failed"
        return Relay(
            *given,
            settings=SETTINGS,
            clock=DatabaseClock(5, host=self.hand),
            metrics=self.metrics,
            health=self.health,
            clients=clients,
        )

    async def has(self, *values: str, topic: str = "dunning.stage.changed") -> None:
        """Rows, each `key value`, committed in one transaction."""
        await published(self.store, [a_row(*value.split(), topic=topic) for value in values])

    async def works(self) -> "Office":
        self.relay.drain()
        await self.relay.run()
        return self

    def out(self, at: TopicPartition = CHANGES) -> list[str]:
        return [(entry.value or b"").decode() for entry in self.log.records(at)]

    async def left(self) -> list[str]:
        return [pending.row.value.decode() for pending in await self.store.pending(0, 100)]

    def told(self, name: str, **labels: str) -> float | None:
        return told(self.metrics, name, **labels)


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office()
    monkeypatch.setattr("dunning.runtime.relay.monotonic", lambda: made.seconds)
    return made


async def test_what_is_in_the_outbox_goes_out_in_order_and_is_finished(office: Office) -> None:
    await office.has("a a1", "b b1", "a a2")
    office.hand.advance(seconds=4)

    await office.works()

    assert (office.out(), await office.left(), office.commits) == (["a1", "b1", "a2"], [], 1)
    assert office.told("events_published_total", topic="dunning.stage.changed") == 3
    assert office.told("publish_seconds_sum") == 4
    assert office.told("outbox_shards_owned") == 0


async def test_a_row_that_kafka_refuses_waits_with_what_follows_it_and_all_others_go_on(office: Office) -> None:
    office.refuses = lambda value, compressed: value == b"b1"
    await office.has("a a1", "b b1", "b b2", "c c1", "a a2")
    await office.has("b bs1", topic="dunning.account.status")

    await office.works()

    assert (office.out(), office.out(STATUSES), await office.left()) == (["a1", "c1", "a2"], ["bs1"], ["b1", "b2"])
    assert office.told("outbox_parked", shard="0") == 1
    (said,) = office.health.troubles.values()
    about = "outbox row 2 for dunning.stage.changed (2 bytes) is refused by Kafka"
    assert said == f"{about}: raise the topic's max.message.bytes; it and what follows it wait  [DUN-R011]"


async def test_a_refused_row_is_tried_again_after_a_minute_alone_and_what_follows_it_goes_out_behind_it(
    office: Office,
) -> None:
    office.refuses = lambda value, compressed: value == b"b1"
    await office.has("b b1", "b b2")
    await office.works()
    office.refuses = lambda value, compressed: False
    office.seconds += 59
    await office.has("a a1")
    await office.works()
    assert (office.out(), len(office.health.troubles)) == (["a1"], 1)

    office.seconds += 1
    office.commits = 0
    await office.has("a a2")
    await office.works()

    assert (office.out(), await office.left(), office.commits) == (["a1", "b1", "b2", "a2"], [], 2)
    assert (office.told("outbox_parked", shard="0"), office.health.troubles) == (0, {})


async def test_what_is_refused_once_more_waits_once_more_and_the_others_go_on(office: Office) -> None:
    office.refuses = lambda value, compressed: value == b"b1"
    await office.has("b b1")
    await office.works()
    office.seconds += 60
    await office.has("a a1", "b b2")
    await office.works()

    assert (office.out(), await office.left()) == (["a1"], ["b1", "b2"])
    assert (office.told("outbox_parked", shard="0"), len(office.health.troubles)) == (1, 1)


async def test_a_row_that_the_topic_takes_compressed_goes_out_so(office: Office) -> None:
    office.refuses = lambda value, compressed: value == b"b1" and not compressed
    await office.has("a a1", "b b1", "b b2")

    await office.works()

    assert (office.out(), await office.left(), office.health.troubles) == (["a1", "b1", "b2"], [], {})
    assert office.told("events_published_total", topic="dunning.stage.changed") == 3


@pytest.mark.parametrize(("too_short_by", "batches"), [(0, 1), (1, 2)])
async def test_a_batch_is_of_as_many_rows_as_its_note_holds(
    office: Office, monkeypatch: pytest.MonkeyPatch, too_short_by: int, batches: int
) -> None:
    await office.has("a a1", "b b1")
    both = len(note_on(await office.store.pending(0, 2)))
    monkeypatch.setattr("dunning.runtime.relay.NOTE_LENGTH_MAX", both - too_short_by)

    await office.works()

    assert (office.out(), office.commits) == (["a1", "b1"], batches)


async def test_a_single_row_goes_out_however_long_its_note(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dunning.runtime.relay.NOTE_LENGTH_MAX", 0)
    await office.has("a a1", "a a2", "a a3")

    await office.works()

    assert (office.out(), office.commits) == (["a1", "a2", "a3"], 3)


@pytest.mark.parametrize(
    ("trouble", "said", "given_up"),
    [
        (KafkaConnectionError(), "publishing waits for Kafka (KafkaConnectionError())  [DUN-R002]", 0),
        (ProducerFenced(), None, 1),
    ],
)
async def test_it_waits_for_what_is_away_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception, said: str | None, given_up: int
) -> None:
    office, genuine = Office(trouble), asyncio.sleep
    waited: list[dict[str, str]] = []

    async def at_once(seconds: float) -> None:
        if seconds > 0:
            waited.append(dict(office.health.troubles))
            office.relay.drain()
        await genuine(0)

    monkeypatch.setattr("dunning.runtime.relay.asyncio.sleep", at_once)
    await office.has("a a1")

    await office.relay.run()

    assert waited == [{"outbox shard 0": said} if said else {}]
    assert (office.out(), office.health.troubles, office.locks.given_up) == (["a1"], {}, given_up)
    assert office.told("fenced_total", what="shard") == (given_up or None)


async def test_a_shard_that_another_instance_publishes_is_asked_for_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office, genuine = Office(), asyncio.sleep
    office.locks.others = 3
    waited: list[float] = []

    async def at_once(seconds: float) -> None:
        if seconds > 0:
            waited.append(seconds)
            if len(waited) == 3:
                office.relay.drain()
        await genuine(0)

    monkeypatch.setattr("dunning.runtime.relay.asyncio.sleep", at_once)
    await office.has("a a1")

    await office.relay.run()

    assert (waited, office.out()) == ([1, 1, 1], ["a1"])


async def test_what_was_in_the_way_is_no_trouble_of_ours_once_another_instance_publishes_the_shard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office, genuine = Office(KafkaConnectionError()), asyncio.sleep
    office.refuses = lambda value, compressed: True
    await office.has("a a1")
    office.relay.drain()
    await office.relay.run()
    await office.works()
    assert len(office.health.troubles) == 1
    office.troubles.append(KafkaConnectionError())
    told: list[tuple[int, float | None]] = []

    async def at_once(seconds: float) -> None:
        if seconds > 0:
            told.append((len(office.health.troubles), office.told("outbox_parked", shard="0")))
            office.locks.others = 2
            if len(told) == 2:
                office.relay.drain()
        await genuine(0)

    monkeypatch.setattr("dunning.runtime.relay.asyncio.sleep", at_once)
    monkeypatch.setattr(office.relay, "_draining", False)

    await office.relay.run()

    assert told == [(2, 1), (0, 0)]


async def test_a_relay_that_is_to_end_does_not_wait_for_what_is_away() -> None:
    office = Office(KafkaConnectionError())
    await office.has("a a1")

    await office.works()

    assert (office.out(), await office.left()) == ([], ["a1"])


async def test_what_a_dead_owner_had_published_and_not_finished_is_finished_and_not_sent_again(office: Office) -> None:
    await office.has("a a1", "b b1")
    with patch.object(office.store, "finish", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        await office.works()
    await office.has("a a2")

    await office.works()

    assert (office.out(), await office.left()) == (["a1", "b1", "a2"], [])


@pytest.mark.parametrize(("failures", "alarms"), [(2, None), (3, 1)])
async def test_a_database_that_does_not_learn_what_was_published_is_told_the_third_time_and_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch, failures: int, alarms: int | None
) -> None:
    genuine, finish = asyncio.sleep, office.store.finish
    monkeypatch.setattr("dunning.runtime.relay.asyncio.sleep", lambda seconds: genuine(0))
    away = [StoreUnavailable("away")] * failures

    async def late_finish(*given: Any) -> None:
        if away and given[1]:
            raise away.pop()
        await finish(*given)

    await office.has("a a1")
    with patch.object(office.store, "finish", late_finish):
        await office.works()

    assert (office.out(), await office.left(), office.commits) == (["a1"], [], 1)
    assert (office.told("alarms_total", code="DUN-R003"), office.health.troubles) == (alarms, {})


async def test_a_number_that_a_database_gives_again_while_it_is_to_learn_what_was_published_is_another_rows(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, finish = asyncio.sleep, office.store.finish
    monkeypatch.setattr("dunning.runtime.relay.asyncio.sleep", lambda seconds: genuine(0))
    standby = [PendingRow(1, a_row("b", "b1"), NOON + timedelta(seconds=9))]

    async def late_finish(*given: Any) -> None:
        if given[1] and standby:
            office.store._tables.outbox[0] = {1: standby.pop()}
            raise StoreUnavailable("a standby takes over, without the last commits")
        await finish(*given)

    await office.has("a a1")
    with patch.object(office.store, "finish", late_finish):
        await office.works()

    assert (office.out(), await office.left()) == (["a1", "b1"], [])


@pytest.mark.parametrize("dies", [False, True])
async def test_a_relay_that_was_frozen_while_it_looked_for_what_is_refused_repeats_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch, *, dies: bool
) -> None:
    """Its new producer fences off whoever took the shard over, so what it had read before is not its to publish."""
    office.refuses = lambda value, compressed: value == b"b1"
    await office.has("a a1", "c c1", "b b1", "a a2")
    genuine, frozen, finish = office.relay._isolate, [True], office.store.finish

    async def late_finish(*given: Any) -> None:
        if dies and given[1]:
            raise ZeroDivisionError
        await finish(*given)

    async def isolate(rows: Any) -> None:
        if frozen and frozen.pop():
            other = office.another_relay()
            other.drain()
            await office.has("a a3")
            with patch.object(office.store, "finish", late_finish), suppress(ZeroDivisionError):
                await other.run()
        await genuine(rows)

    monkeypatch.setattr(office.relay, "_isolate", isolate)
    await office.works()

    assert (office.out(), await office.left()) == (["a1", "c1", "a2", "a3"], ["b1"])
