"""First progress after SIGKILL, under load: from the start of the same instance to its first published event.

New is what lies behind the end of the topic at the time of the start, so nothing that the killed one had published.
"""

import asyncio
import os
import signal
import time

import asyncpg

from dunning.contracts.topics import RETRY_SCHEDULER
from tests.bench.figures import Figure, Goal, Part, number
from tests.bench.measure import Wrong
from tests.bench.place import Place, own_place
from tests.bench.steady import behind, ends_of, keeping_up, steady_load, subscriber, until

SECONDS = Goal(2, at_most=True)
_SERVICES = (RETRY_SCHEDULER,)
_CASES = f"select count(*) from {RETRY_SCHEDULER}.cases where is_open"


def measure_restart(per_second: int, kills: int) -> Part:
    """The part of `make bench`: one instance, killed again and again."""
    with own_place() as place:
        seconds = asyncio.run(first_progress(place, per_second, kills))
    name = f"SIGKILL and restart at {number(per_second)} events/s: first progress"
    return Part([Figure(name, "s", seconds, SECONDS)], seconds)


async def first_progress(place: Place, per_second: float, kills: int) -> list[float]:
    """Seconds from each restart to the first new event. Raises Wrong where an event was lost or came twice."""
    await place.prepare(_SERVICES)
    found: list[float] = []
    async with subscriber(place) as seen, steady_load(place, per_second) as load:
        for start in range(kills + 1):
            seen.watch(await ends_of(place))
            began = time.monotonic()
            with place.running(_SERVICES) as pids:
                await until(lambda: seen.first_beyond is not None, "progress")
                if start and seen.first_beyond is not None:  # the very first start is no restart
                    found.append(seen.first_beyond - began)
                    print(f"  restart {start}  {found[-1]:.2f} s", flush=True)
                await keeping_up(seen, load, _SERVICES, per_second)
                if start < kills:
                    os.kill(pids[RETRY_SCHEDULER], signal.SIGKILL)
                else:
                    load.stopping = True
                    await until(lambda: behind(seen, load, _SERVICES) == 0, "all transitions")
    if seen.repeated or len(seen.at) != len(load.sent) or await _cases(place) != len(load.sent):
        raise Wrong(f"{len(seen.at)} transitions, {seen.repeated} repeated, after {len(load.sent)} failures")
    return found


async def _cases(place: Place) -> int:
    connection = await asyncpg.connect(place.database)
    try:
        cases: int = await connection.fetchval(_CASES)
        return cases
    finally:
        await connection.close()
