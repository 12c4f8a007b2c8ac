"""Orders for dead letters on file: given by operators, taken by the service in the transaction that acts on them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from dunning.runtime.letter_orders import (
    By,
    Ending,
    LetterPlace,
    OrderKind,
    OrderOnFile,
    OrderOutcome,
    Replay,
    ReplayOrder,
)
from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.outbox import decode_headers, encode_headers
from dunning.runtime.postgres.queries import QUERIES


async def give_replay(connection: Connection, order: ReplayOrder, by: By, now: datetime | None = None) -> int | None:
    """Order a replay; its number, or None where another one waits or has acted."""
    place = order.place
    order_id: int | None = await connection.fetchval(
        QUERIES["give_replay"],
        *(place.topic, place.partition, place.offset, order.set_aside_for, by.who, by.why, order.masked),
        *(order.corrected, order.key, encode_headers(order.headers), order.body, order.body_sha256, now),
    )
    return order_id


async def give_discard(
    connection: Connection, place: LetterPlace, set_aside_for: str, by: By, now: datetime | None = None
) -> int | None:
    """Note that a dead letter needs nothing; the order's number, or None where a replay waits or has acted."""
    given = (place.topic, place.partition, place.offset, set_aside_for, by.who, by.why, now)
    order_id: int | None = await connection.fetchval(QUERIES["give_discard"], *given)
    return order_id


async def orders_on_file(connection: Connection, places: Collection[LetterPlace]) -> list[OrderOnFile]:
    """All orders for these dead letters, oldest first."""
    columns = [[place[number] for place in places] for number in range(3)]
    return [_on_file(row) for row in await connection.fetch(QUERIES["orders_on_file"], *columns)]


async def take_replay(connection: Connection, but_not: Sequence[int]) -> Replay | None:
    row = await connection.fetchrow(QUERIES["take_replay"], list(but_not))
    if row is None:
        return None
    place = LetterPlace(row["topic"], row["dlq_partition"], row["dlq_offset"])
    return Replay(row["id"], place, row["key"], decode_headers(row["headers"]), row["body"])


async def note_replay(connection: Connection, replay: Replay, ending: Ending, now: datetime | None) -> None:
    detail = ending.detail.replace("\0", "")
    await connection.execute(QUERIES["note_replay"], replay.order_id, ending.outcome, ending.reason, detail, now)


def _on_file(row: Any) -> OrderOnFile:
    return OrderOnFile(
        order_id=row["id"],
        place=LetterPlace(row["topic"], row["dlq_partition"], row["dlq_offset"]),
        kind=OrderKind(row["kind"]),
        by=By(row["given_by"], row["why"]),
        given_at=row["given_at"],
        corrected=row["corrected"],
        body_sha256=row["body_sha256"],
        outcome=OrderOutcome(row["outcome"]) if row["outcome"] is not None else None,
        reason=row["outcome_reason"],
        detail=row["outcome_detail"],
        done_at=row["done_at"],
    )
