"""Letting others have their turn while much is worked through: one process reads, decides, fires and publishes."""

import asyncio
from time import monotonic, thread_time

STRETCH_SECONDS = 0.005
"""Another lane's transaction waits for its server about ten times, each time for a stretch of this one."""


class Stretch:
    """Work that is begun, in pieces that take microseconds each."""

    def __init__(self) -> None:
        self._began, self._work_began = monotonic(), thread_time()
        self._before = 0.0

    @property
    def is_over(self) -> bool:
        """Whether others should have their turn; asked for each piece, since a pause costs more than a piece."""
        return monotonic() - self._began > STRETCH_SECONDS

    async def pause(self) -> None:
        """Let others work, then begin anew."""
        self._before = self.worked_seconds
        await asyncio.sleep(0)
        self._began, self._work_began = monotonic(), thread_time()

    @property
    def worked_seconds(self) -> float:
        """What this took of the processor so far. What others did in between is left out, and so is waiting for the
        processor: where many want it, smaller portions would only cost more."""
        return self._before + thread_time() - self._work_began
