"""Running a service as a process: waits for what it needs, works until told to stop, says in one line why it ended."""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from prometheus_client import ProcessCollector

from dunning.domain.account import AccountState
from dunning.runtime.backlog import watch_backlog
from dunning.runtime.broker_log import KAFKA_TROUBLES, BrokerLog, kafka_unreachable
from dunning.runtime.health import Health, HealthServer
from dunning.runtime.instance import Instance
from dunning.runtime.logs import configure_logs, log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.mode import Mode
from dunning.runtime.observer import Observer
from dunning.runtime.pauses import Pauses
from dunning.runtime.postgres import PostgresSettings, PostgresStore, SchemaMissing
from dunning.runtime.problem import DATABASE_UNREACHABLE, SCHEMA_MISSING, TOPIC_MISSING, Problem
from dunning.runtime.service import Perform, Service
from dunning.runtime.settings import Settings
from dunning.runtime.store import StoreUnavailable
from dunning.runtime.switch import begin, service_schema

A = TypeVar("A", bound=AccountState[Any])
T = TypeVar("T")
_GONE_AFTER_SECONDS = 3.0  # behind the time to stop
_log = log_for("run")


async def run(
    service: Service[A], settings: Settings, *, perform: Perform | None = None, metrics: Metrics | None = None
) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code. `metrics` is given when the service has some of its own."""
    configure_logs(settings.log_format, settings.log_level, service.name, settings.instance_id)
    try:
        await _run(service, settings, perform, metrics or Metrics(service.name))
    except Problem as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - the one line for whoever started it
        return 1
    return 0


async def _run(service: Service[A], settings: Settings, perform: Perform | None, metrics: Metrics) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.test_mode:
        _log.warning("test mode: events with livemode false act, and so do live ones (rule 4)")
    ProcessCollector(namespace="dunning", registry=metrics.registry)
    health = Health(metrics)
    health.starting("instance")
    server = HealthServer(health)
    await server.start(settings.metrics_host, settings.metrics_port)
    _log.info("listening", host=settings.metrics_host, port=server.port)
    try:
        working = asyncio.create_task(_work(service, settings, perform, metrics, health, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await asyncio.wait([working], timeout=settings.stop_timeout_seconds)
        if not working.done():
            _log.error("did not stop in time")
            gone_after(_GONE_AFTER_SECONDS)
            working.cancel()
            await asyncio.wait([working], timeout=1)
        elif not working.cancelled():
            working.result()
    finally:
        await server.stop()


def gone_after(seconds: float) -> None:
    """Whatever still holds on then, the process ends. The loop waits for every task, and one that missed its
    cancellation would keep a process that does nothing from being replaced. A crash loses nothing, so neither does
    this."""
    last_resort = threading.Timer(seconds, os._exit, (1,))
    last_resort.daemon = True
    last_resort.start()


async def _work(
    service: Service[A],
    settings: Settings,
    perform: Perform | None,
    metrics: Metrics,
    health: Health,
    stop: asyncio.Event,
) -> None:
    async with AsyncExitStack() as stack:
        start = Start(settings, stop, monotonic() + settings.start_timeout_seconds)
        topics = [settings.topic_prefix + topic for topic in service.topics]
        try:
            store = await start.waited(
                lambda: stack.enter_async_context(PostgresStore.open(postgres_settings(settings), service))
            )
            log = await start.waited(lambda: stack.enter_async_context(_log_with_topics(settings, topics)))
            for keeper in service.keepers:
                await start.waited(partial(keeper.start, store.connection))
            await start.waited(lambda: _begin_with_mode(settings, service.name))
        except Stopped:
            return
        instance = Instance(service, store, log, settings, perform=perform, metrics=metrics, health=health)
        health.well("instance")
        _collect_garbage_less_often()
        ending = asyncio.create_task(_stop_when(stop, instance))
        try:
            beside: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
                keeper.name: partial(keeper.run, health) for keeper in service.keepers
            }
            beside["backlog"] = lambda: watch_backlog(store.connection, metrics)
            for companion in service.companions:
                beside[companion.name] = partial(companion.run, store, health)
            if (guard := service.guard) is not None:
                beside["guard"] = lambda: guard.watch(store.connection, health)
            observer = Observer(service, instance.mode, settings, postgres_settings(settings), health, perform)
            beside["observer"] = observer.run
            await instance.run(beside=beside)
        finally:
            ending.cancel()


async def _begin_with_mode(settings: Settings, service: str) -> None:
    """The setting counts at the first start only: afterwards whoever switches has the last word (rule 42)."""
    async with service_schema(settings, service) as connection:
        mode = await begin(connection, service, Mode(settings.mode))
    said = "DUNNING_MODE says another, but counts at the first start only" if mode != settings.mode else None
    _log.info("mode in force", mode=mode.value, **({"note": said} if said else {}))


def _collect_garbage_less_often() -> None:
    """A turn makes many objects that live until it ends, and next to no cycles: looking for some among them every few
    hundred allocations took a sixth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _stop_when(stop: asyncio.Event, instance: Instance[Any]) -> None:
    await stop.wait()
    instance.stop()


class Stopped(Exception):
    """Whoever told us to stop did so before the work began."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a start needs is waited for until `deadline` (of `monotonic`), unless `stop` is set before."""

    settings: Settings
    stop: asyncio.Event
    deadline: float

    async def waited(self, step: Callable[[], Awaitable[T]]) -> T:
        """The step's result; tried again while a server is away, or tables or topics are. Any other Problem ends the
        start at once."""
        pauses = Pauses(seconds_first=0.25, seconds_max=3)
        while not self.stop.is_set():
            try:
                return await step()
            except SchemaMissing as error:
                problem = Problem(SCHEMA_MISSING, str(error))
            except StoreUnavailable as error:
                problem = _database_unreachable(self.settings, error)
            except KAFKA_TROUBLES as error:
                problem = kafka_unreachable(self.settings, error)
            except Problem as error:
                if error.code != TOPIC_MISSING:
                    raise
                problem = error
            await self._wait_or_give_up(problem, pauses)
        raise Stopped

    async def _wait_or_give_up(self, problem: Problem, pauses: Pauses) -> None:
        """Tell what is waited for; after a while it is time for whoever started us to know."""
        if monotonic() > self.deadline:
            raise problem
        _log.warning("waiting", code=problem.code, message=str(problem))
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), pauses.next_seconds())


def _database_unreachable(settings: Settings, error: StoreUnavailable) -> Problem:
    at, hint = settings.database_place(), "is it running, and is DUNNING_DATABASE_URL right?"
    return Problem(DATABASE_UNREACHABLE, f"cannot reach PostgreSQL at {at} ({error}): {hint}")


@asynccontextmanager
async def _log_with_topics(settings: Settings, topics: list[str]) -> AsyncIterator[BrokerLog]:
    async with BrokerLog(settings, topics) as log:
        await log.partitions()
        yield log


def postgres_settings(settings: Settings) -> PostgresSettings:
    """The store's settings out of the service's."""
    return PostgresSettings(
        url=settings.database_url.get_secret_value(),
        pool_size=settings.database_connections,
        statement_timeout_seconds=settings.database_statement_timeout_seconds,
        ssl=settings.database_tls(),
    )
