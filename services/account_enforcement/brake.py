"""The brake: within 24 hours only so many accounts are newly restricted, all instances together (rule 45).

It acts in the transaction in which timers are decided: whoever is about to restrict locks the brake's only row and
counts. What is held back waits without a due time, so that nobody looks at it again and again, and is taken up when an
operator has opened the brake.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.domain.events import AccountStatus, Output, TimerDue
from dunning.domain.words import AccountStage
from dunning.runtime.health import Health
from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import load_queries
from dunning.runtime.problem import BRAKE_SHUT
from dunning.runtime.service import Connect
from dunning.runtime.store import StoreUnavailable, Transaction

QUERIES = load_queries("account_enforcement")
WINDOW = timedelta(hours=24)
LIMIT_MIN = 20
SHARE_OF_ACCOUNTS = 200  # one in so many: 0.5 %
BUSIEST_DAYS = 3
HELD_COUNTED_MAX = 100_000
AsksToRestrict = Callable[[EnforcedAccount, AccountCase, datetime], bool]
"""Whether the next steps of a case would make its account worse than it stands."""

_COUNT_AGE_MAX = timedelta(hours=1)
_COUNT_AGE_AT_THE_LIMIT = timedelta(minutes=1)
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How the brake stands. `limit` is what it was reckoned to be last."""

    shut_at: datetime | None
    restricted: int  # within the window, or since it was opened
    limit: int
    held: int  # accounts that wait


class Brake:
    """What timers ask before they are decided; `admits` is what the decisions ask."""

    def __init__(self, limit: int | None) -> None:
        """`limit` is what the settings say; None: the default of rule 45."""
        self._limit = limit
        self.asks: AsksToRestrict | None = None  # set when the service is made: the two need each other
        self._admitted: frozenset[str] = frozenset()
        self._let_through: frozenset[str] = frozenset()
        self._opened_at: datetime | None = None  # before the transaction at hand got hold of the brake

    def admits(self, account_id: str) -> bool:
        """Whether this account may be newly restricted in the transaction at hand."""
        return account_id in self._admitted

    # --- in the transaction of the timers ---------------------------------------------------------------------------

    async def released(
        self, tx: Transaction[EnforcedAccount], horizon: datetime, limit: int, but_not: Collection[str]
    ) -> list[tuple[str, str, datetime]]:
        """Lock accounts that waited and need not wait any more; returns their held cases with since when they wait."""
        connection = tx.connection
        locked = await connection.fetch(QUERIES["lock_released"], limit, list(but_not), horizon)
        if not locked:
            return []
        ids = sorted({row["account_id"] for row in locked})
        return [tuple(row) for row in await connection.fetch(QUERIES["held_cases"], ids, limit)]

    async def admit(
        self,
        tx: Transaction[EnforcedAccount],
        accounts: Mapping[str, EnforcedAccount],
        inputs: Sequence[TimerDue],
        now: datetime,
    ) -> None:
        """Say whose account may be restricted by these timers, oldest first; shut the brake where they are too many."""
        asking = self._asking(accounts, inputs, now)
        self._admitted = self._let_through = frozenset()
        if not asking:
            return
        connection = tx.connection
        row = await connection.fetchrow(QUERIES["lock_brake"])
        assert row is not None, "there is one row"
        opened_at = self._opened_at = row["opened_at"]
        self._admitted = self._let_through = frozenset(
            timer.account_id for timer in inputs if timer.released and opened_at and timer.due_at <= opened_at
        )
        if row["shut_at"] is not None:
            return
        since = _window(opened_at, now)
        counted = {each["account_id"] for each in await connection.fetch(QUERIES["counted_of"], since, list(asking))}
        new = [account_id for account_id in asking if account_id not in counted | self._let_through]
        free = await self._free(connection, row, since, len(new), now)
        self._admitted = frozenset([*(counted | self._let_through), *new[:free]])
        if len(new) > free:
            restricted = await connection.fetchval(QUERIES["counted_since"], since) + free
            await connection.execute(QUERIES["shut_brake"], now, restricted, restricted)

    async def note(self, tx: Transaction[EnforcedAccount], outputs: Sequence[Output], now: datetime) -> None:
        """Count what was decided: after the opening that it waited for, too, though its clock was read before."""
        worse = sorted({output.account_id for output in outputs if _is_restriction(output)})
        if worse:
            counted = [account_id not in self._let_through for account_id in worse]
            at = max(now, self._opened_at + timedelta.resolution) if self._opened_at else now
            await tx.connection.execute(QUERIES["note_restrictions"], at, worse, counted)

    def _asking(
        self, accounts: Mapping[str, EnforcedAccount], inputs: Sequence[TimerDue], now: datetime
    ) -> Collection[str]:
        assert self.asks is not None, "set when the service is made"
        asking: dict[str, None] = {}
        for timer in inputs:
            account = accounts[timer.account_id]
            case = account.cases.get(timer.invoice_id)
            if case is not None and self.asks(account, case, now):
                asking[timer.account_id] = None
        return asking

    async def _free(self, connection: Connection, row: Any, since: datetime, wanted: int, now: datetime) -> int:
        """How many more may be restricted. Near the limit it is reckoned anew: it grows with the accounts."""
        used: int = await connection.fetchval(QUERIES["counted_since"], since)
        free = await self._limit_now(connection, row, now, _COUNT_AGE_MAX) - used
        if wanted > free:
            free = await self._limit_now(connection, row, now, _COUNT_AGE_AT_THE_LIMIT) - used
        return max(0, free)

    async def _limit_now(self, connection: Connection, row: Any, now: datetime, age_max: timedelta) -> int:
        if self._limit is not None:
            return self._limit
        if row["counted_at"] is None or now - row["counted_at"] > age_max:
            await connection.execute(QUERIES["count_days"], now)
            row = await connection.fetchrow(QUERIES["reckon_limit"], now)
            await connection.execute(QUERIES["forget_restrictions"], now)
        return default_limit(row["accounts_known"], row["busiest_day"])

    # --- beside the work --------------------------------------------------------------------------------------------

    async def standing(self, connection: Connection) -> Standing:
        """How it stands, for those who look. Without a limit of its own: by the limit of the services that run."""
        now = await connection.fetchval("select clock_timestamp()")
        row = await connection.fetchrow(QUERIES["brake"])
        assert row is not None, "there is one row"
        reckoned = default_limit(row["accounts_known"], row["busiest_day"])
        said = self._limit if self._limit is not None else row["limit_set"]
        return Standing(
            row["shut_at"],
            await connection.fetchval(QUERIES["counted_since"], _window(row["opened_at"], now)),
            said if said is not None else reckoned,
            await connection.fetchval(QUERIES["count_held"], HELD_COUNTED_MAX),
        )

    async def watch(self, connect: Connect, health: Health) -> None:
        """Raise the alarm while it is shut, tell the metrics, and our limit to those who look, for ever."""
        while True:
            try:
                async with connect() as connection:
                    await connection.execute(QUERIES["tell_limit"], self._limit)
                    found = await self.standing(connection)
            except StoreUnavailable:
                health.metrics.retries.labels("brake").inc()
            else:
                _tell(found, health)
            await asyncio.sleep(_LOOK_SECONDS)


