"""What the kernel takes from the machine by itself, given by the simulation: clock, chance, and where to die."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.platform.loop import PRESENT, Process


@contextmanager
def simulated(
    seconds: Callable[[], float], rng: random.Random, at_point: Callable[[Process, str], None]
) -> Iterator[None]:
    """For the time of one run."""

    def crash_point(name: str) -> None:
        process = PRESENT.get()
        if process is not None:
            at_point(process, name)

    given: dict[str, Any] = {"monotonic": seconds, "crash_point": crash_point, "random": rng}
    former = []
    for name, module in list(sys.modules.items()):
        if name.startswith("dunning.runtime."):
            for attribute, value in given.items():
                if attribute in vars(module):
                    former.append((module, attribute, vars(module)[attribute]))
                    setattr(module, attribute, value)
    try:
        yield
    finally:
        for module, attribute, value in former:
            setattr(module, attribute, value)
