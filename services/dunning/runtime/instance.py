"""One running instance of a service: its parts, who wakes whom, and how they end."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dunning.contracts.decode import decode as decode_message
from dunning.contracts.encode import encode
from dunning.domain.account import AccountState
from dunning.domain.events import AccountStatus, NoticeResult, Output
from dunning.runtime.broker_log import BrokerLog
from dunning.runtime.cancelling import cancelled
from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.consumer import Intake
from dunning.runtime.dead_letters import REASONS
from dunning.runtime.errands import Errands
from dunning.runtime.fold import Outcome
from dunning.runtime.forgetting import Forgetting
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for, told
from dunning.runtime.metrics import Metrics
from dunning.runtime.mode import ModeWatch
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.outbox_watch import OutboxWatch
from dunning.runtime.problem import PART_DIED, Problem
from dunning.runtime.read_through import Horizon, ReadThrough
from dunning.runtime.relay import Relay
from dunning.runtime.replays import Replays
from dunning.runtime.service import Perform, Service
from dunning.runtime.settings import Settings
from dunning.runtime.shard_lock import ShardLocks
from dunning.runtime.store import OutboxRow, Store
from dunning.runtime.timers import Timers
from dunning.runtime.turn import Decode, Turn
from dunning.runtime.wanted import pass_over

A = TypeVar("A", bound=AccountState[Any])
Part = Callable[[], Coroutine[Any, Any, None]]
_DRAIN_SECONDS = 3.0
_log = log_for("instance")


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an instance reads, where that is not simply the service's topics."""

    prefix: str  # of the topics' names, which are whole
    topics: tuple[str, ...]
    decode: Decode = decode_message
    sets_aside: bool = True  # what cannot be used becomes a dead letter


