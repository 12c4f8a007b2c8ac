"""A process that is told to stop ends, also where something in it does not hear of it."""

import asyncio
import subprocess
import sys

import asyncpg
import pytest

from dunning.runtime import cancelling
from dunning.runtime.postgres.connections import driver_errors_translated
from dunning.runtime.store import StoreUnavailable

DEAF = """
import asyncio
from dunning.runtime.run import gone_after

async def deaf():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue

async def main():
    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    gone_after(0.1)

asyncio.run(main())
"""


async def a_statement(entered: asyncio.Event) -> None:
    """One whose connection is gone when it is cancelled, as that of a pool that was closed meanwhile."""
    with driver_errors_translated():
        try:
            entered.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise asyncpg.InterfaceError("pool is closed") from None


async def test_a_cancelled_task_is_cancelled_whatever_the_driver_makes_of_it() -> None:
    entered = asyncio.Event()
    task = asyncio.create_task(a_statement(entered))
    await entered.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "_AGAIN_SECONDS", 0.01)
    lost: list[str] = []

    async def loses_the_first() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append("once")

    task = asyncio.create_task(loses_the_first())
    await asyncio.sleep(0)
    await cancelling.cancelled(task)

    assert task.cancelled()
    assert lost == ["once"]


async def test_what_the_driver_says_to_others_is_that_the_store_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="pool is closed"), driver_errors_translated():
        raise asyncpg.InterfaceError("pool is closed")


def test_a_process_that_holds_on_is_gone_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", DEAF], timeout=120, check=False)

    assert done.returncode == 1
