"""The same thing reported twice acts once (rule 1)."""

import asyncio
from contextlib import suppress

import pytest

from dunning.runtime.store import Verdict
from tests.contract.kit import ToyStore, still_waits

FIRST, DUPLICATE, CONFLICT = Verdict.FIRST, Verdict.DUPLICATE, Verdict.CONFLICT
LARGEST, SMALLEST = 2**63 - 1, -(2**63)


async def seen(store: ToyStore, *sightings: tuple[int, int]) -> list[Verdict]:
    async with store.transaction() as tx:
        return await tx.first_sightings(sightings)


async def test_a_key_is_new_once_and_its_content_is_compared_afterwards(store: ToyStore) -> None:
    assert await seen(store, (1, 10), (2, 20)) == [FIRST, FIRST]
    assert await seen(store, (2, 20), (1, 11), (3, 30)) == [DUPLICATE, CONFLICT, FIRST]


async def test_the_first_content_stands_after_a_conflict(store: ToyStore) -> None:
    await seen(store, (1, 10))
    await seen(store, (1, 11))

    assert await seen(store, (1, 10), (1, 11)) == [DUPLICATE, CONFLICT]


async def test_repetitions_within_one_call_count_as_seen(store: ToyStore) -> None:
    verdicts = await seen(store, (5, 50), (5, 50), (5, 51), (4, 40), (5, 50))

    assert verdicts == [FIRST, DUPLICATE, CONFLICT, FIRST, DUPLICATE]


async def test_repetitions_within_one_call_of_a_known_key(store: ToyStore) -> None:
    await seen(store, (5, 50))

    assert await seen(store, (5, 51), (5, 50), (5, 51)) == [CONFLICT, DUPLICATE, CONFLICT]


async def test_a_second_call_in_the_same_transaction_knows_the_first(store: ToyStore) -> None:
    async with store.transaction() as tx:
        assert await tx.first_sightings([(1, 10)]) == [FIRST]
        assert await tx.first_sightings([(1, 10), (1, 11)]) == [DUPLICATE, CONFLICT]


async def test_keys_use_all_64_bits(store: ToyStore) -> None:
    assert await seen(store, (LARGEST, SMALLEST), (SMALLEST, LARGEST)) == [FIRST, FIRST]
    assert await seen(store, (SMALLEST, LARGEST), (LARGEST, LARGEST)) == [DUPLICATE, CONFLICT]


async def test_nothing_sighted_is_nothing_said(store: ToyStore) -> None:
    assert await seen(store) == []


@pytest.mark.parametrize(("first_commits", "verdict"), [(True, DUPLICATE), (False, FIRST)])
async def test_two_transactions_with_the_same_key_wait_for_each_other(
    store: ToyStore, first_commits: bool, verdict: Verdict
) -> None:
    class Crash(Exception):
        pass

    with suppress(Crash):
        async with store.transaction() as tx:
            await tx.first_sightings([(1, 10)])
            other = asyncio.create_task(seen(store, (1, 10)))
            assert await still_waits(other)
            if not first_commits:
                raise Crash

    assert await other == [verdict]


@pytest.mark.parametrize("keys", [(1, 5, 9), (9, 5, 1)])
async def test_who_waits_for_a_key_holds_only_smaller_ones(store: ToyStore, keys: tuple[int, ...]) -> None:
    async with store.transaction() as tx:
        await tx.first_sightings([(5, 1)])
        other = asyncio.create_task(seen(store, *[(key, 1) for key in keys]))
        assert await still_waits(other)

        assert await asyncio.wait_for(seen(store, (9, 2)), timeout=5) == [FIRST]

    assert dict(zip(keys, await other, strict=True)) == {1: FIRST, 5: DUPLICATE, 9: CONFLICT}


async def test_overlapping_batches_in_any_order_do_not_deadlock(store: ToyStore) -> None:
    keys = list(range(40))
    batches = [seen(store, *[(key, 1) for key in order]) for order in (keys, keys[::-1], keys[20:] + keys[:20])]

    verdicts = await asyncio.gather(*batches)

    assert sum(verdict is FIRST for batch in verdicts for verdict in batch) == 40
    assert sum(verdict is DUPLICATE for batch in verdicts for verdict in batch) == 80


async def test_what_was_set_aside_is_new_again_and_what_others_saw_stays(store: ToyStore) -> None:
    await seen(store, (1, 10))
    async with store.transaction() as tx:
        await tx.first_sightings([(1, 10), (2, 20), (3, 30)])
        await tx.forget_sightings([2])

    assert await seen(store, (1, 10), (2, 21), (3, 30)) == [DUPLICATE, FIRST, DUPLICATE]
