"""How much may wait for Kafka: beyond that, nothing is taken in and no timer fires until some of it is published."""

from collections.abc import Callable
from time import monotonic
from typing import Any

from dunning.runtime.health import Health
from dunning.runtime.problem import OUTBOX_FULL
from dunning.runtime.store import Store, StoreUnavailable

_PARTS = 20  # rows are counted each time that this part of the bound was written here
_AGAIN_SECONDS = 1.0


class OutboxBound:
    """Keeps the outbox within `rows_max`, give or take a twentieth an instance and what is written within a second.

    Nothing is counted while little is written, and nothing is held back while the service does not act: what it decides
    then is meant to wait, and it goes on reading (rule 42).
    """

    def __init__(
        self, store: Store[Any], rows_max: int, health: Health, *, monotonic: Callable[[], float] = monotonic
    ) -> None:
        self._store = store
        self._rows_max = rows_max
        self._health = health
        self._monotonic = monotonic
        self._written = rows_max  # nobody knows yet what waits from before
        self._full = False
        self._look_at = 0.0

    def written(self, rows: int) -> None:
        """So many rows were committed to the outbox."""
        self._written += rows

    async def is_reached(self) -> bool:
        """Whether to wait. While the database is away, what was so last is."""
        if self._monotonic() >= self._look_at and (self._full or self._written * _PARTS >= self._rows_max):
            self._look_at = self._monotonic() + _AGAIN_SECONDS
            try:
                self._full = await self._store.outbox_holds(self._rows_max)
            except StoreUnavailable:
                return self._full
            self._written = 0
            self._tell()
        return self._full

    def _tell(self) -> None:
        if self._full:
            message = (
                f"{self._rows_max} events wait for Kafka: nothing is read and no timer fires until there are fewer"
            )
            self._health.trouble("outbox", OUTBOX_FULL, message)
        else:
            self._health.well("outbox")
