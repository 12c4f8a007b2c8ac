"""Observing (rule 42): beside a service that only reads, a shadow of it decides and shows everything, and does nothing.

The shadow is an instance like any other, with a schema of its own (`<service>_observed`), topics of its own
(`<prefix>observed.<topic>`) and nobody to write to. What it decides never touches what the service itself keeps: so
after the switch to `act` nothing observed counts as requested, sent or delivered.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from dunning.contracts.decode import decode as decode_message
from dunning.contracts.decoded import Decoded, Readable
from dunning.contracts.topics import OBSERVED, observed_topic, outputs_of_services
from dunning.domain.account import AccountState
from dunning.domain.decision import Errand
from dunning.domain.events import ErrandReport
from dunning.domain.ids import id_named
from dunning.runtime.broker_log import KAFKA_TROUBLES, BrokerLog
from dunning.runtime.cancelling import cancelled
from dunning.runtime.health import Health
from dunning.runtime.instance import Inputs, Instance
from dunning.runtime.logs import log_for, told
from dunning.runtime.mode import LOOK_SECONDS, Mode, ModeWatch, observed_schema
from dunning.runtime.postgres import PostgresSettings, PostgresStore, SchemaMissing
from dunning.runtime.problem import OBSERVER_TROUBLE, Problem
from dunning.runtime.service import Begin, Perform, Service
from dunning.runtime.settings import Settings
from dunning.runtime.store import StoreUnavailable

A = TypeVar("A", bound=AccountState[Any])
PROVIDER = "observed"
_SALT = 0x6F62_7365_7276_6564  # of names of what was only observed: it is not the same as what really happened later
_PAUSE_SECONDS = 2.0
_PART = "observer"
_log = log_for("observer")


def observing_settings(settings: Settings) -> Settings:
    """The shadow's: another prefix sets its topics, group, locks and producers apart."""
    return settings.model_copy(update={"topic_prefix": settings.topic_prefix + OBSERVED})


def observed_inputs(service: Service[Any], prefix: str) -> Inputs:
    """What a shadow reads: all that the service reads, and what the shadows of its peers say beside the peers."""
    peers = [observed_topic(topic) for topic in service.topics if topic in outputs_of_services()]
    return Inputs(prefix, tuple(prefix + topic for topic in (*service.topics, *peers)), _decode, sets_aside=False)


def shadow_of(service: Service[A]) -> Service[A]:
    """The same decisions, but for what stands between them and the accounts; nothing is kept up to date twice."""
    decide = service.observing or service.decide
    return replace(service, decide=decide, keepers=(), guard=service.observing_guard, observing=None)


async def pretend(errand: Errand, begin: Begin) -> ErrandReport:
    """Nobody is written to; it counts as if the other side had accepted, so that the ladder goes on."""
    await begin()
    return ErrandReport(
        event_id=id_named(f"errand/{errand.errand_id}/observed"),
        account_id=errand.account_id,
        invoice_id=errand.invoice_id,
        errand_id=errand.errand_id,
        outcome="accepted",
        at=datetime.now(UTC),
        provider=PROVIDER,
    )


def _decode(topic: str, key: bytes | None, value: bytes | None, headers: Any, now: datetime) -> Decoded:
    """As always; what a peer's shadow said goes by other names, for the peer may say the same in earnest later."""
    decoded = decode_message(topic.removeprefix(OBSERVED), key, value, headers, now)
    if not topic.startswith(OBSERVED) or not isinstance(decoded, Readable):
        return decoded
    renamed = tuple(replace(sighting, key=sighting.key ^ _SALT) for sighting in decoded.sightings)
    return replace(decoded, sightings=renamed)


@dataclass(frozen=True, slots=True)
class _Running:
    instance: Instance[Any]
    health: Health


class Observer(Generic[A]):
    """Runs the shadow for as long as the service's mode is `observe`. Its troubles are told, and end nothing."""

    def __init__(
        self,
        service: Service[A],
        mode: ModeWatch,
        settings: Settings,
        database: PostgresSettings,
        health: Health,
        perform: Perform | None,
    ) -> None:
        self._service = service
        self._mode = mode
        self._settings = settings
        self._database = database
        self._health = health
        self._perform = pretend if perform is not None else None

    async def run(self) -> None:
        """Look at the mode again and again, for ever."""
        while True:
            try:
                if self._observing:
                    self._health.starting(_PART)
                    await self._observe()
                self._health.well(_PART)
            except (Problem, SchemaMissing, StoreUnavailable, *KAFKA_TROUBLES) as error:
                self._health.trouble(_PART, OBSERVER_TROUBLE, f"nothing is observed: {error}")
                _log.error("the shadow ended; it is started again", **told(error))
                await asyncio.sleep(_PAUSE_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def _observing(self) -> bool:
        return self._mode.known == Mode.OBSERVE

    async def _observe(self) -> None:
        async with self._shadow() as shadow:
            _log.info("observing", service=self._service.name)
            working = asyncio.create_task(shadow.instance.run())
            try:
                while not working.done() and self._observing:
                    self._tell(shadow.health)
                    await asyncio.wait([working], timeout=LOOK_SECONDS)
                shadow.instance.stop()
                await working
            finally:
                await cancelled(working)

    @asynccontextmanager
    async def _shadow(self) -> AsyncIterator[_Running]:
        service = shadow_of(self._service)
        settings = observing_settings(self._settings)
        inputs = observed_inputs(service, self._settings.topic_prefix)
        metrics = self._health.metrics.anew()
        health = Health(metrics)
        async with (
            PostgresStore.open(self._database, service, schema=observed_schema(service.name)) as store,
            BrokerLog(settings, list(inputs.topics)) as log,
        ):
            await log.partitions()
            instance = Instance(
                service, store, log, settings, perform=self._perform, metrics=metrics, health=health, inputs=inputs
            )
            self._health.observed_metrics = metrics
            try:
                yield _Running(instance, health)
            finally:
                self._health.observed_metrics = None

    def _tell(self, shadow: Health) -> None:
        troubles = shadow.troubles
        if not troubles:
            self._health.well(_PART)
        elif set(troubles.values()) == {"starting"}:
            self._health.starting(_PART)
        else:
            said = "; ".join(f"{part}: {trouble}" for part, trouble in troubles.items())
            self._health.trouble(_PART, OBSERVER_TROUBLE, f"while observing, {said}")
