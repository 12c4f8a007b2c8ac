"""A process that is told to stop ends, also where something in it does not hear of it."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from dunning.domain.decision import Errand, Postpone
from dunning.domain.events import ErrandReport
from dunning.runtime import cancelling
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.errands import Errands
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.postgres.connections import driver_errors_translated
from dunning.runtime.service import Begin
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import LeasedErrand, StoreUnavailable
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
SETTINGS = load_settings(
    Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere", errand_lease_seconds=1
)

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


async def test_errands_stop_also_while_one_whose_time_is_over_tidies_up() -> None:
    """Raised out of `stop`, it would end the instance in the middle of what was to be an orderly end."""
    store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=HandClock(NOON), shards=1)
    tidying, tidied = asyncio.Event(), asyncio.Event()

    async def slow_to_end(errand: Errand, begin: Begin) -> ErrandReport | Postpone:
        try:
            await asyncio.Event().wait()
        finally:
            tidying.set()
            await tidied.wait()
        raise AssertionError

    common: dict[str, Any] = {
        "settings": SETTINGS,
        "clock": DatabaseClock(5, host=HandClock(NOON)),
        "metrics": Metrics("toy"),
        "health": Health(Metrics("toy")),
    }
    horizon: Any = None
    errands = Errands(toy_service(), store, slow_to_end, horizon, outbox_writer(""), **common, committed=lambda _: None)
    errand = Errand("errand-1", "acc-1", "inv-1", "toy", NOON, {})
    working = asyncio.create_task(errands._performed(LeasedErrand(errand, "token", 1, withdrawn=False, begun=False)))
    await tidying.wait()

    errands.stop()
    tidied.set()

    assert isinstance(await working, Postpone)
