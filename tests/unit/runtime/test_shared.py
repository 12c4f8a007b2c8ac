"""The kernel hands a service what its accounts share: locked, one value for all of a batch, written when changed."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dunning.domain.events import Input, PaymentFailed, TimerDue
from dunning.domain.policy import Policies
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.fold import Outcome
from dunning.runtime.health import Health
from dunning.runtime.instance import outbox_writer
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.repository import StateRepository
from dunning.runtime.service import Service, SharedRows
from dunning.runtime.settings import Settings
from dunning.runtime.shared import take_shared
from dunning.runtime.timers import Timers
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore, MemoryTransaction
from dunning.testing.toy import ToyAccount, toy_service
from retry_scheduler.case import RetryAccount, RetryCase
from retry_scheduler.counting import CARD_LEDGERS
from retry_scheduler.decide import RetryTrack
from tests.builders import failed, instant, only_retries, policies

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


@dataclass
class Tally:
    """Counts inputs by their invoice."""

    times: int = 0
    changed: bool = False


def by_invoice(account: ToyAccount, event: Input, now: datetime) -> Collection[str]:
    return [event.invoice_id] if event.invoice_id else []


TALLIES: SharedRows[ToyAccount] = SharedRows(
    keys=by_invoice,
    new=Tally,
    encode=lambda tally: str(tally.times).encode(),
    decode=lambda state: Tally(int(state)),
    kept_until=lambda _: NOON + timedelta(days=1),
)


def a_store() -> MemoryStore[ToyAccount]:
    return MemoryStore(toy_service(), clock=HandClock(NOON), shards=1)


def due(account_id: str, invoice_id: str) -> TimerDue:
    return TimerDue(f"{account_id}/{invoice_id}", account_id, invoice_id, NOON)


async def test_accounts_that_share_a_key_share_one_value_and_get_no_other() -> None:
    store = a_store()
    async with store.transaction() as tx:
        accounts = await tx.load({"acc_1": [], "acc_2": [], "acc_3": []})
        inputs = [due("acc_1", "in_1"), due("acc_2", "in_1"), due("acc_3", "in_3")]
        shared = await take_shared(tx, TALLIES, accounts, inputs, NOON)
        accounts["acc_1"].shared["in_1"].times += 1
        accounts["acc_2"].shared["in_1"].times += 1
        accounts["acc_2"].shared["in_1"].changed = True
        await shared.save(tx)
        assert sorted(accounts["acc_3"].shared) == ["in_3"]

    async with store.transaction() as tx:
        assert await tx.load_shared(["in_1", "in_3"]) == {"in_1": b"2", "in_3": None}


async def test_a_service_that_shares_nothing_asks_the_store_nothing() -> None:
    class Untouched(MemoryTransaction[Any]):
        def __init__(self) -> None:
            pass

    shared = await take_shared(Untouched(), None, {}, [due("acc_1", "in_1")], NOON)
    await shared.save(Untouched())


@dataclass
class Scheduler:
    """Retry scheduling on the store in memory; several may use one store, as instances do."""

    clock: HandClock
    store: MemoryStore[RetryAccount]
    service: Service[RetryAccount]
    outcomes: list[Outcome] = field(default_factory=list)

    @classmethod
    def with_policy(cls, given: Policies) -> "Scheduler":
        service = Service(
            name="retry_scheduler",
            topics=("payment.failed",),
            decide=RetryTrack(lambda: given).decide,
            repository=StateRepository(RetryAccount, RetryCase),
            wanted=lambda _: True,
            shared=CARD_LEDGERS,
        )
        clock = HandClock(instant("03-02 10:00"))
        return cls(clock, MemoryStore(service, clock=clock, shards=1), service)

    async def read(self, *events: PaymentFailed) -> None:
        """One turn, without Kafka."""
        async with self.store.transaction() as tx:
            accounts = await tx.load({event.account_id: [event.invoice_id] for event in events})
            now = await tx.now()
            shared = await take_shared(tx, self.service.shared, accounts, list(events), now)
            for event in events:
                self.service.decide(accounts[event.account_id], event, now)
            await tx.save(accounts.values())
            await shared.save(tx)

    async def fire(self, at: str) -> list[str]:
        """The charges that one round of timers asked for, by invoice."""
        self.clock.now = instant(at)
        horizon = self.clock.now
        health = Health(Metrics("retry_scheduler"))
        timers: Timers[RetryAccount] = Timers(
            self.service,
            self.store,
            _Horizon(horizon),  # type: ignore[arg-type]  # all that the timers ask of it
            OutboxBound(self.store, 1000, health),
            outbox_writer(""),
            settings=Settings.model_validate(
                {"kafka_bootstrap_servers": "unused", "database_url": "postgresql://unused"}
            ),
            clock=DatabaseClock(5, host=lambda: horizon),
            metrics=Metrics("retry_scheduler"),
            health=health,
            committed=self.outcomes.append,
        )
        await timers.fire()
        rows = await self.store.pending(0, 1000)
        await self.store.finish(0, [row.id for row in rows])
        return [
            dict(each.row.headers)["ce_subject"].decode()
            for each in rows
            if each.row.topic == "dunning.retry.requested"
        ]


@dataclass
class _Horizon:
    at: datetime

    async def get(self) -> datetime:
        return self.at


async def test_one_round_of_timers_gives_the_last_place_of_a_card_to_one_account() -> None:
    scheduler = Scheduler.with_policy(policies(only_retries(after=["1d"], max_retries=99)))
    for number in range(20):
        await scheduler.read(failed("03-02 10:00", account_id=f"acc_{number}", invoice_id=f"in_{number:02}"))

    assert await scheduler.fire("03-03 10:00") == ["in_00"]
    assert await scheduler.fire("03-03 11:00") == []


async def test_what_a_batch_counts_is_the_same_in_one_turn_or_in_many() -> None:
    together = Scheduler.with_policy(policies(only_retries(after=["1d"], max_retries=99)))
    batch = [failed("03-02 10:00", account_id=f"acc_{number}", invoice_id=f"in_{number:02}") for number in range(21)]

    await together.read(*batch)

    assert await together.fire("03-03 10:00") == []
    async with together.store.transaction() as tx:
        states = await tx.load_shared(["fp_1"])
    assert states["fp_1"] is not None
    assert len(CARD_LEDGERS.decode(states["fp_1"]).attempts) == 21  # type: ignore[attr-defined]
