"""Orders for dead letters: one replay that acts, taken by one transaction, noted with what it did (rule 5)."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from dunning.runtime.letter_orders import By, Ending, LetterPlace, OrderOutcome, Replay, ReplayOrder
from dunning.runtime.postgres import PostgresStore
from dunning.testing.hand_clock import HandClock
from dunning.testing.toy import ToyAccount
from tests.contract.kit import NOON, ToyStore, at

PLACE = LetterPlace("payment.failed", 2, 40)
OTHER = LetterPlace("payment.failed", 2, 41)
ANNA, BERT = By("anna", "mended"), By("bert", "load test")
HEADERS = (("content-type", b"application/json"), ("x", b"\xff\x00"))


def an_order(place: LetterPlace = PLACE, body: bytes | None = b"{}", *, corrected: bool = False) -> ReplayOrder:
    return ReplayOrder(place, "no_policy", b"\xfe", HEADERS, body, corrected=corrected)


async def taken(store: ToyStore, outcome: OrderOutcome, reason: str = "") -> Replay | None:
    """One transaction that takes the oldest and says what became of it."""
    async with store.transaction() as tx:
        replay = await tx.take_replay()
        if replay is not None:
            await tx.note_replay(replay, Ending(outcome, reason, "what to correct"))
        return replay


async def test_a_replay_comes_with_the_message_as_it_was_and_once(store: ToyStore) -> None:
    number = await store.give_replay(an_order(), ANNA)
    await store.give_replay(an_order(OTHER, None), ANNA)

    assert await taken(store, OrderOutcome.APPLIED) == Replay(number or 0, PLACE, b"\xfe", HEADERS, b"{}")
    second = await taken(store, OrderOutcome.SET_ASIDE, "null_value")
    assert second is not None
    assert (second.place, second.body) == (OTHER, None)
    assert await taken(store, OrderOutcome.APPLIED) is None


@pytest.mark.parametrize(
    ("outcome", "may_follow"),
    [
        (None, False),
        (OrderOutcome.APPLIED, False),
        (OrderOutcome.DUPLICATE, False),
        (OrderOutcome.SET_ASIDE, True),
        (OrderOutcome.PASSED_OVER, True),
    ],
)
async def test_whether_another_order_may_follow(
    store: ToyStore, outcome: OrderOutcome | None, may_follow: bool
) -> None:
    await store.give_replay(an_order(), ANNA)
    if outcome is not None:
        await taken(store, outcome)

    assert (await store.give_discard(PLACE, "no_policy", BERT) is not None) is may_follow
    assert (await store.give_replay(an_order(), BERT) is not None) is may_follow
    assert await store.give_replay(an_order(OTHER), BERT) is not None


async def test_everything_is_on_record(store: ToyStore, clock: HandClock) -> None:
    await store.give_replay(an_order(corrected=True), ANNA)
    clock.now = at(13)
    await taken(store, OrderOutcome.SET_ASIDE, "no_policy")
    clock.now = at(14)
    await store.give_discard(PLACE, "no_policy", BERT)

    replayed, thrown_away = await store.orders_on_file([OTHER, PLACE])
    assert (replayed.kind, replayed.by, replayed.given_at, replayed.done_at) == ("replay", ANNA, NOON, at(13))
    assert (replayed.outcome, replayed.reason, replayed.detail) == ("set_aside", "no_policy", "what to correct")
    assert replayed.corrected
    assert replayed.body_sha256 == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert (thrown_away.kind, thrown_away.by, thrown_away.outcome, thrown_away.done_at) == (
        "discard",
        BERT,
        "discarded",
        at(14),
    )
    assert await store.orders_on_file([OTHER]) == []
    assert await store.orders_on_file([]) == []


async def test_what_another_transaction_has_in_hand_is_passed_over_and_so_is_what_is_named(store: ToyStore) -> None:
    first = await store.give_replay(an_order(), ANNA)
    second = await store.give_replay(an_order(OTHER), ANNA)
    assert first is not None
    async with store.transaction() as tx:
        mine = await tx.take_replay()
        async with store.transaction() as their_tx:
            theirs = await their_tx.take_replay()
            assert await their_tx.take_replay([second or 0]) is None
    assert mine is not None
    assert theirs is not None
    assert (mine.order_id, theirs.order_id) == (first, second)

    async with store.transaction() as tx:
        only_other = await tx.take_replay([first])
    assert only_other is not None
    assert only_other.order_id == second


async def test_a_transaction_that_fails_leaves_it_waiting(store: ToyStore) -> None:
    class Crash(Exception):
        pass

    await store.give_replay(an_order(), ANNA)
    with suppress(Crash):
        async with store.transaction() as tx:
            replay = await tx.take_replay()
            assert replay is not None
            await tx.note_replay(replay, Ending(OrderOutcome.APPLIED))
            raise Crash

    (order,) = await store.orders_on_file([PLACE])
    assert order.outcome is None
    assert await taken(store, OrderOutcome.APPLIED) is not None


async def test_of_two_operators_at_once_one_is_first(store: ToyStore) -> None:
    given = await asyncio.gather(*(store.give_replay(an_order(), by) for by in (ANNA, BERT, ANNA, BERT)))

    assert sum(number is not None for number in given) == 1


async def test_the_table_keeps_no_copy_of_a_message_and_takes_no_masked_one(pg: PostgresStore[ToyAccount]) -> None:
    await pg.give_replay(an_order(), ANNA)
    await taken(pg, OrderOutcome.APPLIED)
    async with pg.connection() as connection:
        kept = await connection.fetchrow("select key, headers, body from dead_letter_orders")
    assert kept is not None
    assert tuple(kept) == (None, None, None)

    masked = ReplayOrder(OTHER, "card_number", None, (), b"**", masked=True)
    with pytest.raises(asyncpg.CheckViolationError, match="masked_is_replayed_corrected"):
        await pg.give_replay(masked, ANNA)
