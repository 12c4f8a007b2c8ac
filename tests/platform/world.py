"""One run: three services of one or two instances each, a broker, three schemas, a processor, a mail server, time.

The services are `dunning.runtime.instance.Instance` with their real decisions, on the log and the stores in memory.
Time passes in two ways: seconds of the simulated loop, in which the parts of the kernel look, wait and retry; and jumps
of all clocks at once to the next thing that is sent or due, when everybody has come to rest.
"""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from account_enforcement.service import account_enforcement
from dunning.contracts.topics import (
    NOTIFICATION_DISPATCHER,
    RETRY_REQUESTED,
    SERVICES,
    TOPICS,
)
from dunning.domain.decision import Errand
from dunning.domain.events import ErrandReport
from dunning.domain.policy import Policies
from dunning.domain.track import BEFORE_EVERYTHING
from dunning.domain.words import Channel
from dunning.runtime.broker_log import KAFKA_TROUBLES, BrokerLog
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.health import Health
from dunning.runtime.instance import Instance
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.problem import Problem
from dunning.runtime.service import Begin, Service
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.start import FixedStart
from dunning.runtime.store import TopicPartition
from dunning.testing.memory import MemoryStore
from dunning.testing.memory_clients import MemoryBroker
from dunning.testing.memory_log import MemoryLog
from dunning_cli.simulation.world import delivered_at_once
from dunning_verifier.values import Charge, Mail
from notification_dispatcher.service import notification_dispatcher
from retry_scheduler.service import retry_scheduler
from tests.platform.ambushes import BROKER, EVERY, MAIL
from tests.platform.database import Database, SimulatedShardLocks
from tests.platform.faults import OUTSIDE, Faults, Way
from tests.platform.late_news import bring_news
from tests.platform.loop import Life, Process, SimulatedLoop
from tests.platform.payments import answer
from tests.platform.scenario import PARTITIONS, Scenario, Sent, loaded

SHARDS = 2
PATIENCE_SECONDS = 150.0  # for faults to pass by themselves; then they are healed
HEALED_PATIENCE_SECONDS = 400.0
TICK_SECONDS = 0.15
_RING_SECONDS = 0.06
SESSION_SECONDS = 3.0  # less than a broker grants: everything that lasts is short here, for it is waited for
SETTINGS = load_settings(
    Settings,
    kafka_bootstrap_servers="memory",
    database_url="postgresql://memory",
    kafka_transaction_timeout_seconds=3,
    kafka_metadata_max_age_seconds=1e9,
    lanes=2,
    batch_records=4,
    timer_poll_seconds=2,  # and whenever something is due
    read_through_seconds=2,
    outbox_poll_seconds=2,
    errand_poll_seconds=2,
    errand_lease_seconds=10,
    errand_pause_seconds=2,
    replay_poll_seconds=600,
)


class _Start(FixedStart):
    def instant(self) -> datetime:
        return BEFORE_EVERYTHING


class _Shelf(PolicyShelf):
    def __init__(self, policies: Policies) -> None:
        super().__init__(None, ())
        self._policies = policies


@cache
def service_of(name: str, policy: int) -> Service[Any]:
    """A service with its decisions; it keeps nothing between inputs."""
    shelf, start = _Shelf(loaded(policy)), _Start(None)
    match name:
        case "retry_scheduler":
            return retry_scheduler(shelf, start)
        case "notification_dispatcher":
            return notification_dispatcher(shelf, start, frozenset(Channel))
        case _:
            return account_enforcement(shelf, start)


def _look_at_what_is_due(instance: Instance[Any]) -> None:
    for part in (instance.timers, instance.errands):
        if part is not None:
            part._rounds.wake()


@cache
def _settings(instance: str) -> Settings:
    return SETTINGS.model_copy(update={"instance_id": instance, "kafka_session_timeout_seconds": SESSION_SECONDS})


class _NoMetrics:
    """Counters of whatever name that count nothing: nobody looks at them here."""

    def __getattr__(self, name: str) -> Any:
        return self

    def labels(self, *given: Any) -> Any:
        return self

    def count(self, *given: Any) -> None:
        """Nothing."""

    inc = dec = set = observe = remove = set_function = begin_at_zero = count


