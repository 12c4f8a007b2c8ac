"""Forgetting what nobody needs any more, in small steps beside the work (rule 9).

Closings are remembered for a time, then the invoice's row goes with the journal of its cases; an account that nothing
is known of goes with its last row. What is open, terminated, due or out on an errand stays, however old it is. First
sightings go when they are older than any topic, and what accounts share when it decides nothing any more. Nothing here
is in a hurry: it takes a tenth of the time at most, one small transaction after the other, and waits for nobody's lock.
"""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from dunning.runtime.broker_log import KAFKA_TROUBLES
from dunning.runtime.logs import log_for, told
from dunning.runtime.metrics import Metrics
from dunning.runtime.problem import Problem
from dunning.runtime.read_through import Horizon
from dunning.runtime.settings import Settings
from dunning.runtime.store import ForgetBefore, Store, StoreUnavailable

_SHARE = 10  # of the time: a step is followed by a pause ten times as long
_REST_SECONDS = 60.0
_log = log_for("forgetting")


class Forgetting:
    """Goes round and round; several instances may, for each takes what no other has in hand."""

    def __init__(self, store: Store[Any], horizon: Horizon, *, settings: Settings, metrics: Metrics) -> None:
        self._store = store
        self._horizon = horizon
        self._settings = settings
        self._metrics = metrics
        self._place = 0  # in the walk over the first sightings
        self._place_of_shared = 0  # in that over what accounts share
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End after the step at hand."""
        self._stopped.set()

    async def run(self) -> None:
        """A step, a pause. Whatever goes wrong is tried again later: nothing depends on it today."""
        while not self._stopped.is_set():
            began = monotonic()
            try:
                busy = await self.step()
            except (StoreUnavailable, Problem, *KAFKA_TROUBLES):
                self._metrics.retries.labels("forgetting").inc()
                busy = False
            except Exception as error:  # noqa: BLE001 - a row that cannot be read must not stop the service
                _log.error("cannot forget what is old", **told(error))
                busy = False
            took = monotonic() - began
            pause = max(self._settings.forget_pause_seconds, _SHARE * took) if busy else _REST_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), pause)

    async def step(self) -> bool:
        """One step; says whether there is more to do now.

        Ages count from the instant up to which the news was read: what came in time must find what it belongs to,
        however late we read it (rule 40). While the news is not read, or the clocks disagree, nothing is forgotten.
        """
        read_up_to = await self._horizon.get()
        if read_up_to is None:
            return False
        forgotten = await self._store.forget_closed(self._before(read_up_to), self._settings.forget_batch_cases)
        seen_before = read_up_to - timedelta(days=self._settings.first_sightings_kept_days)
        walked = await self._store.drop_old_sightings(seen_before, self._place)
        self._place = walked.next_place
        shared = await self._store.drop_old_shared(read_up_to, self._place_of_shared)
        self._place_of_shared = shared.next_place
        counts = {**forgotten.counts(), "first_sightings": walked.dropped, "shared_states": shared.dropped}
        for what, count in counts.items():
            self._metrics.forgotten.labels(what).inc(count)
        return forgotten.full or walked.next_place > 0 or shared.next_place > 0

    def _before(self, read_up_to: datetime) -> ForgetBefore:
        return ForgetBefore(
            cases=read_up_to - timedelta(days=self._settings.closed_cases_kept_days),
            invoices=read_up_to - timedelta(days=self._settings.closed_invoices_kept_days),
        )
