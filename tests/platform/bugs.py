"""Mistakes that were never made: each takes one of the kernel's safeguards away, for the time of a run."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, cast
from unittest.mock import patch

from account_enforcement import decide as enforcing
from dunning.runtime.read_through import Horizon
from dunning.runtime.store import LeasedErrand, PendingRow, TopicPartition, Verdict
from dunning.testing.memory import MemoryStore, MemoryTransaction
from dunning.testing.memory_clients import MemoryProducer
from dunning.testing.memory_tables import ErrandRow, Lockable, LockName

Patch = tuple[Any, str, Any]


def _no_fence() -> list[Patch]:
    """Offsets are stored whoever has the partition now."""

    async def lock_offsets(self: Any, owned: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        await self._hold(Lockable.OFFSET, owned)
        return {each: self._offsets_row(each).next_offset for each in sorted(owned)}

    return [(MemoryTransaction, "lock_offsets", lock_offsets)]


class _NeverPast(int):
    """An offset that no record lies before."""

    def __le__(self, other: int) -> bool:
        return True


def _no_stored_offset_check() -> list[Patch]:
    """What a turn is given it takes, whether it is stored already or not."""
    genuine = MemoryTransaction.lock_offsets

    async def lock_offsets(self: Any, owned: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | None]:
        return {at: _NeverPast(offset or 0) for at, offset in (await genuine(self, owned)).items()}

    return [(MemoryTransaction, "lock_offsets", lock_offsets)]


def _no_account_lock() -> list[Patch]:
    """Accounts are loaded without being locked."""

    async def hold(self: Any, kind: Lockable, keys: Collection[Any]) -> None:
        for key in sorted(keys):
            name = LockName(kind, key)
            if kind is not Lockable.ACCOUNT:
                await self._locks.take(name, self)
            self.held.add(name)

    return [(MemoryTransaction, "_hold", hold)]


def _no_waiting_for_the_news() -> list[Patch]:
    """What is due is done, whatever was not read yet (rule 40)."""

    async def get(self: Any) -> datetime:
        now: datetime = self._clock.now()
        return now

    return [(Horizon, "get", get)]


def _no_relay_fence() -> list[Patch]:
    """Each producer of a shard has a transactional id of its own, so none fences off another (rule 41)."""
    genuine = MemoryProducer.__init__
    numbers = count(1)

    def unlike_all_others(self: Any, *given: Any, transactional_id: str, **named: Any) -> None:
        genuine(self, *given, transactional_id=f"{transactional_id} {next(numbers)}", **named)

    return [(MemoryProducer, "__init__", unlike_all_others)]


def _no_lease_check() -> list[Patch]:
    """Whoever leased an errand once has a say in it, whoever has it by now."""
    finish, postpone = MemoryTransaction.finish_errand, MemoryStore.postpone_errand

    def in_force(errands: Mapping[str, ErrandRow], leased: LeasedErrand) -> LeasedErrand:
        row = errands.get(leased.errand.errand_id)
        return leased if row is None else replace(leased, token=cast("str", row.token))

    async def finish_errand(self: Any, leased: LeasedErrand) -> None:
        await finish(self, in_force(self._tables.errands, leased))

    async def postpone_errand(self: Any, leased: LeasedErrand, *given: Any, **named: Any) -> None:
        await postpone(self, in_force(self._tables.errands, leased), *given, **named)

    return [(MemoryTransaction, "finish_errand", finish_errand), (MemoryStore, "postpone_errand", postpone_errand)]


def _no_inbox() -> list[Patch]:
    """Everything is seen for the first time (rule 1)."""

    async def first_sightings(self: Any, sightings: Collection[tuple[int, int]]) -> list[Verdict]:
        return [Verdict.FIRST for _ in sightings]

    return [(MemoryTransaction, "first_sightings", first_sightings)]


def _not_all_partitions() -> list[Patch]:
    """The horizon looks at the partitions that were read, not at all that there are."""

    async def horizon(self: Any, all_partitions: Collection[TopicPartition]) -> datetime | None:
        rows = [self._tables.offsets.get(each) for each in all_partitions]
        return min((row.read_through for row in rows if row and row.read_through), default=None)

    return [(MemoryStore, "horizon", horizon)]


def _no_warning() -> list[Patch]:
    """A rung takes its warning for given when the case opened (rule 25)."""
    return [(enforcing, "warned_at", lambda case, policy, rung, now: case.opened_at)]


def _outbox_in_no_order() -> list[Patch]:
    """Rows are published newest first."""
    genuine = MemoryStore.pending

    async def pending(self: Any, shard: int, limit: int, **named: Any) -> list[PendingRow]:
        return list(reversed(await genuine(self, shard, limit, **named)))

    return [(MemoryStore, "pending", pending)]


def _no_finishing_first() -> list[Patch]:
    """A new owner of a shard does not ask what its predecessor published."""
    from dunning.runtime.progress import Note
    from dunning.runtime.publisher import Publisher

    async def last_committed(self: Any) -> Note:
        return Note(frozenset(), None)

    return [(Publisher, "last_committed", last_committed)]


def _commit_before_the_offset() -> list[Patch]:
    """Offsets are not stored with what they stand for."""

    async def advance_offsets(self: Any, positions: Mapping[TopicPartition, int]) -> None:
        for at, position in positions.items():
            self._tables.offsets[at].next_offset = position

    return [(MemoryTransaction, "advance_offsets", advance_offsets)]


BUGS: dict[str, Callable[[], list[Patch]]] = {
    "no fence": _no_fence,
    "no stored-offset check": _no_stored_offset_check,
    "no account lock": _no_account_lock,
    "no waiting for the news": _no_waiting_for_the_news,
    "no relay fence": _no_relay_fence,
    "no lease check": _no_lease_check,
    "no inbox": _no_inbox,
    "not all partitions": _not_all_partitions,
    "no warning": _no_warning,
    "outbox in no order": _outbox_in_no_order,
    "no finishing first": _no_finishing_first,
    "offsets on their own": _commit_before_the_offset,
}


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    """Play with this bug."""
    with ExitStack() as stack:
        for where, attribute, value in BUGS[name]() if name else ():
            stack.enter_context(patch.object(where, attribute, value))
        yield
