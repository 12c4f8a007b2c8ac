"""Work on the outside world: given once, leased with a token, begun at most once."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from dunning.domain.decision import Errand
from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.store import Fenced, LeasedErrand


async def give(connection: Connection, errands: Sequence[Errand], given_at: datetime) -> None:
    """Sorted, and each id once: the first one stands."""
    once = {errand.errand_id: errand for errand in reversed(errands)}
    rows = [
        (e.errand_id, e.account_id, e.invoice_id, e.kind, msgspec.json.encode(e.payload), e.not_before)
        for _, e in sorted(once.items())
    ]
    await connection.execute(QUERIES["give_errands"], *zip(*rows, strict=True), given_at)


async def withdraw(connection: Connection, errand_ids: Sequence[str], now: datetime) -> None:
    await connection.execute(QUERIES["withdraw_errands"], sorted(set(errand_ids)), now)


async def finish(connection: Connection, leased: LeasedErrand) -> None:
    _held(await connection.fetchval(QUERIES["finish_errand"], leased.errand.errand_id, leased.token), leased)


async def lease(connection: Connection, limit: int, lease_seconds: float, now: datetime | None) -> list[LeasedErrand]:
    rows = await connection.fetch(QUERIES["lease_errands"], now, limit, lease_seconds)
    leased = [
        LeasedErrand(
            errand=Errand(
                errand_id=row["errand_id"],
                account_id=row["account_id"],
                invoice_id=row["invoice_id"],
                kind=row["kind"],
                not_before=row["not_before"],
                payload=msgspec.json.decode(row["payload"]),
            ),
            token=str(row["token"]),
            tries=row["tries"],
            withdrawn=row["withdrawn"],
            begun=row["begun"],
            refusals=row["refusals"],
        )
        for row in rows
    ]
    return sorted(leased, key=lambda each: (each.errand.not_before, each.errand.errand_id))


async def begin(connection: Connection, leased: LeasedErrand, now: datetime | None) -> bool:
    return bool(await connection.fetchval(QUERIES["begin_errand"], leased.errand.errand_id, leased.token, now))


async def postpone(
    connection: Connection,
    leased: LeasedErrand,
    due_at: datetime,
    not_before: datetime | None,
    now: datetime | None,
    *,
    refused: bool,
) -> None:
    given = (leased.errand.errand_id, leased.token, due_at, not_before, refused, now)
    _held(await connection.fetchval(QUERIES["postpone_errand"], *given), leased)


def _held(held: bool | None, leased: LeasedErrand) -> None:
    if not held:
        raise Fenced(f"errand {leased.errand.errand_id} is in other hands now")
