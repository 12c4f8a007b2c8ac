"""Events wait in order until Kafka has them; then they belong to the story of their case."""

import asyncio

from dunning.runtime.sharding import shard_of
from dunning.runtime.store import OutboxRow, TopicKey
from dunning.testing.hand_clock import HandClock
from tests.contract.kit import NOON, ToyStore, a_row, all_pending, finish, published, values_of


def test_the_shard_of_a_key_is_its_checksum_and_so_the_same_for_ever() -> None:
    check_value_of_crc32 = 0xCBF43926  # of "123456789", as every catalogue of checksums has it

    assert shard_of("123456789", 2**32) == check_value_of_crc32
    assert shard_of("123456789", 4) == 2


async def test_a_row_comes_back_as_it_was(store: ToyStore, clock: HandClock) -> None:
    row = OutboxRow("t.x", "acct-1", b"\x00\xffbody", (("a", b"\xff\x00"), ("a", b""), ("ß", b"2")), "case-1", "acct-1")
    await published(store, [row])
    clock.advance(hours=1)

    (pending,) = await all_pending(store)

    assert (pending.row, pending.recorded_at) == (row, NOON)


async def test_every_row_is_in_the_shard_of_its_key(store: ToyStore) -> None:
    await published(store, [a_row(f"acct-{number}", "e") for number in range(40)])

    for shard in range(store.shards):
        assert {shard_of(pending.row.key, 4) for pending in await store.pending(shard, 100)} == {shard}


async def test_one_key_keeps_its_order_within_and_across_transactions(store: ToyStore) -> None:
    await published(store, [a_row("acct-1", "e1"), a_row("acct-2", "x1"), a_row("acct-1", "e2")])
    await published(store, [a_row("acct-2", "x2"), a_row("acct-1", "e3")])

    assert await values_of(store, "acct-1") == ["e1", "e2", "e3"]
    assert await values_of(store, "acct-2") == ["x1", "x2"]


async def test_one_key_keeps_the_order_of_its_accounts_lock(store: ToyStore) -> None:
    async def publish_next(number: int) -> None:
        async with store.transaction() as tx:
            account = (await tx.load({"acct-1": []}))["acct-1"]
            account.seen += 1
            account.changed = True
            await tx.save([account])
            await tx.publish([a_row("acct-1", str(account.seen))])

    await asyncio.gather(*(publish_next(number) for number in range(20)))

    assert await values_of(store, "acct-1") == [str(number) for number in range(1, 21)]


async def test_pending_gives_the_oldest_first_up_to_the_limit(store: ToyStore) -> None:
    await published(store, [a_row("acct-1", f"e{number}") for number in range(5)])

    oldest = await store.pending(shard_of("acct-1", 4), 2)

    assert [pending.row.value for pending in oldest] == [b"e0", b"e1"]


async def test_pending_gives_no_more_bytes_than_asked_for_but_always_a_row(store: ToyStore) -> None:
    row = OutboxRow("t", "acct-1", b"x" * 10_000, (), None, "acct-1")
    await published(store, [row] * 5)
    shard = shard_of("acct-1", 4)

    assert len(await store.pending(shard, 10, bytes_max=1)) == 1
    assert len(await store.pending(shard, 10, bytes_max=35_000)) == 3
    assert len(await store.pending(shard, 2, bytes_max=35_000)) == 2


async def test_pending_passes_over_the_keys_that_wait_for_something_else(store: ToyStore) -> None:
    other = next(f"acct-{n}" for n in range(2, 99) if shard_of(f"acct-{n}", 4) == shard_of("acct-1", 4))
    await published(
        store, [a_row("acct-1", "e1"), a_row("acct-1", "e2"), a_row("acct-1", "f", topic="t"), a_row(other, "o")]
    )
    held = [TopicKey("dunning.stage.changed", "acct-1"), TopicKey("t", other)]

    free = await store.pending(shard_of("acct-1", 4), 2, but_not=held)

    assert [pending.row.value for pending in free] == [b"f", b"o"]


async def test_one_question_tells_in_which_of_some_shards_something_waits(store: ToyStore) -> None:
    assert [shard_of(key, 4) for key in ("acct-1", "acct-2", "acct-4")] == [1, 3, 2]
    await published(store, [a_row("acct-1", "e1"), a_row("acct-1", "e2"), a_row("acct-2", "x1"), a_row("acct-4", "y1")])
    await finish(store, await store.pending(2, 10))

    assert await store.shards_pending(range(4)) == {1, 3}
    assert await store.shards_pending([2, 3]) == {3}
    assert await store.shards_pending([]) == set()


async def test_rows_that_are_known_by_their_numbers_are_finished_too(store: ToyStore) -> None:
    await published(store, [a_row("acct-1", f"e{number}") for number in range(3)])
    known = [pending.id for pending in await all_pending(store)][:2]

    await store.finish(shard_of("acct-1", 4), [*known, 10**12])
    await store.finish(shard_of("acct-1", 4), [])

    assert await values_of(store, "acct-1") == ["e2"]


async def test_what_is_finished_waits_no_more_and_finishing_twice_is_harmless(store: ToyStore) -> None:
    await published(store, [a_row("acct-1", f"e{number}") for number in range(3)])
    acknowledged = (await all_pending(store))[:2]

    await finish(store, acknowledged)
    await finish(store, acknowledged)
    await finish(store, [])

    assert await values_of(store, "acct-1") == ["e2"]


async def test_a_row_that_is_committed_late_is_not_lost(store: ToyStore) -> None:
    async with store.transaction() as slow:
        await slow.publish([a_row("acct-1", "slow")])
        await published(store, [a_row("acct-1", "fast")])
        seen = await all_pending(store)
        assert [pending.row.value for pending in seen] == [b"fast"]
    await finish(store, seen)

    assert await values_of(store, "acct-1") == ["slow"]


async def test_of_rows_known_by_their_numbers_none_is_finished_that_was_recorded_later(
    store: ToyStore, clock: HandClock
) -> None:
    """A database that was restored gives the numbers of what was published before to other rows."""
    await published(store, [a_row("acct-1", "before")])
    clock.advance(minutes=1)
    await published(store, [a_row("acct-1", "after")])
    numbers = [pending.id for pending in await all_pending(store)]

    await store.finish(shard_of("acct-1", 4), numbers, NOON)

    assert await values_of(store, "acct-1") == ["after"]


async def test_so_many_rows_wait_or_fewer(store: ToyStore) -> None:
    await published(store, [a_row(f"acct-{number}", "e") for number in range(5)])

    assert [await store.outbox_holds(rows) for rows in (4, 5, 6)] == [True, True, False]
