"""What the store tests say often."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from dunning.domain.decision import Errand
from dunning.runtime.sharding import shard_of
from dunning.runtime.store import LeasedErrand, OutboxRow, Owned, PendingRow, Store, TopicPartition
from dunning.testing.toy import RECOVERED, SCHEDULED, ToyAccount, ToyCase, case_id_of

T = TypeVar("T")
ToyStore = Store[ToyAccount]

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
FAILED_0 = TopicPartition("payment.failed", 0)
FAILED_1 = TopicPartition("payment.failed", 1)
SUCCEEDED_0 = TopicPartition("payment.succeeded", 0)


def at(hour: int, minute: int = 0) -> datetime:
    """A time on the day of the test."""
    return NOON.replace(hour=hour, minute=minute)


def count_up(account: ToyAccount, invoice_id: str, *, due_at: datetime | None = None, paid: bool = False) -> None:
    """Change an account as a decision would."""
    case = account.cases.setdefault(invoice_id, ToyCase(invoice_id, case_id_of(account.account_id, invoice_id)))
    case.count += 1
    case.due_at = due_at
    case.stage = RECOVERED if paid else SCHEDULED
    account.touched.add(invoice_id)
    account.seen += 1
    account.changed = True


async def counted(store: ToyStore, account_id: str, invoice_id: str, *, due_at: datetime | None = None) -> None:
    """One transaction that counts one input."""
    async with store.transaction() as tx:
        accounts = await tx.load({account_id: [invoice_id]})
        count_up(accounts[account_id], invoice_id, due_at=due_at)
        await tx.save(accounts.values())


async def counts_of(store: ToyStore, account_id: str, *named: str) -> dict[str, int]:
    """How often each loaded case of an account was counted."""
    async with store.transaction() as tx:
        account = (await tx.load({account_id: named}))[account_id]
        return {invoice_id: case.count for invoice_id, case in account.cases.items()}


async def taken_over(store: ToyStore, partition: TopicPartition = FAILED_0) -> Owned:
    """Become the owner of one partition."""
    return (await store.take_over([partition]))[partition]


def a_row(key: str, value: str, *, case_id: str | None = None, topic: str = "dunning.stage.changed") -> OutboxRow:
    """An event of an account."""
    return OutboxRow(topic, key, value.encode(), (("ce_id", value.encode()),), case_id, key)


async def published(store: ToyStore, rows: Iterable[OutboxRow]) -> None:
    """One transaction that publishes."""
    async with store.transaction() as tx:
        await tx.publish(list(rows))


async def all_pending(store: ToyStore) -> list[PendingRow]:
    """What waits in all shards, shard after shard."""
    return [row for shard in range(store.shards) for row in await store.pending(shard, 1000)]


async def finish(store: ToyStore, rows: Sequence[PendingRow]) -> None:
    """Acknowledge these, whichever shards they are in."""
    for shard in range(store.shards):
        await store.finish(shard, [row.id for row in rows if shard_of(row.row.key, store.shards) == shard])


async def values_of(store: ToyStore, key: str) -> list[str]:
    """The pending events of one key, in order."""
    return [pending.row.value.decode() for pending in await all_pending(store) if pending.row.key == key]


def an_errand(errand_id: str = "errand-1", *, not_before: datetime = NOON) -> Errand:
    """Something to do in the world."""
    return Errand(errand_id, "acct-1", "inv-1", "mail", not_before, {"to": "someone", "lines": [1, 2]})


async def given(store: ToyStore, *errands: Errand) -> None:
    """One transaction that gives errands."""
    async with store.transaction() as tx:
        await tx.give_errands(errands)


async def leased(store: ToyStore, *, seconds: float = 60) -> LeasedErrand:
    """The one errand that is due."""
    (lease,) = await store.lease_errands(10, seconds)
    return lease


async def finished(store: ToyStore, lease: LeasedErrand) -> None:
    """One transaction that ends an errand."""
    async with store.transaction() as tx:
        await tx.finish_errand(lease)


async def still_waits(task: Awaitable[T]) -> bool:
    """Whether a task is held up by somebody's lock: it had time enough to finish, and did not."""
    done, _ = await asyncio.wait([asyncio.ensure_future(task)], timeout=0.2)
    return not done
