"""One show from its first event until nothing is due any more: traffic, processor, reader and screen side by side."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer

from dunning.contracts.topics import PAYMENT_FAILED
from dunning.domain.policy import Policy
from dunning_cli.demo.books import Books
from dunning_cli.demo.ledger import Ledger
from dunning_cli.demo.player import Player
from dunning_cli.demo.processor import Processor, run_processor
from dunning_cli.demo.reader import Reader
from dunning_cli.demo.screen import Progress, Screen
from dunning_cli.demo.traffic import Plan, Sending, schedule
from dunning_cli.stack.reach import KAFKA

QUIET_SECONDS = 4.0
OVERTIME_SECONDS = 15.0  # how long after the last date the show waits for silence
_DRAW_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Casting:
    """What is played, and where."""

    settings: Mapping[str, str]
    prefix: str
    ledger: Path
    poison: Path
    policy: Policy
    invoices: int
    seconds: float
    seed: int
    day_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was read, and whether everything had come to rest."""

    reader: Reader
    settled: bool


async def perform(casting: Casting, screen: Screen) -> Outcome:
    """Play, watch, and return when it is quiet, or when it should long have been."""
    starts_at = datetime.now(UTC) + timedelta(seconds=0.5)
    sendings = schedule(Plan(starts_at, casting.seed, casting.invoices, casting.seconds, casting.day_seconds))
    stopping, reader, books = asyncio.Event(), Reader(casting.prefix), Books()
    servers = casting.settings[KAFKA]
    with Ledger(casting.ledger) as ledger:
        async with AIOKafkaProducer(bootstrap_servers=servers, enable_idempotence=True, linger_ms=5) as producer:
            player = Player(producer, books, casting.poison, casting.prefix)
            processor = Processor(ledger, casting.seed, books)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(reader.run(servers, stopping))
                tasks.create_task(run_processor(processor, servers, stopping, prefix=casting.prefix))
                playing = tasks.create_task(player.play(sendings, starts_at))
                settled = await _watch(casting, screen, _Stage(sendings, starts_at, player, playing, reader))
                stopping.set()
    return Outcome(reader, settled)


@dataclass(frozen=True, slots=True)
class _Stage:
    sendings: Sequence[Sending]
    starts_at: datetime
    player: Player
    playing: "asyncio.Task[None]"
    reader: Reader

    def last_date(self, policy: Policy) -> datetime:
        """When the last rung of the last failure is due."""
        last_failure = max(sending.offset_seconds for sending in self.sendings if sending.topic == PAYMENT_FAILED)
        ladder_seconds = policy.ladder[-1].at.nominal_seconds
        return self.starts_at + timedelta(seconds=last_failure + ladder_seconds)


async def _watch(casting: Casting, screen: Screen, stage: _Stage) -> bool:
    last_date = stage.last_date(casting.policy)
    began = time.monotonic()
    while True:
        now = datetime.now(UTC)
        quiet = stage.playing.done() and now > last_date and stage.reader.quiet_seconds > QUIET_SECONDS
        late = now > last_date + timedelta(seconds=OVERTIME_SECONDS)
        phase = _phase(stage, now, last_date)
        progress = Progress(time.monotonic() - began, stage.player.sent, _to_send(stage), phase)
        screen.show(stage.reader.tally.snapshot, progress)
        if quiet or late:
            return quiet
        await asyncio.sleep(_DRAW_SECONDS)


def _to_send(stage: _Stage) -> int:
    return len(stage.sendings) - stage.player.dropped


def _phase(stage: _Stage, now: datetime, last_date: datetime) -> str:
    if not stage.playing.done():
        return "charges fail, people react"
    left = (last_date - now).total_seconds()
    return f"the last ladder ends in {left:.0f} s" if left > 0 else "waiting for silence"
