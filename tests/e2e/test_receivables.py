"""Real receivables through a real Kafka and the three services, a day lasting four seconds.

The same invoices reach the same rungs as on their own dates, because only how late they were matters. On a busy machine
the services may be late too: then a settlement waits for the rungs before it, and is still in time for the rung behind
it, which comes three days or more after them.
"""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from dunning.contracts.topics import PAYMENT_FAILED, STAGE_CHANGED
from dunning_cli.demo.own_space import BUSY
from dunning_cli.demo.receivables import Fact, Receivable, reached_by, read_receivables, shortened
from tests.e2e.platform import Platform, running_platform

DATA = Path(__file__).parents[1] / "data"
DAY_SECONDS, WINDOW_SECONDS = 4, 12
RUNG_DAYS = {"overdue": 0, "reminder": 3, "warning": 7, "restricted": 10, "last_call": 14, "suspended": 21}
ACCOUNT_DAYS = {"past_due": 0, "restricted": 10, "suspended": 21}
LAST_DAY = 22
PATIENCE_SECONDS = 60


def shortened_policy(folder: Path) -> Path:
    """The policy of the simulation with days of four seconds."""
    text = (DATA / "receivables-policy.yaml").read_text()
    folder.mkdir()
    short = re.sub(r"\b(\d+)d\b", lambda days: f"{int(days[1]) * DAY_SECONDS}s", text)
    (folder / "receivables.yaml").write_text(short)
    return folder


@pytest.fixture
def receivables() -> list[Receivable]:
    with (DATA / "receivables.csv").open(newline="") as file:
        return read_receivables(file)


@pytest.mark.timeout(300)
async def test_the_real_stack_reaches_each_rung_with_the_invoices_that_the_file_implies(
    receivables: list[Receivable], tmp_path: Path, kafka_bootstrap: str, database_url: str, topic_prefix: str
) -> None:
    policies = shortened_policy(tmp_path / "policies")
    servers = (kafka_bootstrap, database_url, topic_prefix)
    with running_platform(tmp_path / "data", policies, *servers, **BUSY) as platform:
        reached = Reached()
        reading = asyncio.create_task(reached.read(platform))
        async with AIOKafkaProducer(bootstrap_servers=platform.kafka, enable_idempotence=True) as producer:
            await Replay(platform, producer, reached).run(receivables)
        await reached.wait_for_all_recovered(len(reached_by(receivables, 0)))
        reading.cancel()
        verdict = platform.verify("--settled")

    for rung, days in RUNG_DAYS.items():
        assert reached.by_stage["notice", rung] == reached_by(receivables, days), rung
    for stage, days in ACCOUNT_DAYS.items():
        assert reached.by_stage["account", stage] == reached_by(receivables, days), stage
    assert reached.by_stage["notice", "recovered"] == reached_by(receivables, 0)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


class Reached:
    """Which invoices came to which stage of which track, as it is published."""

    def __init__(self) -> None:
        self.by_stage: dict[tuple[str, str], set[str]] = defaultdict(set)

    async def read(self, platform: Platform) -> None:
        """Read on until cancelled."""
        async with AIOKafkaConsumer(
            platform.topic_prefix + STAGE_CHANGED,
            bootstrap_servers=platform.kafka,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        ) as consumer:
            async for record in consumer:
                data = json.loads(record.value)
                self.by_stage[data["track"], data["to_stage"]].add(data["invoice_id"])

    def all_before(self, receivable: Receivable) -> bool:
        """Whether everything happened that happens before this settlement."""
        reached = [("notice", rung) for rung, days in RUNG_DAYS.items() if days < receivable.days_late]
        reached += [("account", stage) for stage, days in ACCOUNT_DAYS.items() if days < receivable.days_late]
        return all(receivable.invoice_id in self.by_stage[stage] for stage in reached)

    async def wait_for_all_recovered(self, cases: int) -> None:
        """Wait until every case has ended on the two tracks that an overdue payment has."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        ends = self.by_stage["notice", "recovered"], self.by_stage["account", "active"]
        while not all(len(end) >= cases for end in ends):
            assert asyncio.get_running_loop().time() < deadline, f"of {cases}, {[len(end) for end in ends]} ended"
            await asyncio.sleep(0.1)


class Replay:
    """Sends every event at its time; a settlement waits for what happens before it, should the services be late."""

    def __init__(self, platform: Platform, producer: AIOKafkaProducer, reached: Reached) -> None:
        self._prefix = platform.topic_prefix
        self._producer = producer
        self._reached = reached
        self._held: list[tuple[Receivable, Fact]] = []

    async def run(self, receivables: list[Receivable]) -> None:
        """All of it, from three seconds from now on."""
        by_invoice = {receivable.invoice_id: receivable for receivable in receivables}
        starts_at = datetime.now(UTC) + timedelta(seconds=3)
        facts = shortened(receivables, starts_at, DAY_SECONDS, WINDOW_SECONDS)
        for fact in squeeze_the_end(facts, starts_at):
            await self._wait_until(fact.at)
            receivable = by_invoice[fact.data["invoice"]["id"]]
            if fact.topic == PAYMENT_FAILED or self._reached.all_before(receivable):
                await self._send(fact)
            else:
                self._held.append((receivable, fact))
        await self._wait_until(datetime.now(UTC) + timedelta(seconds=PATIENCE_SECONDS), while_held=True)

    async def _wait_until(self, at: datetime, *, while_held: bool = False) -> None:
        while (seconds := (at - datetime.now(UTC)).total_seconds()) > 0 and (self._held or not while_held):
            await self._send_what_need_not_wait()
            await asyncio.sleep(min(seconds, 0.1))

    async def _send_what_need_not_wait(self) -> None:
        waiting, self._held = self._held, []
        for receivable, fact in waiting:
            if self._reached.all_before(receivable):
                await self._send(_paid_at(fact, datetime.now(UTC)))
            else:
                self._held.append((receivable, fact))

    async def _send(self, fact: Fact) -> None:
        value, key = json.dumps(fact.data).encode(), str(fact.data["account_id"]).encode()
        await self._producer.send(self._prefix + fact.topic, value, key=key)


def squeeze_the_end(facts: Sequence[Fact], starts_at: datetime) -> list[Fact]:
    """When the last rung of the last invoice was due, nobody need wait any longer for those who pay even later."""
    end = starts_at + timedelta(seconds=WINDOW_SECONDS + LAST_DAY * DAY_SECONDS)
    return [fact for fact in facts if fact.at <= end] + [_paid_at(fact, end) for fact in facts if fact.at > end]


def _paid_at(fact: Fact, at: datetime) -> Fact:
    return Fact(at, fact.topic, {**fact.data, "succeeded_at": at.isoformat()})
