"""The three services on real servers, with a clock and channels that belong to the test."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from account_enforcement.service import account_enforcement
from dunning.contracts.topics import SERVICES, TOPICS
from dunning.domain.decision import Errand, Postpone
from dunning.domain.events import ErrandReport, Input
from dunning.domain.policy_file import SHIPPED_TEMPLATES
from dunning.domain.words import Channel
from dunning.runtime import lane
from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.instance import Instance
from dunning.runtime.migrate import migrate
from dunning.runtime.mode import Mode
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.run import postgres_settings
from dunning.runtime.service import Begin, Perform, Service
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.start import FixedStart
from dunning.runtime.switch import begin, service_schema
from dunning.testing.hand_clock import HandClock
from dunning_cli.simulation.world import delivered_at_once
from notification_dispatcher.decide import NoticeTrack
from notification_dispatcher.service import notification_dispatcher
from retry_scheduler.service import retry_scheduler
from tests.beside import beside
from tests.stack import LONG_AGO

PARTITIONS_MAX = 3
SHARDS = 2


Deaf = Callable[[str, Input], bool]  # whether a service, by its name, does not hear an event that it should


def hears_everything(service: str, event: Input) -> bool:
    """No fault."""
    return False


@dataclass
class Part:
    """One service at work, whose timers fire when the test says so."""

    name: str
    instance: Instance[Any]

    def __post_init__(self) -> None:
        timers: Any = self.instance.timers
        self._fire = timers.fire
        timers.fire = fires_nothing

    async def fire_all(self) -> None:
        """Everything that is due now. The news of this instant was read."""
        await self.look()
        # A time-out and the charge that follows it are due at one instant here. The kernel takes that for a case that
        # wants the same wake-up for ever and passes it over for a minute; with a clock that moves it is due later.
        self.instance.timers._stuck.clear()
        while await self._fire():
            pass

    async def look(self) -> None:
        """See that the news is read up to now, so that what waits for that can go on (rule 40)."""
        await self.instance.read_through.look()
        if self.instance.errands is not None:
            self.instance.errands.wake()


async def fires_nothing() -> bool:
    return False


def live_settings(bootstrap: str, database_url: str, prefix: str, policies: Path) -> Settings:
    """Nothing is forgotten within a history (rule 9), for the simulator forgets nothing. What the kernel does of itself
    it does seldom: the test wakes it."""
    return load_settings(
        Settings,
        kafka_bootstrap_servers=bootstrap,
        database_url=database_url,
        topic_prefix=prefix,
        policy_dir=policies,
        start=LONG_AGO,
        instance_id="live",
        log_level="error",
        first_sightings_kept_days=10_000,
        closed_cases_kept_days=10_000,
        closed_invoices_kept_days=10_000,
        read_through_seconds=2,
        timer_poll_seconds=60,
        outbox_poll_seconds=1,
        errand_poll_seconds=1,
        forget_pause_seconds=60,
    )


async def make_topics(settings: Settings, rng: random.Random) -> None:
    """Each with a number of partitions of its own: one account's records lie in differently numbered ones."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(settings.topic_prefix + name, rng.randint(1, PARTITIONS_MAX), 1) for name in TOPICS]
        )
    finally:
        await admin.close()


async def make_tables(settings: Settings) -> None:
    for name in SERVICES:
        await migrate(postgres_settings(settings), name, shards=SHARDS, start=settings.start)
        async with service_schema(settings, name) as connection:
            await begin(connection, name, Mode.ACT)


def services(settings: Settings, deaf: Deaf = hears_everything) -> Sequence[Service[Any]]:
    """In the order in which timers of one instant fire (rule 46). `deaf` plants faults."""

    def fixed() -> tuple[PolicyShelf, FixedStart]:
        return PolicyShelf(settings.policy_dir, SHIPPED_TEMPLATES), FixedStart(settings.start)

    shelf, start = fixed()
    everything = frozenset(Channel)
    notices = notification_dispatcher(shelf, start, everything)
    # Channels whose other side sends no receipts: what they accept is delivered, as in the simulator (rule 46).
    without_receipts = NoticeTrack(shelf.in_force, everything, frozenset(), start=start.instant)
    all_three = (
        retry_scheduler(*fixed()),
        replace(notices, decide=without_receipts.decide),
        account_enforcement(*fixed()),
    )
    return [replace(service, wanted=hearing(service, deaf)) for service in all_three]


def hearing(service: Service[Any], deaf: Deaf) -> Callable[[Input], bool]:
    """What the service listens to, but for what it is to be deaf to."""

    def wanted(event: Input) -> bool:
        return service.wanted(event) and not deaf(service.name, event)

    return wanted


def accepting(clock: HandClock) -> Perform:
    """Stands in for all channels, built or not: the other side accepts at once."""

    async def perform(errand: Errand, begins: Begin) -> ErrandReport | Postpone:
        await begins()
        return delivered_at_once(errand, clock())

    return perform


@asynccontextmanager
async def running(settings: Settings, clock: HandClock, deaf: Deaf = hears_everything) -> AsyncIterator[Sequence[Part]]:
    """All three, ready, in the order of `services`."""
    async with AsyncExitStack() as stack:
        stack.enter_context(in_a_hurry())
        working = services(settings, deaf)
        parts = [await stack.enter_async_context(_running(service, settings, clock)) for service in working]
        for part in parts:
            while part.instance.health.troubles or not part.instance.intake.settled:
                await part.look()
                await (
                    part.instance.timers._horizon.get()
                )  # else only a timer or the next forgetting says that it is there
                await asyncio.sleep(0.02)
        yield parts


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """What comes of a line is published behind marks of transactions, which a reader passes once a second at most, and
    nobody goes on before all have read everything: most of a run was waiting for that second."""
    with patch.object(lane, "_MARKER_SECONDS", 0.0), patch.object(lane, "_WAIT_MS", 50):
        yield


@asynccontextmanager
async def _running(service: Service[Any], settings: Settings, clock: HandClock) -> AsyncIterator[Part]:
    topics = [settings.topic_prefix + topic for topic in service.topics]
    async with (
        PostgresStore.open(postgres_settings(settings), service, clock=clock) as store,
        BrokerLog(settings, topics) as log,
    ):
        for keeper in service.keepers:
            await keeper.start(store.connection)
        instance = Instance(
            service,
            store,
            log,
            settings,
            perform=accepting(clock) if service.name == "notification_dispatcher" else None,
            clock=DatabaseClock(settings.clock_skew_seconds_max, host=clock, monotonic=lambda: seconds(clock())),
        )
        part = Part(service.name, instance)
        keeping = {each.name: partial(each.run, instance.health) for each in service.keepers}
        async with beside(instance.run(beside=keeping)) as working:
            yield part
            if working.done():
                working.result()
            instance.stop()
            await working


def seconds(at: datetime) -> float:
    return at.timestamp()
