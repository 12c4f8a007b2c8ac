"""Orders for dead letters in memory: the same promises as those of the table."""

from collections.abc import Collection
from datetime import datetime

from dunning.runtime.letter_orders import By, LetterPlace, OrderKind, OrderOnFile, OrderOutcome, Replay, ReplayOrder
from dunning.testing.memory_tables import Tables


def give_replay(tables: Tables, order: ReplayOrder, by: By, now: datetime) -> int | None:
    """Order a replay unless one waits or has acted."""
    if order.masked and not order.corrected:
        raise ValueError("a masked message is replayed corrected")
    number = _give(tables, order.place, by, now, kind=OrderKind.REPLAY, order=order)
    if number is not None:
        tables.replays[number] = Replay(number, order.place, order.key, order.headers, order.body)
    return number


def give_discard(tables: Tables, place: LetterPlace, by: By, now: datetime) -> int | None:
    """Note that a dead letter needs nothing unless a replay waits or has acted."""
    return _give(tables, place, by, now, kind=OrderKind.DISCARD, order=None)


def orders_on_file(tables: Tables, places: Collection[LetterPlace]) -> list[OrderOnFile]:
    """In the order in which they were given."""
    return [order for _, order in sorted(tables.orders.items()) if order.place in places]


def _give(
    tables: Tables, place: LetterPlace, by: By, now: datetime, *, kind: OrderKind, order: ReplayOrder | None
) -> int | None:
    if any(known.in_the_way for known in orders_on_file(tables, [place])):
        return None
    number = len(tables.orders) + 1
    discarded = kind is OrderKind.DISCARD
    tables.orders[number] = OrderOnFile(
        order_id=number,
        place=place,
        kind=kind,
        by=by,
        given_at=now,
        corrected=order is not None and order.corrected,
        body_sha256=order.body_sha256 if order is not None else None,
        outcome=OrderOutcome.DISCARDED if discarded else None,
        reason="",
        detail="",
        done_at=now if discarded else None,
    )
    return number
