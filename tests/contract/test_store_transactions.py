"""A transaction happens as a whole or not at all, and only for the owner of its partitions."""

import asyncio

import pytest

from dunning.runtime.store import Fenced, Owned, ReadUpTo, Verdict
from dunning.testing.hand_clock import HandClock
from tests.contract.kit import (
    FAILED_0,
    FAILED_1,
    NOON,
    SUCCEEDED_0,
    ToyStore,
    a_row,
    all_pending,
    an_errand,
    at,
    count_up,
    counts_of,
    still_waits,
    taken_over,
)


class Crash(Exception):
    """Something unforeseen in the middle of a turn."""


async def a_whole_turn(store: ToyStore, owned: Owned, *, then: type[Exception] | None = None) -> None:
    async with store.transaction() as tx:
        await tx.lock_offsets({FAILED_0: owned.epoch})
        await tx.first_sightings([(1, 10)])
        accounts = await tx.load({"acct-1": ["inv-1"]})
        count_up(accounts["acct-1"], "inv-1", due_at=at(13))
        await tx.save(accounts.values())
        await tx.publish([a_row("acct-1", "e1")])
        await tx.give_errands([an_errand()])
        await tx.advance_offsets({FAILED_0: 42})
        if then is not None:
            raise then


async def test_a_turn_that_raises_leaves_nothing_behind(store: ToyStore) -> None:
    owned = await taken_over(store)

    with pytest.raises(Crash):
        await a_whole_turn(store, owned, then=Crash)

    assert await counts_of(store, "acct-1", "inv-1") == {}
    assert await all_pending(store) == []
    assert await store.lease_errands(10, 60) == []
    async with store.transaction() as tx:
        assert await tx.lock_offsets({FAILED_0: owned.epoch}) == {FAILED_0: None}
        assert await tx.first_sightings([(1, 10)]) == [Verdict.FIRST]
        assert await tx.lock_due_accounts(at(23), 10) == {}


async def test_a_turn_that_ends_leaves_everything_behind(store: ToyStore) -> None:
    owned = await taken_over(store)

    await a_whole_turn(store, owned)

    assert await counts_of(store, "acct-1") == {"inv-1": 1}
    assert [pending.row.value for pending in await all_pending(store)] == [b"e1"]
    assert len(await store.lease_errands(10, 60)) == 1
    async with store.transaction() as tx:
        assert await tx.lock_offsets({FAILED_0: owned.epoch}) == {FAILED_0: 42}
        assert await tx.first_sightings([(1, 10)]) == [Verdict.DUPLICATE]
        assert await tx.lock_due_accounts(at(23), 10) == {"acct-1": [("inv-1", at(13))]}


async def test_a_turn_that_is_cancelled_leaves_nothing_behind_and_lets_go_of_its_locks(store: ToyStore) -> None:
    locked = asyncio.Event()

    async def hang() -> None:
        async with store.transaction() as tx:
            accounts = await tx.load({"acct-1": ["inv-1"]})
            count_up(accounts["acct-1"], "inv-1")
            await tx.save(accounts.values())
            locked.set()
            await asyncio.Event().wait()

    turn = asyncio.create_task(hang())
    await locked.wait()
    turn.cancel()
    await asyncio.wait([turn])

    assert await counts_of(store, "acct-1", "inv-1") == {}


async def test_a_partition_that_was_never_read_has_no_offset(store: ToyStore) -> None:
    assert await taken_over(store) == Owned(epoch=1, next_offset=None)


async def test_the_next_owner_goes_on_where_the_last_one_committed(store: ToyStore) -> None:
    await a_whole_turn(store, await taken_over(store))

    assert await taken_over(store) == Owned(epoch=2, next_offset=42)


async def test_who_was_replaced_writes_nothing(store: ToyStore) -> None:
    stale = await taken_over(store)
    await taken_over(store)

    with pytest.raises(Fenced):
        await a_whole_turn(store, stale)

    assert await counts_of(store, "acct-1", "inv-1") == {}
    assert await all_pending(store) == []


