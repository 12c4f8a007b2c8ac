"""Moving everybody's clock from one instant to the next at which anything happens, and settling in between.

At an instant all lines are read, in a random order of the topics, and everything that follows from them; then timers
fire, service by service in the order of rule 46, each followed by all that comes of it. Rule 8 promises the same end
where no timer fires between the readings, so none does.
"""

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.contracts.encode_inputs import Form, payment_failed_message, payment_succeeded_message
from dunning.contracts.topics import (
    ACCOUNT_STATUS,
    NOTICE_RESULT,
    PAYMENT_FAILED,
    PAYMENT_SUCCEEDED,
    RETRY_REQUESTED,
    SERVICES,
    SIGNALS,
    STAGE_CHANGED,
)
from dunning.domain.events import PaymentFailed
from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.settings import Settings
from dunning.runtime.store import TopicPartition
from dunning.testing.hand_clock import HandClock
from dunning_cli.simulation.processor import Answer
from tests.model.dates import instant, written
from tests.model.history import Data
from tests.model.live.services import Part

OUTPUTS = (STAGE_CHANGED, RETRY_REQUESTED, NOTICE_RESULT, ACCOUNT_STATUS)
INPUTS = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS)
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.01
NOTICES = 1  # the only one of the three that has errands
ROUNDS_MAX = 200
IN_ORDER = ("retry.now", "payment_method.updated", "notice.bounced")  # what they do depends on what was read before
_WORK = " union all ".join(
    f"select '{name}' as service, exists(select from {name}.outbox) as unsent,"
    f" exists(select from {name}.errands) as errands,"
    f" (select min(due_at) from {name}.cases where due_at is not null) as due_at"
    for name in SERVICES
)


@dataclass(frozen=True)
class Work:
    """What is left to be done in the three schemas, seen at one moment."""

    unsent: bool
    errands: bool
    due: Mapping[str, datetime | None]  # by service

    def earliest(self) -> datetime | None:
        return min((due for due in self.due.values() if due is not None), default=None)


@dataclass
class Stage:
    """The services, the topics around them, and the clock."""

    settings: Settings
    parts: Sequence[Part]
    clock: HandClock
    database: "asyncpg.Connection[asyncpg.Record]"
    producer: AIOKafkaProducer
    reader: AIOKafkaConsumer
    log: BrokerLog
    answers: Mapping[str, Answer]  # by retry id
    published: dict[str, list[Data]] = field(default_factory=lambda: defaultdict(list))  # by account
    unanswered: list[str] = field(default_factory=list)
    steps: int = 0

    async def play(self, lines: Sequence[Data], until: datetime, rng: random.Random) -> None:
        """All lines at their times, and what is due up to `until`, inclusive."""
        waiting: dict[datetime, list[Data]] = defaultdict(list)
        for line in lines:
            waiting[instant(line["at"])].append(line)
        work = await self.settled()
        while True:
            moments = [at for at in (min(waiting, default=None), work.earliest()) if at is not None and at <= until]
            if not moments:
                return
            self.clock.now = max(self.clock.now, min(moments))
            self.steps += 1
            work = await self.step(waiting.pop(self.clock.now, []), rng)

    async def step(self, lines: list[Data], rng: random.Random) -> Work:
        """Everything that happens at this instant."""
        for piece in pieces(lines, rng):
            for line in piece:
                await self.send(line["topic"], account_of(line), json.dumps(line["data"]).encode())
            await self.settled()
        work = await self.work()
        for _ in range(ROUNDS_MAX):
            due = [part for part in self.parts if is_due(work, part.name, self.clock.now)]
            if not due:
                return work
            await due[0].fire_all()
            work = await self.settled()
        raise AssertionError(f"at {self.clock.now}: the timers of {due[0].name} do not come to an end")

    async def send(self, topic: str, account: str, value: bytes) -> None:
        await self.producer.send_and_wait(self.settings.topic_prefix + topic, value, key=account.encode())

    async def settled(self) -> Work:
        """Wait until nothing moves any more while the clock stands, and give back what waits for a later instant.

        All the records that there are after a look at the tables were worked in before it, and the look found nothing
        to be sent or done: so nothing can come of anything.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            done = await self.done()
            work = await self.work()
            ends = await self.log.ends(list(done))
            behind = [each for each, end in ends.items() if done[each] < end]
            if not await self.answer_requests() and not (behind or work.unsent or work.errands):
                return work
            assert time.monotonic() < deadline, f"at {self.clock.now}: {work}, unread: {behind}"
            if work.errands and not behind:
                await self.parts[NOTICES].look()
            await asyncio.sleep(LOOK_SECONDS)

    async def done(self) -> dict[TopicPartition, int]:
        """Up to where each partition was worked in by all its readers, the test's own included."""
        await self.read()
        found = {TopicPartition(*each): await self.reader.position(each) for each in self.reader.assignment()}
        for part in self.parts:
            for partition, done in (await part.instance.intake.done()).items():
                found[partition] = min(done.offset, found.get(partition, done.offset))
        return found

    async def work(self) -> Work:
        """One look at all three schemas."""
        rows = await self.database.fetch(_WORK)
        return Work(
            any(row["unsent"] for row in rows),
            any(row["errands"] for row in rows),
            {row["service"]: row["due_at"] for row in rows},
        )

    async def read(self) -> None:
        """Take what the services published since the last time."""
        for records in (await self.reader.getmany(timeout_ms=0)).values():
            for record in records:
                headers = dict(record.headers)
                line = {
                    "at": written(self.clock.now),
                    "topic": record.topic.removeprefix(self.settings.topic_prefix),
                    "key": record.key.decode(),
                    "sequence": int(headers["ce_sequence"]),
                    "data": json.loads(record.value),
                }
                self.published[line["key"]].append(line)
                if line["topic"] == RETRY_REQUESTED:
                    self.unanswered.append(line["data"]["retry_id"])

    async def answer_requests(self) -> bool:
        """What the simulated processor said to the same requests; to others it says nothing."""
        asked, self.unanswered = self.unanswered, []
        for answer in [self.answers[retry_id] for retry_id in asked if retry_id in self.answers]:
            if isinstance(answer, PaymentFailed):
                message = payment_failed_message(answer, form=Form.PLAIN)
            else:
                message = payment_succeeded_message(answer, form=Form.PLAIN)
            await self.send(message.topic, answer.account_id, message.value)
        return bool(asked)


