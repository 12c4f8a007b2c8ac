"""Following a running service by its own counts: from the first published event to the last one."""

import time
from collections.abc import Mapping

from tests.bench.measure import STALL_SECONDS_MAX, Measured, Wrong, cpu_of
from tests.bench.place import Place

POLL_SECONDS = 0.25  # a look costs the service a few milliseconds
PUBLISHED = "dunning_events_published_total"


def until_published(place: Place, service: str, expected: int, pids: Mapping[str, int]) -> Measured:
    """Wait until a service that was just started has published so many events: from the last look at which there was
    none yet. Raises Wrong where it does not go on, or publishes more."""
    began, cpu = time.monotonic(), cpu_of(pids)
    published, give_up = 0, began + STALL_SECONDS_MAX
    while published < expected:
        if not published:
            began, cpu = time.monotonic(), cpu_of(pids)
        time.sleep(POLL_SECONDS)
        before, published = published, int(place.metrics(service).get(PUBLISHED, 0))
        if published > before:
            give_up = time.monotonic() + STALL_SECONDS_MAX
        elif time.monotonic() > give_up:
            raise Wrong(f"{published} events were published instead of {expected}, and then no more")
    seconds, used = time.monotonic() - began, cpu_of(pids)
    if published > expected:
        raise Wrong(f"{published} events were published instead of {expected}")
    return Measured(published, seconds, began, {name: used[name] - cpu[name] for name in used})
