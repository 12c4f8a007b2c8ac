"""Timers of the retry scheduler through state machine and outbox: how many a second, while many more are pending.

The tables are filled by COPY; then the service starts, and everything that is due at that time fires, oldest first.
Each timer changes its case to `requested`, and publishes that transition and a `dunning.retry.requested`.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import asyncpg

from dunning.contracts.topics import RETRY_SCHEDULER
from tests.bench.counted import until_published
from tests.bench.figures import Figure, Goal, Part, number
from tests.bench.fill import fill
from tests.bench.measure import Measured, Wrong
from tests.bench.place import POLICIES, Place, own_place

PER_SECOND = Goal(15_000)
WITHIN_ONE_SECOND = timedelta(seconds=1)
EVENTS_OF_TIMER = 2
_HOURS = "  hours: "  # of the policy: a charge at night would be put off, so the figure would depend on the time of day
_OUTCOME = """
select requested, scheduled,
    (select count(*) from journal where topic like '%dunning.retry.requested') as orders,
    (select count(*) from outbox) as unpublished
from (
    select count(*) filter (where stage = 'requested') as requested,
        count(*) filter (where stage = 'scheduled') as scheduled
    from cases where is_open
) counted
"""


@dataclass(frozen=True, slots=True)
class Fired:
    """What one run came to."""

    timers: int
    window: Measured

    @property
    def per_second(self) -> float:
        return self.window.per_second / EVENTS_OF_TIMER


def measure_timers(pending: int, due: int, runs: int) -> Part:
    """The part of `make bench`: each run with tables that are filled anew."""
    measured = []
    for run in range(runs):
        with own_place() as place:
            measured.append(fire(place, pending, due))
        print(f"  run {run + 1}  {measured[-1].per_second:.0f} timers/s", flush=True)
    name = f"timers, {number(due)} due of {number(pending)} pending"
    figures = [
        Figure(name, "timers/s", [each.per_second for each in measured], PER_SECOND),
        Figure(f"{name}: CPU each", "us", [each.window.cpu_microseconds * EVENTS_OF_TIMER for each in measured]),
    ]
    return Part(figures, [as_json(each) for each in measured])


def fire(
    place: Place, pending: int, due: int, meanwhile: Callable[[int], AbstractContextManager[object]] = nullcontext
) -> Fired:
    """Fill the tables, start the service, and wait until all that is due was published. Raises Wrong.

    `meanwhile` is entered with the service's process id for as long as it runs.
    """
    place = at_any_hour(place)
    there = asyncio.run(_filled(place, pending, due))
    with place.running([RETRY_SCHEDULER]) as pids, meanwhile(pids[RETRY_SCHEDULER]):
        window = until_published(place, RETRY_SCHEDULER, due * EVENTS_OF_TIMER, {**pids, **place.servers})
    asyncio.run(check(place, due, there))
    return Fired(due, window)


def at_any_hour(place: Place) -> Place:
    """The same with a policy that charges at night too."""
    folder = place.folder / "policies at any hour"
    folder.mkdir(exist_ok=True)
    lines = (POLICIES / "bench.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(_HOURS)]
    assert len(kept) == len(lines) - 1, "the policy of the bench has one line of hours"
    (folder / "bench.yaml").write_text("".join(kept))
    return replace(place, policies=folder)


async def _filled(place: Place, pending: int, due: int) -> int:
    await place.prepare([RETRY_SCHEDULER])
    return await fill(place, pending, dues(datetime.now(UTC), due))


def dues(now: datetime, due: int) -> Callable[[int], datetime]:
    """The first so many within the second that ended a minute ago, the others from half a day ahead on."""
    began, ahead = now - timedelta(minutes=1) - WITHIN_ONE_SECOND, now + timedelta(hours=12)

    def due_at(number: int) -> datetime:
        if number < due:
            return began + number * WITHIN_ONE_SECOND / due
        return ahead + timedelta(milliseconds=number)

    return due_at


async def check(place: Place, due: int, there: int) -> None:
    """Each timer once, and no other. Raises Wrong."""
    connection = await asyncpg.connect(place.database, server_settings={"search_path": RETRY_SCHEDULER})
    try:
        found = dict(await connection.fetchrow(_OUTCOME) or {})
    finally:
        await connection.close()
    expected = {"requested": due, "scheduled": there - due, "orders": due, "unpublished": 0}
    if found != expected:
        raise Wrong(f"after {due} timers of {there} there are {found} instead of {expected}")


def as_json(fired: Fired) -> dict[str, object]:
    window = fired.window
    return {"timers": fired.timers, "seconds": window.seconds, "cpu_seconds": dict(window.cpu_seconds)}
