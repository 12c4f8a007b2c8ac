"""What is old goes in small steps, and never what somebody still needs (rule 9)."""

import asyncio
from datetime import datetime, timedelta

import pytest

from dunning.domain.decision import Errand
from dunning.runtime.postgres import PostgresStore
from dunning.runtime.store import ForgetBefore, Forgotten, Verdict
from dunning.testing.hand_clock import HandClock
from dunning.testing.toy import RECOVERED, SCHEDULED, ToyAccount, ToyCase, case_id_of
from tests.contract.kit import NOON, ToyStore, a_row, all_pending, counts_of, finish, still_waits

DAY = timedelta(days=1)
BEFORE = ForgetBefore(cases=NOON - 400 * DAY, invoices=NOON - 35 * DAY)


async def written(
    store: ToyStore,
    account_id: str = "acct-1",
    invoice_id: str = "inv-1",
    *,
    paid: bool = True,
    kept_longer: bool = True,
    due_at: datetime | None = None,
    known: bool = False,
) -> None:
    """One transaction that writes an invoice, and if so a fact of its account."""
    async with store.transaction() as tx:
        account = (await tx.load({account_id: [invoice_id]}))[account_id]
        case = account.cases.setdefault(invoice_id, ToyCase(invoice_id, case_id_of(account_id, invoice_id)))
        case.count += 1
        case.stage, case.kept_longer, case.due_at = RECOVERED if paid else SCHEDULED, kept_longer, due_at
        account.touched.add(invoice_id)
        if known:
            account.seen, account.changed = account.seen + 1, True
        await tx.save([account])


async def left(store: ToyStore, account_id: str = "acct-1", *invoices: str) -> list[str]:
    return sorted(await counts_of(store, account_id, *(invoices or ("inv-1", "inv-2", "inv-3"))))


@pytest.mark.parametrize(
    ("kept_longer", "days", "forgotten"),
    [(True, 400, False), (True, 401, True), (False, 35, False), (False, 36, True), (True, 36, False)],
)
async def test_an_invoice_that_had_a_case_is_remembered_for_longer(
    store: ToyStore, clock: HandClock, kept_longer: bool, days: int, forgotten: bool
) -> None:
    clock.now = NOON - days * DAY
    await written(store, kept_longer=kept_longer)

    counts = await store.forget_closed(BEFORE, 10)

    assert (counts.cases, counts.invoices) == (int(forgotten and kept_longer), int(forgotten and not kept_longer))
    assert await left(store) == ([] if forgotten else ["inv-1"])


async def test_the_time_counts_from_when_it_was_last_touched(store: ToyStore, clock: HandClock) -> None:
    clock.now = NOON - 500 * DAY
    await written(store)
    clock.now = NOON - 399 * DAY
    await written(store)

    assert await store.forget_closed(BEFORE, 10) == Forgotten()
    assert await counts_of(store, "acct-1", "inv-1") == {"inv-1": 2}


async def test_a_former_version_opens_an_invoice_again_while_this_schema_is_in_place(
    pg: PostgresStore[ToyAccount],
) -> None:
    """It was written before there was `closed_at` and leaves that as it is."""
    await written(pg)
    async with pg.connection() as connection:
        await connection.execute("update cases set closed_at = $1", NOON - 500 * DAY)
        await connection.execute("update cases set is_open = true")

    assert await pg.forget_closed(BEFORE, 10) == Forgotten()
    assert await left(pg) == ["inv-1"]


async def test_what_is_open_or_due_or_opened_again_stays_however_old_it_is(store: ToyStore, clock: HandClock) -> None:
    clock.now = NOON - 1000 * DAY
    await written(store, invoice_id="inv-1", paid=False)
    await written(store, invoice_id="inv-2", paid=False, due_at=NOON + DAY)
    await written(store, invoice_id="inv-3")
    await written(store, invoice_id="inv-3", paid=False)

    assert await store.forget_closed(BEFORE, 10) == Forgotten()
    assert await left(store) == ["inv-1", "inv-2", "inv-3"]


async def test_what_an_errand_is_out_for_stays_with_its_account_and_does_not_keep_others(
    store: ToyStore, clock: HandClock
) -> None:
    clock.now = NOON - 500 * DAY
    await written(store, invoice_id="inv-1")
    await written(store, invoice_id="inv-2")
    async with store.transaction() as tx:
        await tx.load({"acct-1": []})
        await tx.give_errands([Errand("errand-1", "acct-1", "inv-1", "mail", clock.now, {})])

    assert (await store.forget_closed(BEFORE, 10)).cases == 1
    assert await left(store) == ["inv-1"]


@pytest.mark.parametrize(("known", "accounts"), [(False, 1), (True, 0)])
async def test_an_account_goes_with_its_last_row_unless_something_is_known_of_it(
    store: ToyStore, clock: HandClock, known: bool, accounts: int
) -> None:
    clock.now = NOON - 500 * DAY
    await written(store, invoice_id="inv-1", known=known)
    await written(store, invoice_id="inv-2")

    assert (await store.forget_closed(BEFORE, 1)).accounts == 0
    assert (await store.forget_closed(BEFORE, 10)).accounts == accounts
    async with store.transaction() as tx:
        assert (await tx.load({"acct-1": []}))["acct-1"].seen == int(known)


