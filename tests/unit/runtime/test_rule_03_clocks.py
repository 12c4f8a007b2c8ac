"""Rule 3: while host and database differ by more than 5 seconds, nothing is taken in and nothing due is done."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dunning.domain.decision import Errand
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.errands import Errands
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.read_through import Horizon
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import ReadUpTo, TopicPartition
from dunning.runtime.timers import Timers
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, toy_service
from tests.contract.kit import count_up

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
TP = TopicPartition("payment.failed", 0)


class OnePartition:
    """A broker of one partition."""

    async def partitions(self) -> Collection[TopicPartition]:
        return {TP}


async def never_performed(errand: Errand, begin: Any) -> Any:
    raise AssertionError(f"{errand} was leased only: {begin}")


@pytest.mark.parametrize(("host_ahead_seconds", "agree"), [(0, True), (5, True), (5.1, False), (-5.1, False)])
async def test_timers_and_errands_wait_while_the_clocks_disagree(host_ahead_seconds: float, agree: bool) -> None:
    store: MemoryStore[ToyAccount] = MemoryStore(toy_service(), clock=HandClock(NOON), shards=1)
    host = NOON + timedelta(seconds=host_ahead_seconds)
    clock = DatabaseClock(5, host=lambda: host, monotonic=lambda: 0.0)
    clock.read(NOON)
    metrics = Metrics("toy")
    common: dict[str, Any] = {
        "settings": load_settings(Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere"),
        "clock": clock,
        "metrics": metrics,
        "health": Health(metrics),
    }
    horizon = Horizon(store, OnePartition(), **common)  # type: ignore[arg-type]
    after: dict[str, Any] = {**common, "committed": lambda _: None}
    timers = Timers(
        toy_service(), store, horizon, OutboxBound(store, 1000, common["health"]), outbox_writer(""), **after
    )
    errands = Errands(toy_service(), store, never_performed, horizon, outbox_writer(""), **after)
    epoch = (await store.take_over([TP]))[TP].epoch
    async with store.transaction() as tx:
        accounts = await tx.load({"acc-1": ["inv-1"]})
        count_up(accounts["acc-1"], "inv-1", due_at=NOON)
        await tx.save(accounts.values())
        await tx.give_errands([Errand("errand-1", "acc-1", "inv-1", "toy", NOON, {})])
    await store.note_read_through({TP: ReadUpTo(epoch, NOON)})

    await timers.fire()
    leased = await errands.lease()

    assert len(await store.pending(0, 10)) == (1 if agree else 0)
    assert len(leased) == (1 if agree else 0)
