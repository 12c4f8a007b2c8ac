"""A database that goes away in the middle of a start is waited for like one that is not there yet."""

import asyncio
from time import monotonic

import pytest

from dunning.runtime import run
from dunning.runtime.problem import Problem
from dunning.runtime.store import StoreUnavailable


class Step:
    """One that fails so many times."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.done = 0

    async def __call__(self) -> None:
        if self.left:
            self.left -= 1
            raise StoreUnavailable("connection was closed in the middle of operation")
        self.done += 1


async def test_a_step_of_the_start_is_tried_again_while_the_database_is_away() -> None:
    step = Step(failures=1)

    assert await run._done(step, monotonic() + 60, asyncio.Event())
    assert step.done == 1


async def test_when_it_stays_away_the_start_ends_in_one_line() -> None:
    with pytest.raises(Problem, match=r"cannot reach PostgreSQL .*DUN-R003"):
        await run._done(Step(failures=9), monotonic() - 1, asyncio.Event())


async def test_whoever_is_told_to_stop_in_the_meantime_starts_nothing() -> None:
    stop = asyncio.Event()
    stop.set()
    step = Step(failures=0)

    assert not await run._done(step, monotonic() + 60, stop)
    assert step.done == 0
