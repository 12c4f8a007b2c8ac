"""Looking for work again and again: at once while there is plenty, else when woken or after a while."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from dunning.runtime.broker_log import KAFKA_TROUBLES, code_of
from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import Problem
from dunning.runtime.store import StoreUnavailable

_TRIES_UNTOLD = 2  # a connection that dropped, a deadlock that was lost: gone at the next look


class Rounds:
    """Of one part of an instance. While what it needs is away it waits, longer each time, and says so."""

    def __init__(self, part: str, poll_seconds: float, metrics: Metrics, health: Health) -> None:
        self._part = part
        self._poll_seconds = poll_seconds
        self._metrics = metrics
        self._health = health
        self._woken = asyncio.Event()
        self.stopping = False

    def wake(self) -> None:
        """There may be work: look at once."""
        self._woken.set()

    def stop(self) -> None:
        """End after the look at hand."""
        self.stopping = True
        self._woken.set()

    async def run(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Until stopped. `look` does what there is to do, and says whether there may be more of it."""
        pauses = Pauses()
        while not self.stopping:
            self._woken.clear()
            try:
                plenty = await look()
            except (StoreUnavailable, Problem, *KAFKA_TROUBLES) as error:
                self._metrics.retries.labels(self._part).inc()
                if pauses.tries >= _TRIES_UNTOLD:
                    why = error.message if isinstance(error, Problem) else error
                    self._health.trouble(self._part, code_of(error), f"{self._part} wait: {why}")
                await self._wait(pauses.next_seconds())
            else:
                pauses.reset()
                self._health.well(self._part)
                if not plenty:
                    await self._wait(self._poll_seconds)

    async def _wait(self, seconds: float) -> None:
        if not self.stopping:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)