def is_due(work: Work, service: str, now: datetime) -> bool:
    due = work.due[service]
    return due is not None and due <= now


def pieces(lines: Sequence[Data], rng: random.Random) -> list[list[Data]]:
    """The lines of one instant with their topics merged at random, in a few pieces: everybody has read one before the
    next is sent. An account whose end depends on the order (`IN_ORDER`) is told one thing at a time, as in the file."""
    bound = {account_of(line) for line in lines if line["data"].get("kind") in IN_ORDER}
    found: list[list[Data]] = [[]]
    cuts = rng.choice([0, 1, 2, 4]) / max(len(lines), 1)
    for line in interleaved(lines, bound, rng):
        told = {account_of(other) for other in found[-1]}
        if account_of(line) in bound & told or rng.random() < cuts:
            found.append([])
        found[-1].append(line)
    return [piece for piece in found if piece]


def interleaved(lines: Sequence[Data], bound: Collection[str], rng: random.Random) -> list[Data]:
    """Each topic keeps its order, and each account that is bound to the file's keeps that one."""
    queues: dict[str, list[Data]] = defaultdict(list)
    for line in lines:
        queues[account_of(line) if account_of(line) in bound else line["topic"]].append(line)
    found = []
    while queues:
        name = rng.choice(sorted(queues))
        found.append(queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    return found


def account_of(line: Data) -> str:
    return str(line["data"]["account_id"])


@asynccontextmanager
async def stage(
    settings: Settings, parts: Sequence[Part], clock: HandClock, answers: Mapping[str, Answer]
) -> AsyncIterator[Stage]:
    topics = [settings.topic_prefix + name for name in (*INPUTS, *OUTPUTS)]
    servers = settings.kafka_bootstrap_servers
    reader = AIOKafkaConsumer(
        bootstrap_servers=servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    database = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        async with AIOKafkaProducer(bootstrap_servers=servers) as producer, BrokerLog(settings, topics) as log, reader:
            outputs = {settings.topic_prefix + name for name in OUTPUTS}
            partitions = [KafkaPartition(*each) for each in await log.partitions() if each.topic in outputs]
            reader.assign(partitions)
            yield Stage(settings, parts, clock, database, producer, reader, log, answers)
    finally:
        await database.close()