class OpenBrake(Brake):
    """For a shadow, in which nothing is held back: what its service had held when it was made goes on (rule 42)."""

    def __init__(self) -> None:
        super().__init__(None)

    async def admit(self, *_: object) -> None:
        """Everybody is."""

    async def note(self, *_: object) -> None:
        """It restricts nobody, so there is nothing to count."""


def default_limit(accounts_known: int, busiest_day: int) -> int:
    """The largest of 20, 0.5 % of the accounts known, and three times the busiest day of the last 60 (rule 45)."""
    return max(LIMIT_MIN, accounts_known // SHARE_OF_ACCOUNTS, BUSIEST_DAYS * busiest_day)


async def open_brake(connection: Connection, by: str, reason: str) -> int:
    """Let what waits go on, on record; returns how many accounts that are. What comes later counts anew."""
    async with connection.transaction():
        await connection.fetchrow(QUERIES["lock_brake"])
        held: int = await connection.fetchval(QUERIES["count_held"], HELD_COUNTED_MAX)
        opened_at = await connection.fetchval(QUERIES["open_brake"])
        await connection.execute(QUERIES["record_opening"], opened_at, by, reason, held)
    return held


def _window(opened_at: datetime | None, now: datetime) -> datetime:
    return max(now - WINDOW, opened_at) if opened_at else now - WINDOW


def _is_restriction(output: Output) -> bool:
    """An account that is worse off than before, and not only past due."""
    if not isinstance(output, AccountStatus):
        return False
    status, former = AccountStage(output.status), AccountStage(output.previous_status)
    return status.restricts and status.severity > former.severity


def _tell(found: Standing, health: Health) -> None:
    metrics = health.metrics
    metrics.brake_shut.set(found.shut_at is not None)
    metrics.brake_limit.set(found.limit)
    metrics.brake_restricted.set(found.restricted)
    metrics.brake_held.set(found.held)
    if found.shut_at is None:
        health.calm("brake")
        return
    message = (
        f"{found.restricted} accounts were restricted within 24 hours: the brake is shut, {found.held} wait; "
        "`dunning brake open` when they shall go on"
    )
    health.alarm("brake", BRAKE_SHUT, message)
