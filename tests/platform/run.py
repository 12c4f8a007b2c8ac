"""One seed, from chance to verdict."""

import gc
import logging
import random
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from tests.platform.ambushes import ambush
from tests.platform.faults import Faults
from tests.platform.judge import judge
from tests.platform.loop import NothingLeftToDo, SimulatedLoop
from tests.platform.patches import simulated
from tests.platform.scenario import scenario
from tests.platform.world import World

_BUDGETS = (0, 2, 4, 6, 10, 16)
_CHANCES = (0.004, 0.01, 0.03)


@dataclass
class Run:
    """What became of one seed."""

    seed: int
    wrong: list[str]
    faults: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    events: int = 0


def play(seed: int, tell: Callable[[str], None] | None = None) -> Run:
    """Play one seed; the same seed gives the same run, line by line."""
    rng = random.Random(seed)
    loop = SimulatedLoop()
    lying_in_wait = ambush(rng)
    faults = Faults(rng, loop, rng.choice(_BUDGETS), rng.choice(_CHANCES), lying_in_wait)
    world = World(scenario(rng, lying_in_wait.min_poison), rng, loop, faults, tell)
    gc.disable()  # what is dead stays as it is: nothing of it may run in somebody else's time
    try:
        with simulated(loop.time, rng, faults.at_point):
            playing = loop.create_task(world.play())
            try:
                loop.run_until_complete(playing)
            except NothingLeftToDo:
                world.seen.append("everybody waits for somebody else")
        wrong = judge(world)
    finally:
        events = sum(world.log.end(at) for at in world.log.partitions)
        steps = loop.steps
        loop.bury()
        gc.enable()
    return Run(seed, wrong, faults.counts, steps, events)


def be_quiet() -> None:
    """Logs of the kernel say nothing here, and what is left of a dead process may say nothing when it is swept away."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore", RuntimeWarning)  # what a dead process never awaited
    sys.unraisablehook = lambda unraisable: None
