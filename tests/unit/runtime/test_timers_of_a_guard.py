"""What a service's guard lets go on is passed over like any other timer where it cannot be acted on (rule 45)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dunning.domain.decision import Decision
from dunning.domain.events import Input, Output, TimerDue
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.timers import Timers
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, decide, toy_service
from tests.contract.kit import count_up

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


class StumblingGuard:
    """Lets one account go on for ever, and stumbles over it each time."""

    async def released(
        self, tx: Any, horizon: datetime, limit: int, but_not: Collection[str]
    ) -> list[tuple[str, str, datetime]]:
        return [] if "acc-odd" in but_not else [("acc-odd", "inv-1", NOON)]

    async def admit(self, tx: Any, accounts: Mapping[str, Any], inputs: Sequence[TimerDue], now: datetime) -> None:
        if "acc-odd" in accounts:
            raise ZeroDivisionError

    async def note(self, tx: Any, outputs: Sequence[Output], now: datetime) -> None:
        pass

    async def watch(self, connect: Any, health: Any) -> None:
        pass


class ReadUpToNoon:
    async def get(self) -> datetime:
        return NOON


class Stumbling:
    """The toy's decisions, but for one account that none can be made of."""

    def __init__(self) -> None:
        self.tried = 0

    def decide(self, account: ToyAccount, event: Input, now: datetime) -> Decision:
        if account.account_id == "acc-bad":
            self.tried += 1
            raise ZeroDivisionError
        return decide(account, event, now)


async def test_others_go_on_and_it_is_not_tried_without_a_pause() -> None:
    stumbling = Stumbling()
    service = replace(toy_service(), guard=StumblingGuard(), decide=stumbling.decide)
    store: MemoryStore[ToyAccount] = MemoryStore(service, clock=HandClock(NOON), shards=1)
    metrics, clock = Metrics("toy"), DatabaseClock(5, host=lambda: NOON, monotonic=lambda: 0.0)
    settings = load_settings(Settings, kafka_bootstrap_servers="nowhere:1", database_url="postgresql://nowhere")
    common: dict[str, Any] = {"settings": settings, "clock": clock, "metrics": metrics, "health": Health(metrics)}
    horizon: Any = ReadUpToNoon()
    bound = OutboxBound(store, 1000, common["health"])
    timers = Timers(service, store, horizon, bound, outbox_writer(""), **common, committed=lambda _: None)
    async with store.transaction() as tx:
        accounts = await tx.load({"acc-1": ["inv-1"], "acc-bad": ["inv-1"], "acc-odd": ["inv-1"]})
        count_up(accounts["acc-1"], "inv-1", due_at=NOON)
        count_up(accounts["acc-bad"], "inv-1", due_at=NOON)
        count_up(accounts["acc-odd"], "inv-1")
        await tx.save(accounts.values())

    assert await timers.fire()  # one by one
    assert not await timers.fire()
    assert [pending.row.key for pending in await store.pending(0, 10)] == ["acc-1"]
    assert (stumbling.tried, metrics.timers_failed._value.get()) == (1, 2)  # acc-bad, and acc-odd of the guard
