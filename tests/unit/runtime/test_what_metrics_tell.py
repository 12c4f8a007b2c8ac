"""What an operator is told of troubles and policies, and by gauges that nobody sets any more."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from account_enforcement.case import EnforcedAccount
from account_enforcement.decide import AccountTrack
from account_enforcement.metrics import AccountMetrics
from dunning.domain.events import Input, TimerDue
from dunning.domain.policy import Policies
from dunning.domain.policy_file import load_policy
from dunning.domain.words import Channel
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.dead_letters import REASONS
from dunning.runtime.fold import fold
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.policies import PolicyShelf, show_policies
from dunning.runtime.read_through import Done, ReadThrough
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import TopicPartition
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service
from notification_dispatcher.case import NoticeAccount
from notification_dispatcher.decide import NoticeTrack
from notification_dispatcher.metrics import NoticeMetrics
from retry_scheduler.case import RetryAccount
from retry_scheduler.decide import RetryTrack
from retry_scheduler.metrics import RetryMetrics
from tests.builders import (
    HARD,
    PAST_DUE,
    TECHNICAL,
    a_notice,
    a_policy,
    failed,
    instant,
    only_retries,
    paid,
    policies,
    signal,
)
from tests.in_memory import told

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TP = TopicPartition("payment.failed", 0)
SETTINGS = load_settings(Settings, kafka_bootstrap_servers="k:9092", database_url="postgresql://d")
POLICY = b"""
id: small
version: 2
ladder:
  - {rung: payment_failed, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
"""


def test_a_trouble_is_seen_by_its_code_while_it_lasts() -> None:
    metrics = Metrics("toy")
    health = Health(metrics)
    health.starting("consumer")
    assert (told(metrics, "ready"), told(metrics, "troubles", code="DUN-R002")) == (0, None)

    health.trouble("timers", "DUN-R002", "timers wait")
    health.trouble("consumer", "DUN-R002", "cannot read")
    health.alarm("brake", "DUN-R031", "shut")
    assert (told(metrics, "troubles", code="DUN-R002"), told(metrics, "troubles", code="DUN-R031")) == (2, 1)

    health.well("timers")
    assert (told(metrics, "troubles", code="DUN-R002"), told(metrics, "ready")) == (1, 0)

    health.well("consumer")
    assert (told(metrics, "troubles", code="DUN-R002"), told(metrics, "ready")) == (0, 1)
    assert told(metrics, "troubles", code="DUN-R031") == 1
    health.calm("brake")
    assert told(metrics, "troubles", code="DUN-R031") == 0


def test_what_somebody_is_alerted_to_is_there_before_it_happens() -> None:
    """Prometheus sees no increase in a series that appears with its first event."""
    metrics = Metrics("toy")

    metrics.begin_at_zero(["payment.failed"], REASONS)

    assert told(metrics, "dead_letters_total", topic="payment.failed", reason="no_policy") == 0
    assert told(metrics, "conflicts_total", topic="payment.failed") == 0
    assert told(metrics, "events_consumed_total", topic="payment.failed") == 0
    assert told(metrics, "fenced_total", what="shard") == 0
    assert told(NoticeMetrics(), "notices_total", channel="email", outcome="bounced") == 0


def test_every_reason_to_set_a_message_aside_is_known() -> None:
    services = Path(__file__).parents[3] / "services"
    given = {
        reason
        for file in (services / "dunning/domain").rglob("*.py")
        for reason in re.findall(r'\.rejected = "(\w+)"', file.read_text())
    }

    assert given == {"no_policy", "other_currency"}
    assert given < set(REASONS)


class Shelf(PolicyShelf):
    """Says what a test says."""

    def __init__(self, complaint: str = "") -> None:
        super().__init__(Path(), frozenset())
        policy = load_policy(POLICY, "small.yaml", templates=None).policy
        assert policy is not None
        self._policies = Policies.of(policy)
        self._complaint = complaint


def test_a_policy_file_that_is_not_in_force_is_an_alarm_and_the_service_stays_ready() -> None:
    metrics = Metrics("toy")
    health = Health(metrics)

    show_policies(Shelf("policies/a.yaml:3:1: unknown key  [DUN-R020]"), health)

    assert health.alarms == {
        "policies": "the last good policies stay in force: policies/a.yaml:3:1: unknown key  [DUN-R020]"
    }
    assert health.troubles == {}
    assert told(metrics, "policy_info", policy="small", version="2") == 1

    show_policies(Shelf(), health)

    assert health.alarms == {}


class Reading:
    """An intake that has read and stored everything below 5."""

    def __init__(self, epoch: int) -> None:
        self.at = Done(epoch, 5, 5)
        self.begun_again: list[Mapping[TopicPartition, int]] = []

    async def done(self) -> Mapping[TopicPartition, Done]:
        return {TP: self.at}

    def begin_again(self, read_as: Mapping[TopicPartition, int]) -> None:
        self.begun_again.append(read_as)


class Log:
    """A broker whose log ends at 5."""

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 5)


class TroubledLog(Log):
    """Is away three times, and then something else is wrong."""

    def __init__(self) -> None:
        self.asked = 0

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.asked > 3:
            raise ZeroDivisionError
        raise KafkaConnectionError


class BusyLog(Log):
    """A broker whose log ends where a test says: somebody writes all the time."""

    end = 5

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.end)


class Looking:
    """Everything that looks up to when the news was read, with a clock that is turned by hand."""

    def __init__(self, stored: int, log: Log | None = None) -> None:
        self.log: Any = log or Log()
        self.hand, self.seconds = HandClock(NOON), 0.0
        self.metrics = Metrics("toy")
        self.stored = stored
        self.store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=self.hand, shards=1)

    async def begin(self) -> None:
        epoch = (await self.store.take_over([TP]))[TP].epoch
        async with self.store.transaction() as tx:
            await tx.lock_offsets({TP: epoch})
            await tx.advance_offsets({TP: self.stored})
        self.reading = Reading(epoch)
        clock = DatabaseClock(5, host=self.hand, monotonic=lambda: self.seconds)
        self.read_through = ReadThrough(
            self.reading, self.store, self.log, settings=SETTINGS, clock=clock, metrics=self.metrics, health=self.health
        )

    @property
    def health(self) -> Health:
        return Health(self.metrics)


async def test_the_age_of_the_news_grows_while_nobody_can_look() -> None:
    looking = Looking(stored=5)
    await looking.begin()
    await looking.read_through.look()
    labels = {"topic": "payment.failed", "partition": "0"}
    assert told(looking.metrics, "lag_seconds", **labels) == 0

    looking.seconds = 90  # the broker is away: no look ends

    assert told(looking.metrics, "lag_seconds", **labels) == pytest.approx(90)


async def test_a_partition_that_never_ends_is_read_up_to_when_a_former_end_of_it_was_passed() -> None:
    log = BusyLog()
    looking = Looking(stored=5, log=log)
    await looking.begin()

    async def seen(end: int, read: int, second: int) -> datetime | None:
        log.end, looking.hand.now = end, NOON + timedelta(seconds=second)
        epoch = looking.reading.at.epoch
        looking.reading.at = Done(epoch, read, 5)
        await looking.read_through.look()
        return await looking.store.horizon([TP])

    assert await seen(end=10, read=5, second=1) is None
    assert await seen(end=20, read=9, second=2) is None
    assert await seen(end=30, read=10, second=3) == NOON + timedelta(seconds=1)
    assert await seen(end=40, read=29, second=4) == NOON + timedelta(seconds=1)
    assert await seen(end=50, read=30, second=5) == NOON + timedelta(seconds=3)
    assert await seen(end=50, read=50, second=6) == NOON + timedelta(seconds=6)


async def test_whoever_cannot_tell_what_was_read_waits_before_it_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def at_once(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("dunning.runtime.read_through.asyncio.sleep", at_once)
    looking = Looking(stored=5, log=TroubledLog())
    await looking.begin()

    with pytest.raises(ZeroDivisionError):
        await looking.read_through.run()

    assert len([seconds for seconds in waited if seconds > 0]) == 3
    assert told(looking.metrics, "retries_total", what="read_through") == 3


@pytest.mark.parametrize(("stored", "begun_again", "horizon"), [(5, False, NOON), (3, True, None)])
async def test_an_instance_that_believes_to_have_stored_more_than_the_database_has_begins_again(
    stored: int, begun_again: bool, horizon: datetime | None
) -> None:
    """After a restore under its feet. Until then nothing counts as read, so that nothing due is done (rule 40)."""
    looking = Looking(stored)
    await looking.begin()

    await looking.read_through.look()

    assert looking.reading.begun_again == ([{TP: 1}] if begun_again else [])
    assert await looking.store.horizon([TP]) == horizon


async def test_what_a_decision_counts_is_told_as_odd_and_accepted() -> None:
    metrics, accounts = Metrics("toy"), {"acc_1": ToyAccount("acc_1")}
    inputs: list[Input] = [signal("customer.updated", "03-02 10:00"), signal("customer.updated", "03-02 11:00")]

    (await fold(toy_service().decide, outbox_writer(""), accounts, inputs, NOON)).count(metrics)

    assert told(metrics, "noted_total", what="no_invoice") == 2


async def test_what_became_of_notices_is_counted_by_channel_and_the_reasons_of_those_that_were_not_sent() -> None:
    loaded = policies(a_policy(ladder=[a_notice("hello", "0d", "sms", "letter", "push")], retries=None))
    track, metrics = NoticeTrack(lambda: loaded, frozenset({Channel.SMS, Channel.LETTER})), NoticeMetrics()
    nobody = failed("03-02 10:00", customer=None)
    wakes_up = TimerDue("timer", "acc_1", "in_1", NOON)

    accounts = {"acc_1": NoticeAccount("acc_1")}
    (await fold(track.decide, outbox_writer(""), accounts, [nobody, wakes_up], NOON)).count(metrics)

    assert told(metrics, "notices_total", channel="letter", outcome="suppressed") == 1
    assert told(metrics, "notices_suppressed_total", reason="no_address") == 2
    assert told(metrics, "notices_suppressed_total", reason="channel_not_configured") == 1


async def test_outcomes_of_retries_are_counted_by_the_decline_that_each_was_to_get_over() -> None:
    loaded = policies(only_retries(after=["1h", "1h"]))
    track, metrics, account = RetryTrack(lambda: loaded), RetryMetrics(), RetryAccount("acc_1")
    unnamed: dict[str, Any] = {"payment_method": None}
    inputs: dict[str, Input] = {
        "10:00": failed("03-02 10:00", **unnamed),
        "11:00": TimerDue("first", "acc_1", "in_1", instant("03-02 11:00")),
        "11:10": failed("03-02 11:10", attempt_number=2, failure=TECHNICAL, **unnamed),
        "11:20": TimerDue("second", "acc_1", "in_1", instant("03-02 11:20")),
        "11:30": failed("03-02 11:30", attempt_number=3, failure=HARD, **unnamed),
    }

    for at, event in inputs.items():
        (await fold(track.decide, outbox_writer(""), {"acc_1": account}, [event], instant(f"03-02 {at}"))).count(
            metrics
        )

    assert told(metrics, "retries_requested_total", decline_class="soft") == 1
    assert told(metrics, "retries_requested_total", decline_class="technical") == 1
    assert told(metrics, "retries_answered_total", outcome="failed", decline_class="soft") == 1
    assert told(metrics, "retries_answered_total", outcome="failed", decline_class="technical") == 1
    assert told(metrics, "retries_suppressed_total", reason="hard_declined", decline_class="hard") == 1


async def test_the_money_of_cases_is_counted_once_however_they_end_and_whatever_is_read_later() -> None:
    """A case that another one replaces moved nothing: its money is still owed (rule 7)."""
    track, metrics = AccountTrack(lambda: policies(a_policy(ladder=[PAST_DUE]))), AccountMetrics()
    inputs: list[Input] = [
        failed("03-02 10:00"),
        paid("03-02 11:00", remaining=900),
        paid("03-02 12:00", payment_id="pay_10"),
        failed("03-02 10:00", invoice_id="in_2", amount_due_minor=700, currency="USD"),
        signal("invoice.voided", "03-02 10:30", invoice_id="in_2"),
        failed("03-02 10:00", invoice_id="in_3", amount_due_minor=50),
        paid("03-02 09:00", invoice_id="in_3"),
        paid("03-02 12:00", invoice_id="in_3"),
    ]

    outcome = await fold(track.decide, outbox_writer(""), {"acc_1": EnforcedAccount("acc_1")}, inputs, NOON)
    outcome.count(metrics)

    assert told(metrics, "money_recovered_minor_total", currency="EUR") == 4000 + 900 + 50
    assert told(metrics, "money_lost_minor_total", currency="USD") == 700
    assert told(metrics, "time_to_recovery_seconds_count") == 2