class Clocks:
    """The database's clock, which jumps when everybody rests."""

    def __init__(self, loop: SimulatedLoop, starts_at: datetime) -> None:
        self._loop = loop
        self._starts_at = starts_at
        self._jumped = 0.0

    def seconds(self) -> float:
        """Since the beginning, jumps included."""
        return self._loop.time() + self._jumped

    def now(self) -> datetime:
        return self._starts_at + timedelta(seconds=self.seconds())

    def jump(self, to: datetime) -> None:
        self._jumped += max(0.0, (to - self.now()).total_seconds())


@dataclass
class Slot:
    """Where an instance of a service runs, over and over."""

    service: str
    name: str
    process: Process | None = None
    instance: Instance[Any] | None = None
    wakes_at: datetime | None = None  # it is down until then
    skew_seconds: float = 0.0

    @property
    def is_well(self) -> bool:
        return self.process is not None and self.process.life is Life.RUNS and self.instance is not None


@dataclass
class World:
    """Everything of one run."""

    scenario: Scenario
    rng: random.Random
    loop: SimulatedLoop
    faults: Faults
    tell: Callable[[str], None] | None = None
    seen: list[str] = field(default_factory=list)  # what must not be
    mails: list[Mail] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    poison: dict[tuple[str, int, int], str] = field(default_factory=dict)
    requests_read: dict[TopicPartition, int] = field(default_factory=dict)
    known_requests: set[str] = field(default_factory=set)
    starts: int = 0
    has_slept: bool = False

    def __post_init__(self) -> None:
        self.clocks = Clocks(self.loop, self.scenario.starts_at - timedelta(seconds=30))
        self.log = MemoryLog(dict.fromkeys(TOPICS, PARTITIONS), lambda: int(self.clocks.now().timestamp() * 1000))
        self.broker = MemoryBroker(self.log)
        self.databases = {
            name: Database(
                MemoryStore(service_of(name, self.scenario.policy), clock=self.clocks.now, shards=SHARDS), self.faults
            )
            for name in SERVICES
        }
        self.slots = [Slot(name, "one") for name in SERVICES]
        needs_two = self.faults.ambush.needs_two
        self.slots += [Slot(name, "two") for name in SERVICES if needs_two in (name, EVERY) or self.rng.random() < 0.4]
        self.sent = list(self.scenario.sent)
        self.faults.say = self.say

    def say(self, what: str) -> None:
        """A line of the trace."""
        if self.tell is not None:
            self.tell(f"{self.loop.time():10.4f} {self.loop.steps:7d} {self.clocks.now():%m-%d %H:%M:%S.%f} {what}")

    # -- the story

    async def play(self) -> None:
        """From the beginning to the end, then everything healed and at rest."""
        for slot in self.slots:
            self.loop.call_later(self.rng.random(), self.start, slot, context=OUTSIDE)
        while await self._come_to_rest():
            next_at = self._next_instant()
            if next_at is None or next_at > self.scenario.until:
                break
            bring_news(self, next_at)
            self.clocks.jump(next_at)
            self._send_what_is_due()
            self._wake()
            self._ring()
        self.faults.heal()
        for slot in self.slots:
            slot.skew_seconds = 0.0
        if not self.seen:
            await self._come_to_rest()

    def _troubles(self) -> dict[str, str]:
        return {
            f"{slot.service} {slot.name}: {part}": trouble
            for slot in self.slots
            if slot.instance is not None
            for part, trouble in slot.instance.health.troubles.items()
        }

    def _next_instant(self) -> datetime | None:
        found = [self.sent[0].at] if self.sent else []
        for slot in self.slots:
            if slot.wakes_at is not None:
                found.append(slot.wakes_at)
        for name, database in self.databases.items():
            if self._sleeps(name):
                continue
            tables = database.store._tables
            if tables.cases._due:
                found.append(tables.cases._due[0].due_at)
            found += [row.due_at for row in tables.errands.values()]
        return min(found, default=None)

    def _send_what_is_due(self) -> None:
        now = self.clocks.now()
        while self.sent and self.sent[0].at <= now:
            self.send(self.sent.pop(0))

    def send(self, sent: Sent) -> None:
        key = sent.key.encode() if sent.key is not None else None
        offset = self.log.append(TopicPartition(sent.topic, sent.partition), key, sent.value, sent.headers)
        if sent.poison:
            self.poison[sent.topic, sent.partition, offset] = "made unreadable"
        if sent.again:
            self.faults.counts["event sent twice"] += 1
        self.say(f"SENT {sent.topic}[{sent.partition}]@{offset} {sent.value[:200]!r}")

    def _sleeps(self, service: str) -> bool:
        return all(slot.wakes_at is not None for slot in self.slots if slot.service == service)

    def _wake(self) -> None:
        for slot in self.slots:
            if slot.wakes_at is not None and slot.wakes_at <= self.clocks.now():
                slot.wakes_at = None
                self.loop.call_later(self.rng.random() * 2, self.start, slot, context=OUTSIDE)

    # -- rest

    async def _come_to_rest(self) -> bool:
        """Wait until nothing is under way; what stands in the way of that for too long is healed."""
        patience_until = self.loop.time() + PATIENCE_SECONDS
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._charge()
            self._send_what_is_due()
            if self._rests():
                return True
            self._ring()
            self._make_trouble()
            if self.loop.time() > patience_until:
                if self.faults.left or self.faults.ambush.left or any(slot.skew_seconds for slot in self.slots):
                    self.faults.heal()
                    for slot in self.slots:
                        slot.skew_seconds = 0.0
                    patience_until = self.loop.time() + HEALED_PATIENCE_SECONDS
                    continue
                self.seen.append(f"does not come to rest: {self._unrest()}; troubles: {self._troubles()}")
                return False

    def _rests(self) -> bool:
        return self._unrest() is None

    def _unrest(self) -> str | None:
        """What is still under way."""
        now = self.clocks.now()
        for slot in self.slots:
            if slot.wakes_at is None and not slot.is_well:
                return f"{slot.service} {slot.name} is not up"
        for name, database in self.databases.items():
            if self._sleeps(name):
                continue
            tables = database.store._tables
            if any(tables.outbox):
                return f"{name} has not published everything"
            if tables.cases._due and tables.cases._due[0].due_at <= now:
                return f"{name} has timers due: {tables.cases._due[0]}"
            if any(row.due_at <= now for row in tables.errands.values()):
                return f"{name} has errands to do"
            for topic in service_of(name, 0).topics:
                for number in range(PARTITIONS):
                    at = TopicPartition(topic, number)
                    row = tables.offsets.get(at)
                    stored = row.next_offset or 0 if row else 0
                    if stored < self.log.end(at) and self.log.read(at, stored, 1, committed=False)[0]:
                        return f"{name} has not read {topic}[{number}] from {stored} on"
        return None

    def _ring(self) -> None:
        """Those for whom something is due look sooner or later, and need not do so all the time."""
        now = self.clocks.now()
        for slot in self.slots:
            process, instance = slot.process, slot.instance
            if process is None or instance is None or not self._has_something_due(slot.service, now):
                continue
            looks = self.rng.random() * _RING_SECONDS
            self.loop.call_later(looks, process.ring, context=OUTSIDE)
            self.loop.call_later(
                looks + self.rng.random() * _RING_SECONDS, _look_at_what_is_due, instance, context=OUTSIDE
            )

    def _has_something_due(self, service: str, now: datetime) -> bool:
        tables = self.databases[service].store._tables
        due = tables.cases._due
        return bool(due and due[0].due_at <= now) or any(row.due_at <= now for row in tables.errands.values())

    # -- trouble that strikes whole servers and hosts

    def _make_trouble(self) -> None:
        faults, rng = self.faults, self.rng
        if faults.left <= 0 or rng.random() > faults.chance:
            return
        slot = rng.choice(self.slots)
        if not slot.is_well:
            return
        assert slot.process is not None
        assert slot.instance is not None
        kind = rng.choice(["clock skewed", "stopped and started", "database restarted", "clock skewed"])
        faults.left -= 1
        faults.counts[kind] += 1
        self.say(f"FAULT {kind}: {slot.service} {slot.name}")
        match kind:
            case "clock skewed":
                slot.skew_seconds = rng.choice([-3600.0, -20.0, -4.0, 4.0, 20.0, 3600.0])
                self.loop.call_later(rng.choice([2.0, 12.0]), self._agree, slot, context=OUTSIDE)
            case "stopped and started":
                slot.instance.stop()
            case _:
                database = self.databases[slot.service]
                for process in [each.process for each in self.slots if each.service == slot.service and each.process]:
                    database.disconnect(process)

    @staticmethod
    def _agree(slot: Slot) -> None:
        slot.skew_seconds = 0.0

    # -- processes

    def start(self, slot: Slot) -> None:
        """Start an instance, as a supervisor does."""
        if slot.wakes_at is not None or slot.process is not None:
            return
        self.starts += 1
        process = Process(f"{slot.service} {slot.name} #{self.starts}")
        slot.process, slot.instance = process, None
        process.ends.append(lambda: self._died(slot, process))
        self.say(f"START {process.name}")
        process.start(self.loop, self._serve(slot, process))

    def _died(self, slot: Slot, process: Process) -> None:
        if slot.process is not process:
            return
        slot.process = slot.instance = None
        self.say(f"DIED {process.name}")
        if self.faults.left > 0 and self.rng.random() < 0.15:
            self._sleep(slot.service)
            return
        self.loop.call_later(self.rng.choice([0.3, 1.0, 5.0]), self.start, slot, context=OUTSIDE)

    def _sleep(self, service: str) -> None:
        """The whole service stays away for long."""
        self.has_slept = True
        hours = self.rng.choice([1, 20, 70, 200])
        wakes_at = min(self.clocks.now() + timedelta(hours=hours, minutes=3), self.scenario.until)
        self.faults.counts["service away for hours or days"] += 1
        self.say(f"FAULT service away: {service} until {wakes_at}")
        for each in self.slots:
            if each.service == service:
                each.wakes_at = wakes_at
                process, each.process, each.instance = each.process, None, None
                if process is not None:
                    process.kill()

    async def _serve(self, slot: Slot, process: Process) -> None:
        """What `python -m <service>` does, without the web server and the shadow."""
        service = service_of(slot.service, self.scenario.policy)
        database = self.databases[slot.service]
        settings = _settings(slot.name)
        clients = self.broker.clients(Way(self.faults, process, BROKER))
        clock = DatabaseClock(
            settings.clock_skew_seconds_max,
            host=lambda: self.clocks.now() + timedelta(seconds=slot.skew_seconds),
            monotonic=self.clocks.seconds,
        )
        metrics: Any = _NoMetrics()
        while True:
            try:
                async with BrokerLog(settings, service.topics, clients) as log:
                    slot.instance = Instance(
                        service,
                        database.connect(process),
                        log,
                        settings,
                        perform=self._channel(process) if slot.service == NOTIFICATION_DISPATCHER else None,
                        metrics=metrics,
                        health=Health(metrics),
                        clock=clock,
                        clients=clients,
                        locks=SimulatedShardLocks(database, process),
                    )
                    await slot.instance.run()
                    break
            except KAFKA_TROUBLES:
                await asyncio.sleep(1)
            except Problem as problem:
                self.seen.append(f"{process.name} gave up: {problem}")
                break
        self.say(f"ENDED {process.name}")
        process.kill()

    def _channel(self, process: Process) -> Any:
        """The dispatcher's way to the world: a mail server that takes everything, over a line that may break."""
        way = Way(self.faults, process, MAIL)

        async def perform(errand: Errand, begin: Begin) -> ErrandReport:
            if await begin():
                await way.before("mail")
                if errand.kind == Channel.EMAIL:
                    self.mails.append(Mail(f"mail-{len(self.mails)}", errand.errand_id, self.clocks.now()))
                self.say(f"MAIL {errand.kind} {errand.errand_id}")
                await way.after("mail")
            return delivered_at_once(errand, self.clocks.now())

        return perform

    # -- the payment platform

    def _charge(self) -> None:
        """Answer what was asked for: as the scenario says, at most once, and not after its time."""
        for number in range(PARTITIONS):
            at = TopicPartition(RETRY_REQUESTED, number)
            entries, self.requests_read[at] = self.log.read(at, self.requests_read.get(at, 0), 100, committed=True)
            for entry in entries:
                data = json.loads(entry.value or b"")
                if data["retry_id"] not in self.known_requests:
                    self.known_requests.add(data["retry_id"])
                    self._answer(data)

    def _answer(self, request: dict[str, Any]) -> None:
        now = self.clocks.now()
        said = answer(self.scenario, request, now)
        if said is None:
            return
        account, invoice = request["account_id"], request["invoice_id"]
        charge_id, amount, currency = len(self.charges) + 1, request["amount_minor"], request["currency"]
        self.charges.append(Charge(charge_id, request["retry_id"], invoice, now, said.outcome, amount, currency))
        partition = sum(account.encode()) % PARTITIONS
        sent = Sent(now, said.topic, partition, account, json.dumps(said.body).encode())
        self.send(sent)
        if self.rng.random() < 0.1:
            self.send(Sent(now, said.topic, self.rng.randrange(PARTITIONS), account, sent.value, again=True))
