"""What waits in the database, for the metrics: looked up from time to time, beside the work.

Counting all cases of a large database takes long, so beyond a limit the planner's estimate of the index stands in.
"""

import asyncio
from datetime import datetime
from typing import Any

from dunning.runtime.metrics import Metrics
from dunning.runtime.service import Connect
from dunning.runtime.store import StoreUnavailable

_EVERY_SECONDS = 2.0
_COUNTED_MAX = 50_000
_BACKLOG = """
select clock_timestamp() as now,
    (select count(*) from (select from outbox limit $1) counted) as outbox_pending,
    (select min(oldest.recorded_at) from facts, generate_series(0, facts.value::integer - 1) as number, lateral (
        select recorded_at from outbox where shard = number order by id limit 1
    ) oldest where facts.name = 'outbox_shards') as outbox_oldest_at,
    (select count(*) from (select from cases where due_at is not null limit $1) counted) as timers_pending,
    (select reltuples from pg_class where oid = 'cases_by_due_at'::regclass) as timers_estimated,
    (select count(*) from (
        select from cases where due_at <= (select clock_timestamp()) limit $1
    ) counted) as timers_overdue,
    (select min(due_at) from cases where due_at is not null) as timer_oldest_at,
    errands.pending as errands_pending, errands.oldest_at as errand_oldest_at
from (
    select count(*) as pending, min(given_at) as oldest_at
    from (select given_at from errands order by due_at limit $1) counted
) errands
"""


async def watch_backlog(connect: Connect, metrics: Metrics) -> None:
    """Set the gauges again and again, for ever."""
    while True:
        try:
            async with connect() as connection:
                row = await connection.fetchrow(_BACKLOG, _COUNTED_MAX)
        except StoreUnavailable:
            metrics.retries.labels("backlog").inc()
        else:
            _show(row, metrics)
        await asyncio.sleep(_EVERY_SECONDS)


def _show(row: Any, metrics: Metrics) -> None:
    now = row["now"]
    metrics.outbox_pending.set(row["outbox_pending"])
    metrics.outbox_age.set(_age(now, row["outbox_oldest_at"]))
    pending = row["timers_pending"]
    metrics.timers_pending.set(pending if pending < _COUNTED_MAX else max(pending, row["timers_estimated"]))
    metrics.timers_overdue.set(row["timers_overdue"])
    metrics.timers_overdue_age.set(_age(now, row["timer_oldest_at"]))
    metrics.errands_pending.set(row["errands_pending"])
    metrics.errands_age.set(_age(now, row["errand_oldest_at"]))


def _age(now: datetime, then: datetime | None) -> float:
    return max(0.0, (now - then).total_seconds()) if then is not None else 0.0
