"""Whether a service acts on the world (rule 42), and looking again whether that is still so."""

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import Any

from dunning.runtime.logs import log_for
from dunning.runtime.metrics import Metrics
from dunning.runtime.store import Store, StoreUnavailable

LOOK_SECONDS = 0.5
_log = log_for("mode")


class Mode(StrEnum):
    """What a service does with its decisions."""

    ACT = "act"
    OBSERVE = "observe"  # a shadow of the service decides and shows everything; the service itself only reads
    STOP = "stop"  # reads and records, nothing goes out


def observed_schema(service: str) -> str:
    """Where the shadow of a service keeps what it decides while the service observes."""
    return f"{service}_observed"


class ModeWatch:
    """Knows the mode for the metrics, the log and the shadow; a database that is away for a moment is no switch. What
    may go out is asked of the database itself, each time."""

    def __init__(self, store: Store[Any], metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self.known: str | None = None  # until the first look

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            with suppress(StoreUnavailable):  # others tell of that
                self._note(await self._store.mode())
            await asyncio.sleep(LOOK_SECONDS)

    def _note(self, word: str) -> None:
        if word == self.known:
            return
        if self.known is not None:
            _log.warning("the mode was switched", mode=word, former=self.known)
        self.known = word
        for mode in Mode:
            self._metrics.mode.labels(mode.value).set(mode == word)
