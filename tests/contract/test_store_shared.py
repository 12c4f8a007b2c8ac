"""State that accounts share is locked by its keys, whoever comes from whichever account."""

import asyncio
from datetime import timedelta

from dunning.runtime.store import SharedRow
from tests.contract.kit import NOON, ToyStore, still_waits


async def written(store: ToyStore, **states: str) -> None:
    """One transaction that writes."""
    async with store.transaction() as tx:
        await tx.load_shared(list(states))
        await tx.save_shared([SharedRow(key, state.encode(), NOON) for key, state in states.items()])


async def read(store: ToyStore, *keys: str) -> dict[str, bytes | None]:
    async with store.transaction() as tx:
        return await tx.load_shared(keys)


async def test_what_nobody_wrote_is_none_and_what_was_written_comes_back(store: ToyStore) -> None:
    await written(store, card_1="[1]")

    assert await read(store, "card_1", "card_2") == {"card_1": b"[1]", "card_2": None}
    assert await read(store, "card_2") == {"card_2": None}
    await written(store, card_1="[2]", card_2="[3]")
    assert await read(store, "card_2", "card_1") == {"card_1": b"[2]", "card_2": b"[3]"}


async def test_a_transaction_that_fails_writes_nothing(store: ToyStore) -> None:
    await written(store, card_1="[1]")
    try:
        async with store.transaction() as tx:
            await tx.load_shared(["card_1", "card_2"])
            await tx.save_shared([SharedRow("card_1", b"[2]", NOON), SharedRow("card_2", b"[3]", NOON)])
            raise RuntimeError
    except RuntimeError:
        pass

    assert await read(store, "card_1", "card_2") == {"card_1": b"[1]", "card_2": None}


async def test_whoever_comes_second_waits_and_sees_what_the_first_wrote(store: ToyStore) -> None:
    for before in (None, b"[1]"):
        async with store.transaction() as tx:
            await tx.load({"acct-1": []})
            assert await tx.load_shared(["card_1"]) == {"card_1": before}
            second = asyncio.create_task(read(store, "card_1"))
            assert await still_waits(second)
            await tx.save_shared([SharedRow("card_1", b"[1]", NOON)])
        assert await second == {"card_1": b"[1]"}


async def test_many_accounts_with_the_same_cards_never_deadlock(store: ToyStore) -> None:
    async def use(number: int) -> None:
        cards = [f"card_{(number + step) % 5}" for step in range(3)]
        async with store.transaction() as tx:
            await tx.load({f"acct-{number % 4}": [], f"acct-{(number + 1) % 4}": []})
            states = await tx.load_shared(cards)
            counted = {key: int(state or b"0") + 1 for key, state in states.items()}
            await asyncio.sleep(0)
            await tx.save_shared([SharedRow(key, str(times).encode(), NOON) for key, times in counted.items()])

    await asyncio.gather(*(use(number) for number in range(20)))

    states = await read(store, *(f"card_{number}" for number in range(5)))
    assert states == {f"card_{number}": b"12" for number in range(5)}


async def test_what_decides_nothing_any_more_is_dropped_but_for_what_somebody_holds(store: ToyStore) -> None:
    await written(store, card_1="[1]", card_2="[2]")

    assert (await store.drop_old_shared(NOON, 0)).dropped == 0
    async with store.transaction() as tx:
        await tx.load_shared(["card_1"])
        assert (await store.drop_old_shared(NOON + timedelta(seconds=1), 0)).dropped == 1
    assert await read(store, "card_1", "card_2") == {"card_1": b"[1]", "card_2": None}
