"""What an operator is told of troubles and policies, and by gauges that nobody sets any more."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dunning.domain.policy import Policies
from dunning.domain.policy_file import load_policy
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.dead_letters import REASONS
from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.policies_told import show_policies
from dunning.runtime.read_through import Done, ReadThrough
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import TopicPartition
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TP = TopicPartition("payment.failed", 0)
SETTINGS = load_settings(Settings, kafka_bootstrap_servers="k:9092", database_url="postgresql://d")
POLICY = b"""
id: small
version: 2
ladder:
  - {rung: payment_failed, at: 0d, notice: {template: payment_failed, channels: [email]}, account: past_due}
"""


def told(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"dunning_{name}", labels)


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
    assert told(metrics, "fenced_total", what="shard") == 0


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


class Looking:
    """Everything that looks up to when the news was read, with a clock that is turned by hand."""

    def __init__(self, stored: int) -> None:
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
        log: Any = Log()
        clock = DatabaseClock(5, host=self.hand, monotonic=lambda: self.seconds)
        self.read_through = ReadThrough(
            self.reading, self.store, log, settings=SETTINGS, clock=clock, metrics=self.metrics, health=self.health
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
