"""Accounts are locked as a whole, loaded with what an input needs, and found when something of them is due."""

import asyncio
import random
from contextlib import suppress

import pytest

from dunning.domain.events import TimerDue
from dunning.testing.toy import ToyAccount, decide
from tests.contract.kit import NOON, ToyStore, at, count_up, counted, counts_of, still_waits


async def test_an_unknown_account_is_new_and_empty(store: ToyStore) -> None:
    async with store.transaction() as tx:
        assert await tx.load({"acct-1": ["inv-1"]}) == {"acct-1": ToyAccount("acct-1")}


async def test_what_was_saved_comes_back(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1", "inv-2"], "acct-2": []})
        count_up(accounts["acct-1"], "inv-1", due_at=at(13))
        count_up(accounts["acct-1"], "inv-2")
        saved = accounts["acct-1"].cases
        await tx.save(accounts.values())

    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": [], "acct-2": []})
        assert accounts == {"acct-1": ToyAccount("acct-1", seen=2, cases=saved), "acct-2": ToyAccount("acct-2")}


async def test_a_closed_case_is_found_by_the_id_of_something_that_it_holds(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1", "inv-2", "inv-3"], "acct-2": ["inv-1"]})
        for account_id, invoice_id, thing, paid in (
            ("acct-1", "inv-1", 'thing "1"', True),
            ("acct-1", "inv-2", "thing 11", True),
            ("acct-1", "inv-3", "thing 3", False),  # open cases are at hand anyway
            ("acct-2", "inv-1", "thing 2", True),
        ):
            count_up(accounts[account_id], invoice_id, paid=paid)
            accounts[account_id].cases[invoice_id].errand_id = thing
        await tx.save(accounts.values())

    async with store.transaction() as tx:
        assert await tx.closed_with([("acct-1", 'thing "1"'), ("acct-2", "thing 2")]) == [
            ("acct-1", "inv-1"),
            ("acct-2", "inv-1"),
        ]
        others = [("acct-1", "thing 1"), ("acct-1", "thing 3"), ("acct-1", "thing 2"), ("acct-3", "thing 1")]
        assert await tx.closed_with(others) == []
        assert await tx.closed_with([]) == []


async def test_saving_forgets_the_marks(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1"]})
        count_up(accounts["acct-1"], "inv-1")
        await tx.save(accounts.values())

        assert (accounts["acct-1"].touched, accounts["acct-1"].changed) == (set(), False)


async def test_only_what_is_marked_is_written(store: ToyStore) -> None:
    await counted(store, "acct-1", "inv-1")
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1"]})
        accounts["acct-1"].seen = 99
        accounts["acct-1"].cases["inv-1"].count = 99
        await tx.save(accounts.values())

    async with store.transaction() as tx:
        account = (await tx.load({"acct-1": []}))["acct-1"]
        assert (account.seen, account.cases["inv-1"].count) == (1, 1)


async def test_a_case_of_an_account_without_changed_facts_is_kept(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1"]})
        count_up(accounts["acct-1"], "inv-1")
        accounts["acct-1"].changed = False
        await tx.save(accounts.values())

    assert await counts_of(store, "acct-1") == {"inv-1": 1}


async def test_saving_twice_in_one_transaction_keeps_the_last(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1"]})
        for _ in range(3):
            count_up(accounts["acct-1"], "inv-1")
            await tx.save(accounts.values())
        loaded_again = await tx.load({"acct-1": []})
        assert loaded_again["acct-1"].cases["inv-1"].count == 3

    assert await counts_of(store, "acct-1") == {"inv-1": 3}


async def test_closed_cases_are_loaded_only_when_they_are_named(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": []})
        count_up(accounts["acct-1"], "inv-1")
        count_up(accounts["acct-1"], "inv-2", paid=True)
        count_up(accounts["acct-1"], "inv-3", paid=True)
        await tx.save(accounts.values())

    assert await counts_of(store, "acct-1") == {"inv-1": 1}
    assert await counts_of(store, "acct-1", "inv-3", "inv-1") == {"inv-1": 1, "inv-3": 1}


async def test_cases_come_in_the_order_of_their_invoices(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": []})
        for invoice_id in ("b", "ä", "B", "a", "10", "9"):
            count_up(accounts["acct-1"], invoice_id)
        await tx.save(accounts.values())

    assert list(await counts_of(store, "acct-1")) == ["10", "9", "B", "a", "b", "ä"]


async def test_an_account_that_nobody_loaded_cannot_be_saved(store: ToyStore) -> None:
    account = ToyAccount("acct-1")
    count_up(account, "inv-1")

    with pytest.raises(LookupError, match="acct-1"):
        async with store.transaction() as tx:
            await tx.save([account])


async def test_two_transactions_on_a_brand_new_account_take_turns(store: ToyStore) -> None:
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1"]})
        other = asyncio.create_task(counted(store, "acct-1", "inv-1"))
        assert await still_waits(other)
        count_up(accounts["acct-1"], "inv-1")
        await tx.save(accounts.values())
    await other

    assert await counts_of(store, "acct-1") == {"inv-1": 2}


async def test_two_transactions_on_a_known_account_take_turns(store: ToyStore) -> None:
    await counted(store, "acct-1", "inv-1")
    async with store.transaction() as tx:
        accounts = await tx.load({"acct-1": ["inv-1"]})
        other = asyncio.create_task(counted(store, "acct-1", "inv-2"))
        assert await still_waits(other)
        count_up(accounts["acct-1"], "inv-1")
        await tx.save(accounts.values())
    await other

    async with store.transaction() as tx:
        account = (await tx.load({"acct-1": []}))["acct-1"]
        assert {invoice_id: case.count for invoice_id, case in account.cases.items()} == {"inv-1": 2, "inv-2": 1}
        assert account.seen == 3


async def test_a_new_account_whose_creator_gave_up_is_new_for_the_next(store: ToyStore) -> None:
    class Crash(Exception):
        pass

    with suppress(Crash):
        async with store.transaction() as tx:
            await tx.load({"acct-1": ["inv-1"]})
            other = asyncio.create_task(counted(store, "acct-1", "inv-1"))
            assert await still_waits(other)
            raise Crash
    await other

    assert await counts_of(store, "acct-1") == {"inv-1": 1}


@pytest.mark.parametrize("known", [False, True])
async def test_who_waits_for_an_account_holds_only_those_before_it(store: ToyStore, known: bool) -> None:
    async def load_all(*account_ids: str) -> None:
        async with store.transaction() as tx:
            await tx.load({account_id: [] for account_id in account_ids})

    if known:
        await load_all("acct-1", "acct-5", "acct-9")
    async with store.transaction() as tx:
        await tx.load({"acct-5": []})
        other = asyncio.create_task(load_all("acct-9", "acct-5", "acct-1"))
        assert await still_waits(other)

        await asyncio.wait_for(load_all("acct-9"), timeout=5)

    await other


async def test_many_transactions_on_overlapping_accounts_in_any_order_neither_deadlock_nor_lose_a_count(
    store: ToyStore,
) -> None:
    chance = random.Random(20261001)
    everybody = [f"acct-{number:02}" for number in range(12)]

    async def count_some(chosen: list[str]) -> None:
        async with store.transaction() as tx:
            accounts = await tx.load({account_id: ["inv-1"] for account_id in chosen})
            for account_id in chosen:
                count_up(accounts[account_id], "inv-1")
            await asyncio.sleep(0)
            await tx.save([accounts[account_id] for account_id in chosen])

    choices = [chance.sample(everybody, k=6) for _ in range(60)]
    await asyncio.gather(*(count_some(chosen) for chosen in choices))

    total = 0
    for account_id in everybody:
        total += (await counts_of(store, account_id)).get("inv-1", 0)
    assert total == 360


async def test_what_is_due_comes_oldest_first_and_with_all_its_due_invoices(store: ToyStore) -> None:
    await counted(store, "acct-late", "inv-1", due_at=at(12))
    await counted(store, "acct-early", "inv-1", due_at=at(9))
    await counted(store, "acct-early", "inv-2", due_at=at(11))
    await counted(store, "acct-early", "inv-3", due_at=at(13))
    await counted(store, "acct-never", "inv-1")

    async with store.transaction() as tx:
        due = await tx.lock_due_accounts(NOON, 10)

    assert due == {"acct-early": [("inv-1", at(9)), ("inv-2", at(11))], "acct-late": [("inv-1", at(12))]}
    assert list(due) == ["acct-early", "acct-late"]


async def test_the_limit_takes_the_oldest(store: ToyStore) -> None:
    await counted(store, "acct-a", "inv-1", due_at=at(11))
    await counted(store, "acct-b", "inv-1", due_at=at(10))
    await counted(store, "acct-c", "inv-1", due_at=at(9))

    async with store.transaction() as tx:
        assert list(await tx.lock_due_accounts(NOON, 2)) == ["acct-c", "acct-b"]


async def test_accounts_that_are_left_out_do_not_count_towards_the_limit(store: ToyStore) -> None:
    for number in range(5):
        await counted(store, "acct-stuck", f"inv-{number}", due_at=at(8))
    await counted(store, "acct-1", "inv-1", due_at=at(9))
    await counted(store, "acct-2", "inv-1", due_at=at(10))

    async with store.transaction() as tx:
        assert list(await tx.lock_due_accounts(NOON, 2, ["acct-stuck"])) == ["acct-1", "acct-2"]


async def test_looking_from_an_instant_finds_whoever_is_due_from_then_on_with_all_that_is_due(store: ToyStore) -> None:
    await counted(store, "acct-before", "inv-1", due_at=at(8))
    await counted(store, "acct-both", "inv-1", due_at=at(9))
    await counted(store, "acct-both", "inv-2", due_at=at(11))
    await counted(store, "acct-then", "inv-1", due_at=at(10))

    async with store.transaction() as tx:
        due = await tx.lock_due_accounts(NOON, 10, since=at(10))

    assert due == {"acct-both": [("inv-1", at(9)), ("inv-2", at(11))], "acct-then": [("inv-1", at(10))]}


async def test_of_an_account_with_many_due_invoices_some_are_left_for_later(store: ToyStore) -> None:
    for number in range(5):
        await counted(store, "acct-1", f"inv-{number}", due_at=at(8, number))

    async with store.transaction() as tx:
        assert await tx.lock_due_accounts(NOON, 2) == {"acct-1": [("inv-0", at(8, 0)), ("inv-1", at(8, 1))]}


async def test_due_accounts_that_somebody_holds_are_passed_over(store: ToyStore) -> None:
    for number in (1, 2, 3):
        await counted(store, f"acct-{number}", "inv-1", due_at=at(9 + number))

    async with store.transaction() as batch:
        await batch.load({"acct-1": ["inv-1"]})
        async with store.transaction() as first, store.transaction() as second:
            assert list(await first.lock_due_accounts(NOON, 1)) == ["acct-2"]
            assert list(await second.lock_due_accounts(NOON, 5)) == ["acct-3"]


async def test_a_batch_waits_for_the_timer_that_holds_its_account(store: ToyStore) -> None:
    await counted(store, "acct-1", "inv-1", due_at=at(11))
    async with store.transaction() as timer:
        due = await timer.lock_due_accounts(NOON, 10)
        batch = asyncio.create_task(counted(store, "acct-1", "inv-1", due_at=at(15)))
        assert await still_waits(batch)
        accounts = await timer.load({"acct-1": ["inv-1"]})
        decide(accounts["acct-1"], TimerDue("timer-1", "acct-1", *due["acct-1"][0]), NOON)
        await timer.save(accounts.values())
    await batch

    assert await counts_of(store, "acct-1") == {"inv-1": 3}


async def test_what_was_moved_or_paid_in_the_meantime_is_not_due(store: ToyStore) -> None:
    await counted(store, "acct-1", "inv-1", due_at=at(9))
    await counted(store, "acct-1", "inv-2", due_at=at(9))
    await counted(store, "acct-2", "inv-1", due_at=at(10))
    async with store.transaction() as batch:
        accounts = await batch.load({"acct-1": ["inv-1", "inv-2"]})
        count_up(accounts["acct-1"], "inv-1", due_at=at(15))
        count_up(accounts["acct-1"], "inv-2", paid=True)
        await batch.save(accounts.values())

    async with store.transaction() as tx:
        assert await tx.lock_due_accounts(NOON, 10) == {"acct-2": [("inv-1", at(10))]}
