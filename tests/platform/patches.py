"""What the kernel takes from the machine by itself, given by the simulation: clock, chance, and where to die."""

import asyncio
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from dunning.runtime import read_through
from tests.platform.loop import PRESENT, Process

# Whoever waits for news is woken by it here, so a look at nothing new costs time and shows nothing.
_PATIENCE: dict[str, Any] = {"_WAIT_MS": 3000, "LOOK_SECONDS": 60.0, "_HINT_SECONDS": 5.0}


class _Asyncio:
    """`asyncio` for a module that looks from time to time: the world rings when there is something to see."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        process = PRESENT.get()
        assert process is not None
        await process.rest(seconds)


@contextmanager
def simulated(
    seconds: Callable[[], float], rng: random.Random, at_point: Callable[[Process, str], None]
) -> Iterator[None]:
    """For the time of one run."""

    def crash_point(name: str) -> None:
        process = PRESENT.get()
        if process is not None:
            at_point(process, name)

    genuine = asyncio.wait_for

    async def wait_for(awaited: Any, timeout: float | None) -> Any:
        """Waiting to be woken takes no task of its own, as from Python 3.12 on: it is what everybody does all day."""
        if getattr(awaited, "__qualname__", "") != "Event.wait":
            return await genuine(awaited, timeout)
        async with asyncio.timeout(timeout):
            return await awaited

    given: dict[str, Any] = {"monotonic": seconds, "crash_point": crash_point, "random": rng, **_PATIENCE}
    former = []
    for name, module in list(sys.modules.items()):
        if name.startswith("dunning.runtime."):
            for attribute, value in given.items():
                if attribute in vars(module):
                    former.append((module, attribute, vars(module)[attribute]))
                    setattr(module, attribute, value)
    nowhere = given.keys() - {attribute for _, attribute, _ in former}
    assert not nowhere, f"the kernel has no {nowhere} any more"
    try:
        with patch.object(asyncio, "wait_for", wait_for), patch.object(read_through, "asyncio", _Asyncio()):
            yield
    finally:
        for module, attribute, value in former:
            setattr(module, attribute, value)
