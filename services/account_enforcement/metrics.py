"""Metrics of account enforcement's own: how accounts stand, and the money of their cases, currency by currency."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

from dunning.contracts.topics import ACCOUNT_ENFORCEMENT
from dunning.domain.decision import MoneyMoved
from dunning.domain.events import Output
from dunning.domain.words import AccountStage
from dunning.runtime.metrics import Metrics
from dunning.runtime.service import Connect
from dunning.runtime.store import StoreUnavailable

_HOURS = 3600
_RECOVERY_BUCKETS = tuple(hours * _HOURS for hours in (1, 6, 24, 72, 168, 336, 504, 720, 1080, 1440))
_EVERY_SECONDS = 15.0
_REST_SHARE = 20  # of the time that a look took: at ten million accounts it must not be all that the database does
_STATUSES = "select state->'published'->>'status' as status, count(*) from accounts where state is not null group by 1"
_AT_RISK = (
    "select currency, sum(amount_minor)::bigint as minor from cases where is_open and stage <> 'terminated' group by 1"
)


class AccountMetrics(Metrics):
    """The kernel's, and what the cases are worth. Amounts are in the currency's minor unit."""

    def __init__(self) -> None:
        super().__init__(ACCOUNT_ENFORCEMENT)
        self.accounts = self._gauge("accounts", "Accounts by status.", "status")
        self.at_risk = self._gauge("money_at_risk_minor", "Owed on open cases, in minor units.", "currency")
        self.recovered = self._counter("money_recovered_minor_total", "Paid on cases, in minor units.", "currency")
        self.lost = self._counter("money_lost_minor_total", "Owed on cases that ended otherwise.", "currency")
        self.time_to_recovery = self._histogram(
            "time_to_recovery_seconds", "From a case's opening to its full payment.", _RECOVERY_BUCKETS
        )

    def observe(self, outputs: Sequence[Output], money: Sequence[MoneyMoved]) -> None:  # noqa: ARG002
        """Count money that came in or was given up."""
        for moved in money:
            (self.recovered if moved.kind == "recovered" else self.lost).labels(moved.currency).inc(moved.amount_minor)
            if moved.kind == "recovered" and moved.seconds_open is not None:
                self.time_to_recovery.observe(moved.seconds_open)


class AccountsWatch:
    """Looks from time to time at how all accounts stand: a whole-table count, so seldom and beside the work."""

    name = "standing"

    def __init__(self, metrics: AccountMetrics) -> None:
        self._metrics = metrics
        self._connect: Connect | None = None

    async def start(self, connect: Connect) -> None:
        """Remember where to look."""
        self._connect = connect

    async def run(self, health: Any) -> None:  # noqa: ARG002 - its figures tell nothing of the service's health
        """Look again and again, for ever."""
        while True:
            began = monotonic()
            try:
                await self._look()
            except StoreUnavailable:
                self._metrics.retries.labels("standing").inc()
            await asyncio.sleep(max(_EVERY_SECONDS, _REST_SHARE * (monotonic() - began)))

    async def _look(self) -> None:
        assert self._connect is not None, "started"
        async with self._connect() as connection:
            statuses = {row["status"]: row["count"] for row in await connection.fetch(_STATUSES)}
            at_risk = {row["currency"]: row["minor"] for row in await connection.fetch(_AT_RISK)}
        for status in AccountStage:
            self._metrics.accounts.labels(status.value).set(statuses.get(status.value, 0))
        self._metrics.at_risk.clear()
        for currency, minor in at_risk.items():
            self._metrics.at_risk.labels(currency).set(minor)