async def test_one_lost_partition_of_several_stops_the_turn(store: ToyStore) -> None:
    owned = await store.take_over([FAILED_0, FAILED_1])
    await taken_over(store, FAILED_1)

    with pytest.raises(Fenced, match="owned by somebody else"):
        async with store.transaction() as tx:
            await tx.lock_offsets({each: owned[each].epoch for each in owned})


async def test_a_partition_that_nobody_took_over_is_nobodys(store: ToyStore) -> None:
    with pytest.raises(Fenced):
        async with store.transaction() as tx:
            await tx.lock_offsets({FAILED_0: 1})


async def test_taking_over_waits_for_the_turn_under_way(store: ToyStore) -> None:
    owned = await taken_over(store)
    async with store.transaction() as tx:
        await tx.lock_offsets({FAILED_0: owned.epoch})
        replacement = asyncio.create_task(taken_over(store))
        assert await still_waits(replacement)
        await tx.advance_offsets({FAILED_0: 7})

    assert await replacement == Owned(epoch=2, next_offset=7)


async def test_the_time_is_fixed_for_the_transaction(store: ToyStore, clock: HandClock) -> None:
    async with store.transaction() as tx:
        assert await tx.now() == NOON
        clock.advance(hours=1)
        assert await tx.now() == NOON

    async with store.transaction() as tx:
        assert await tx.now() == at(13)


async def test_there_is_no_horizon_until_every_partition_was_read_through(store: ToyStore) -> None:
    inputs = [FAILED_0, FAILED_1, SUCCEEDED_0]
    assert await store.horizon(inputs) is None

    await store.take_over(inputs)
    await store.note_read_through({FAILED_0: ReadUpTo(1, at(12)), FAILED_1: ReadUpTo(1, at(11))})
    assert await store.horizon(inputs) is None

    await store.note_read_through({SUCCEEDED_0: ReadUpTo(1, at(13))})
    assert await store.horizon(inputs) == at(11)
    assert await store.horizon([FAILED_0, SUCCEEDED_0]) == at(12)


async def test_no_partitions_have_no_horizon(store: ToyStore) -> None:
    assert await store.horizon([]) is None


async def test_taking_over_forgets_that_the_partition_was_read_through(store: ToyStore) -> None:
    await store.take_over([FAILED_0, FAILED_1])
    await store.note_read_through({FAILED_0: ReadUpTo(1, at(12)), FAILED_1: ReadUpTo(1, at(12))})

    await store.take_over([FAILED_1])

    assert await store.horizon([FAILED_0, FAILED_1]) is None
    assert await store.horizon([FAILED_0]) == at(12)


async def test_a_stale_owner_does_not_say_how_far_was_read(store: ToyStore) -> None:
    await store.take_over([FAILED_0])
    await store.take_over([FAILED_0])

    await store.note_read_through({FAILED_0: ReadUpTo(1, at(12))})

    assert await store.horizon([FAILED_0]) is None


async def test_the_horizon_never_moves_back(store: ToyStore) -> None:
    await store.take_over([FAILED_0])
    await store.note_read_through({FAILED_0: ReadUpTo(1, at(12))})
    await store.note_read_through({FAILED_0: ReadUpTo(1, at(11))})

    assert await store.horizon([FAILED_0]) == at(12)


async def test_nothing_is_noted_as_read_where_less_is_stored_than_we_stored(store: ToyStore) -> None:
    """The database was restored, or a standby took over that had not heard of all."""
    owned = await taken_over(store)
    await a_whole_turn(store, owned)  # up to 42

    assert await store.note_read_through({FAILED_0: ReadUpTo(owned.epoch, at(12), stored=43)}) == set()
    assert await store.horizon([FAILED_0]) is None
    assert await store.note_read_through({FAILED_0: ReadUpTo(owned.epoch, at(12), stored=42)}) == {FAILED_0}
    assert await store.horizon([FAILED_0]) == at(12)
