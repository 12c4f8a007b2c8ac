"""What tests of the kernel in memory share: time that takes none, and what the metrics tell."""

import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from dunning.runtime.metrics import Metrics
from tests.platform.loop import SimulatedLoop
from tests.platform.patches import simulated


def in_no_time(
    story: Callable[..., Awaitable[None]], plays: Callable[[], Coroutine[Any, Any, None]]
) -> Callable[[], None]:
    """A test of a story's name that plays it in simulated time."""

    def test() -> None:
        loop = SimulatedLoop()
        with simulated(loop.time, random.Random(1), lambda process, name: None):
            loop.run_until_complete(plays())
        loop.bury()

    test.__name__, test.__doc__ = getattr(story, "__name__", ""), story.__doc__
    return test


def told(metrics: Metrics, name: str, **labels: str) -> float | None:
    """A sample of a metric of ours; None where there is none."""
    return metrics.registry.get_sample_value(f"dunning_{name}", labels)
