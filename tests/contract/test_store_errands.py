"""Work on the outside world is begun at most once, whoever crashes and however often."""

from datetime import timedelta

import pytest

from dunning.runtime.store import Fenced
from dunning.testing.hand_clock import HandClock
from tests.contract.kit import NOON, ToyStore, an_errand, at, finished, given, leased


async def test_an_errand_comes_back_as_it_was_given(store: ToyStore) -> None:
    await given(store, an_errand())

    lease = await leased(store)

    assert lease.errand == an_errand()
    assert (lease.tries, lease.withdrawn, lease.begun) == (1, False, False)


async def test_the_same_errand_twice_is_one_errand(store: ToyStore) -> None:
    await given(store, an_errand(), an_errand())
    await given(store, an_errand())

    assert len(await store.lease_errands(10, 60)) == 1


async def test_an_errand_waits_for_its_time(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand(not_before=at(12, 30)))
    assert await store.lease_errands(10, 60) == []

    clock.advance(minutes=30)
    assert len(await store.lease_errands(10, 60)) == 1


async def test_the_oldest_are_leased_first_up_to_the_limit(store: ToyStore) -> None:
    await given(store, an_errand("c", not_before=at(9)), an_errand("a", not_before=at(10)), an_errand("b"))

    first = await store.lease_errands(2, 60)
    rest = await store.lease_errands(2, 60)

    assert [lease.errand.errand_id for lease in first] == ["c", "a"]
    assert [lease.errand.errand_id for lease in rest] == ["b"]


async def test_nobody_else_gets_a_leased_errand(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    await leased(store, seconds=60)

    clock.advance(seconds=59)

    assert await store.lease_errands(10, 60) == []


async def test_a_finished_errand_is_gone(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    lease = await leased(store)
    assert await store.begin_errand(lease)

    await finished(store, lease)

    clock.advance(days=1)
    assert await store.lease_errands(10, 60) == []


async def test_an_errand_is_begun_once(store: ToyStore) -> None:
    await given(store, an_errand())
    lease = await leased(store)

    assert await store.begin_errand(lease)
    assert not await store.begin_errand(lease)


async def test_a_lease_that_ran_out_before_the_beginning_is_done_again(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    stale = await leased(store, seconds=60)
    clock.advance(seconds=60)

    lease = await leased(store)

    assert (lease.tries, lease.begun) == (2, False)
    assert not await store.begin_errand(stale)
    assert await store.begin_errand(lease)


async def test_a_lease_that_ran_out_cannot_begin_even_while_nobody_else_has_it(
    store: ToyStore, clock: HandClock
) -> None:
    await given(store, an_errand())
    lease = await leased(store, seconds=60)
    clock.advance(seconds=60)

    assert not await store.begin_errand(lease)


async def test_a_lease_that_ran_out_after_the_beginning_says_so_and_is_not_begun_again(
    store: ToyStore, clock: HandClock
) -> None:
    await given(store, an_errand())
    assert await store.begin_errand(await leased(store, seconds=60))
    clock.advance(seconds=60)

    lease = await leased(store)

    assert lease.begun
    assert not await store.begin_errand(lease)
    await finished(store, lease)


async def test_beginning_starts_the_lease_anew(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    lease = await leased(store, seconds=60)
    clock.advance(seconds=50)
    assert await store.begin_errand(lease)
    clock.advance(seconds=50)

    assert await store.lease_errands(10, 60) == []
    await finished(store, lease)


async def test_a_stale_worker_changes_nothing(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    stale = await leased(store, seconds=60)
    assert await store.begin_errand(stale)
    clock.advance(seconds=60)
    lease = await leased(store)

    with pytest.raises(Fenced):
        await finished(store, stale)
    with pytest.raises(Fenced):
        await store.postpone_errand(stale, at(20))

    await finished(store, lease)
    with pytest.raises(Fenced):
        await finished(store, lease)


async def test_a_withdrawn_errand_comes_up_at_once_and_is_not_begun(store: ToyStore) -> None:
    await given(store, an_errand(not_before=NOON + timedelta(days=3)))
    async with store.transaction() as tx:
        await tx.withdraw_errands(["errand-1", "never-heard-of"])

    lease = await leased(store)

    assert lease.withdrawn
    assert not await store.begin_errand(lease)
    await finished(store, lease)


async def test_of_a_withdrawn_errand_nothing_is_left_of_what_was_to_be_said_and_to_whom(store: ToyStore) -> None:
    await given(store, an_errand(), an_errand("errand-2"))
    async with store.transaction() as tx:
        await tx.withdraw_errands(["errand-1"])

    payloads = {lease.errand.errand_id: lease.errand.payload for lease in await store.lease_errands(2, 60)}

    assert payloads == {"errand-1": {}, "errand-2": an_errand().payload}


async def test_an_errand_can_be_withdrawn_from_the_hands_of_a_worker_who_has_not_begun(store: ToyStore) -> None:
    await given(store, an_errand())
    lease = await leased(store)
    async with store.transaction() as tx:
        await tx.withdraw_errands(["errand-1"])

    assert not await store.begin_errand(lease)
    await finished(store, lease)


async def test_what_has_begun_ends_as_it_ends_when_it_is_withdrawn(store: ToyStore) -> None:
    await given(store, an_errand())
    lease = await leased(store)
    assert await store.begin_errand(lease)
    async with store.transaction() as tx:
        await tx.withdraw_errands(["errand-1"])

    await finished(store, lease)


async def test_an_errand_given_and_withdrawn_in_one_transaction_is_withdrawn(store: ToyStore) -> None:
    async with store.transaction() as tx:
        await tx.give_errands([an_errand(not_before=at(20))])
        await tx.withdraw_errands(["errand-1"])

    assert (await leased(store)).withdrawn


async def test_a_postponed_errand_is_tried_again_later_though_it_had_begun(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    lease = await leased(store)
    assert await store.begin_errand(lease)

    await store.postpone_errand(lease, at(13))

    assert await store.lease_errands(10, 60) == []
    clock.advance(hours=1)
    again = await leased(store)
    assert (again.tries, again.begun, again.withdrawn) == (2, False, False)
    assert await store.begin_errand(again)


async def test_an_errand_withdrawn_while_it_was_tried_comes_up_at_once_when_it_is_postponed(store: ToyStore) -> None:
    await given(store, an_errand())
    lease = await leased(store)
    assert await store.begin_errand(lease)
    async with store.transaction() as tx:
        await tx.withdraw_errands(["errand-1"])

    await store.postpone_errand(lease, at(20))

    assert (await leased(store)).withdrawn


async def test_an_errand_that_is_being_finished_is_not_leased(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    lease = await leased(store, seconds=60)
    assert await store.begin_errand(lease)
    async with store.transaction() as tx:
        await tx.finish_errand(lease)
        clock.advance(seconds=61)
        assert await store.lease_errands(10, 60) == []


async def test_only_refusals_count_as_such(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    for refused in (True, False, True):
        await store.postpone_errand(await leased(store), at(13), refused=refused)
        clock.advance(hours=1)

    lease = await leased(store)

    assert (lease.tries, lease.refusals) == (4, 2)


async def test_a_postponed_errand_has_a_new_due_time_where_one_is_given(store: ToyStore, clock: HandClock) -> None:
    await given(store, an_errand())
    await store.postpone_errand(await leased(store), at(12, 30))
    clock.advance(minutes=30)
    kept = await leased(store)
    await store.postpone_errand(kept, at(13), not_before=at(13))
    clock.advance(minutes=30)

    assert (kept.errand.not_before, (await leased(store)).errand.not_before) == (NOON, at(13))