async def test_a_step_takes_so_many_and_says_that_there_may_be_more(store: ToyStore, clock: HandClock) -> None:
    clock.now = NOON - 500 * DAY
    for number in range(5):
        clock.advance(hours=1)
        await written(store, f"acct-{number}", kept_longer=number % 2 == 0)

    steps = [await store.forget_closed(BEFORE, 2) for _ in range(4)]

    assert [step.cases + step.invoices for step in steps] == [2, 2, 1, 0]
    assert [step.full for step in steps] == [True, True, False, False]


async def test_an_account_that_somebody_holds_is_passed_over(store: ToyStore, clock: HandClock) -> None:
    clock.now = NOON - 500 * DAY
    await written(store, "acct-1")
    await written(store, "acct-2")

    async with store.transaction() as tx:
        await tx.load({"acct-1": []})
        assert (await asyncio.wait_for(store.forget_closed(BEFORE, 10), 5)).cases == 1

    assert await left(store, "acct-1") == ["inv-1"]
    assert await left(store, "acct-2") == []


async def test_the_story_of_a_case_goes_with_it_and_old_news_of_its_account(store: ToyStore, clock: HandClock) -> None:
    clock.now = NOON - 500 * DAY
    await written(store, invoice_id="inv-1", known=True)
    await written(store, invoice_id="inv-2", paid=False)
    own, other = case_id_of("acct-1", "inv-1"), case_id_of("acct-1", "inv-2")
    async with store.transaction() as tx:
        await tx.publish(
            [
                a_row("acct-1", "1", case_id=own),
                a_row("acct-1", "2", case_id=other),
                a_row("acct-1", "3"),
                a_row("acct-2", "4"),
            ]
        )
    await finish(store, await all_pending(store))
    clock.now = NOON
    async with store.transaction() as tx:
        await tx.publish([a_row("acct-1", "5")])
    await finish(store, await all_pending(store))

    assert (await store.forget_closed(BEFORE, 10)).events == 2  # 1 and 3


async def test_old_sightings_go_and_what_came_since_stays(store: ToyStore, clock: HandClock) -> None:
    async def seen(*keys: int) -> list[Verdict]:
        async with store.transaction() as tx:
            return await tx.first_sightings([(key, 1) for key in keys])

    clock.now = NOON - 31 * DAY
    await seen(1, 2)
    clock.now = NOON - 30 * DAY
    await seen(3)

    walked = await store.drop_old_sightings(NOON - 30 * DAY, 0)

    assert (walked.dropped, walked.next_place) == (2, 0)
    assert await seen(1, 3) == [Verdict.FIRST, Verdict.DUPLICATE]
    assert (await store.drop_old_sightings(NOON - 30 * DAY, 0)).dropped == 0


async def test_a_long_inbox_is_walked_in_parts_to_its_end(pg: PostgresStore[ToyAccount]) -> None:
    async with pg.connection() as connection:
        await connection.execute("""
            insert into inbox
            select n, n, case when n % 3 = 0 then now() else now() - interval '31 days' end
            from generate_series(1, 30000) n
        """)
    dropped, place, steps = 0, 0, 0
    while True:
        walked = await pg.drop_old_sightings(datetime.now(NOON.tzinfo) - 30 * DAY, place)
        dropped, place, steps = dropped + walked.dropped, walked.next_place, steps + 1
        if place == 0:
            break

    assert steps > 1
    assert dropped == 20000


async def test_whoever_waits_for_an_account_that_is_forgotten_gets_a_new_one(pg: PostgresStore[ToyAccount]) -> None:
    """The row is found, then deleted by another transaction before it can be locked."""
    await written(pg, "acct-1", known=True)
    async with pg.connection() as connection:
        deleting = connection.transaction()
        await deleting.start()
        await connection.execute("delete from cases")
        await connection.execute("select from accounts for update")
        waiting = asyncio.create_task(counts_of(pg, "acct-1"))
        assert await still_waits(waiting)  # it has found the row, and waits for its lock
        await connection.execute("delete from accounts")
        await deleting.commit()

    assert await asyncio.wait_for(waiting, 5) == {}
    await written(pg, "acct-1", known=True)
    assert await counts_of(pg, "acct-1", "inv-1") == {"inv-1": 1}


async def test_what_may_be_forgotten_is_found_along_its_index(pg: PostgresStore[ToyAccount]) -> None:
    from dunning.runtime.postgres.queries import QUERIES

    async with pg.connection() as connection:
        await connection.execute("""
            insert into accounts select 'acct-' || n from generate_series(1, 20000) n;
            insert into cases (account_id, invoice_id, state, is_open, case_id, stage, count, closed_at, kept_longer)
            select 'acct-' || n, 'inv-1', '{}', n % 2 = 0, '', '', 1,
                case when n % 2 = 0 then null else now() - n * interval '1 minute' end, n % 3 = 0
            from generate_series(1, 20000) n;
        """)
        await connection.execute("analyze accounts; analyze cases")
        plan = await connection.fetch(f"explain {QUERIES['lock_forgettable']}", NOON, NOON, 200)

    text = "\n".join(row[0] for row in plan)
    assert text.count("Index Scan using cases_by_closing on cases") == 2
    assert "Seq Scan" not in text
    assert "Sort" not in text