class Instance(Generic[A]):
    """The kernel at work for one service, on a store and a broker that are there.

    Several instances of a service may run at once, in one process too. Each part waits by itself for what is away; one
    that ends without being told to is a mistake, and ends the instance.
    """

    def __init__(
        self,
        service: Service[A],
        store: Store[A],
        log: BrokerLog,
        settings: Settings,
        *,
        perform: Perform | None = None,
        metrics: Metrics | None = None,
        health: Health | None = None,
        clock: DatabaseClock | None = None,
        inputs: Inputs | None = None,
        clients: Clients = AIOKAFKA,
        locks: ShardLocks | None = None,
    ) -> None:
        self.metrics = metrics or Metrics(service.name)
        self.health = health or Health(self.metrics)
        self.clock = clock or DatabaseClock(settings.clock_skew_seconds_max)
        self._settings = settings
        self._stop = asyncio.Event()
        self._locks = locks or ShardLocks(settings, service.name)
        prefix = settings.topic_prefix
        inputs = inputs or Inputs(prefix, tuple(prefix + topic for topic in service.topics))
        topics = list(inputs.topics)
        self.metrics.begin_at_zero(topics, REASONS)
        common: dict[str, Any] = {
            "settings": settings,
            "clock": self.clock,
            "metrics": self.metrics,
            "health": self.health,
        }
        after: dict[str, Any] = {"committed": self._committed}
        write = outbox_writer(settings.topic_prefix)
        passed_over = pass_over(service, test_mode=settings.test_mode)
        horizon = Horizon(store, log, **common)
        self._bound = OutboxBound(store, settings.outbox_rows_max, self.health)
        turn = Turn(
            service,
            store,
            inputs.decode,
            write,
            passed_over,
            topic_prefix=inputs.prefix,
            sets_aside=inputs.sets_aside,
            clock=self.clock,
            metrics=self.metrics,
            health=self.health,
            committed=self._committed,
        )
        self.intake = Intake(service.name, topics, store, turn, log, self._bound, clients=clients, **common)
        self.read_through = ReadThrough(self.intake, store, log, **common)
        self.mode = ModeWatch(store, self.metrics)
        self.timers = Timers(service, store, horizon, self._bound, write, **common, **after)
        self.replays = Replays(service, store, inputs.decode, write, passed_over, **common, **after)
        self.forgetting = Forgetting(store, horizon, settings=settings, metrics=self.metrics)
        self.errands = Errands(service, store, perform, horizon, write, **common, **after) if perform else None
        self.relays = [
            Relay(shard, service.name, store, self._locks, topics[0], clients=clients, **common)
            for shard in range(store.shards)
        ]
        self._watch = OutboxWatch(self.relays, store, settings.outbox_poll_seconds)
        self.health.starting("horizon")

    def stop(self) -> None:
        """Ask for a graceful end."""
        self._stop.set()

    async def run(self, beside: Mapping[str, Part] | None = None) -> None:
        """Work until stopped. Raises Problem when a part died; whatever `beside` runs along is a part too."""
        stopped = asyncio.create_task(self._stop.wait(), name="stop")
        running = {**self._parts(), **(beside or {})}
        parts = [asyncio.create_task(run(), name=name) for name, run in running.items()]
        try:
            done, _ = await asyncio.wait([stopped, *parts], return_when=asyncio.FIRST_COMPLETED)
            dead = [part for part in parts if part in done]
            if dead:
                raise _died(dead[0])
            await self._end(parts)
        finally:
            await cancelled(stopped, *parts)
            await self._locks.close()

    def _parts(self) -> dict[str, Part]:
        parts: dict[str, Part] = {
            "consumer": self.intake.run,
            "read_through": self.read_through.run,
            "timers": self.timers.run,
            "replays": self.replays.run,
            "mode": self.mode.run,
            "forgetting": self.forgetting.run,
            "shard locks": self._locks.keep_alive,
            "outbox watch": self._watch.run,
        }
        if self.errands is not None:
            parts["errands"] = self.errands.run
        for shard, relay in enumerate(self.relays):
            parts[f"relay {shard}"] = relay.run
        return parts

    async def _end(self, parts: Sequence[asyncio.Task[None]]) -> None:
        """First nothing new comes in and what is at hand is finished; then what that produced is published."""
        _log.info("stopping")
        self.intake.stop()
        self.timers.stop()
        self.replays.stop()
        self.forgetting.stop()
        if self.errands is not None:
            self.errands.stop()
        intake = [part for part in parts if part.get_name() in {"consumer", "timers", "replays", "errands"}]
        await asyncio.wait(intake, timeout=self._settings.stop_timeout_seconds - _DRAIN_SECONDS - 1)
        for relay in self.relays:
            relay.drain()
        relays = [part for part in parts if part.get_name().startswith("relay")]
        _, late = await asyncio.wait(relays, timeout=_DRAIN_SECONDS)
        _log.info("stopped", unpublished_shards=len(late))

    def _committed(self, outcome: Outcome) -> None:
        """A transaction of ours was committed: whoever goes on from there need not wait for the next look."""
        if outcome.rows:
            self._bound.written(len(outcome.rows))
            self._watch.written(outcome.rows)
        if outcome.errands and self.errands is not None:
            self.errands.wake()
        self.timers.due_by(outcome.earliest_due_at)


def outbox_writer(prefix: str) -> Callable[[Output], OutboxRow]:
    """How outputs become outbox rows."""

    def write(output: Output) -> OutboxRow:
        message = encode(output, prefix)
        return OutboxRow(
            topic=message.topic,
            key=output.account_id,
            value=message.value,
            headers=message.headers,
            case_id=_case_of(output),
            account_id=output.account_id,
        )

    return write


def _case_of(output: Output) -> str | None:
    """Whose story the event belongs to; a status is about the account."""
    if isinstance(output, AccountStatus):
        return None
    if isinstance(output, NoticeResult):
        return output.case_ids[0] if output.case_ids else None
    return output.case_id


def _died(part: asyncio.Task[None]) -> Problem:
    error = None if part.cancelled() else part.exception()
    if isinstance(error, Problem):
        return error
    if error is not None:
        _log.error("a part died", name=part.get_name(), **told(error))
    return Problem(
        PART_DIED, f"{part.get_name()} ended without being told to ({type(error).__name__}); the log says where"
    )
