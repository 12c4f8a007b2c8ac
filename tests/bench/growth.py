"""What an event costs with a few open cases in the database, and with many: the same events, in turn.

Half of the events are first failures of new invoices, half are payments of open ones, of accounts all over the tables;
so there are as many open cases after a run as before. Both databases are filled by COPY, on one server.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg

from dunning.contracts.encode import Message
from dunning.contracts.encode_inputs import payment_failed_message, payment_succeeded_message
from dunning.contracts.topics import RETRY_SCHEDULER
from dunning.domain.events import PaymentSucceeded
from tests import stack
from tests.bench.counted import until_published
from tests.bench.figures import Figure, Goal, Part, number, ratio
from tests.bench.fill import fill
from tests.bench.load import AMOUNT_MINOR, INVOICES_OF_ACCOUNT, first_failure, write_messages
from tests.bench.measure import Measured, Wrong
from tests.bench.place import Place, own_place
from tests.bench.template import account_id, invoice_id

AT_MOST_TIMES = Goal(1.2, at_most=True)
_SERVICES = (RETRY_SCHEDULER,)
_COUNTS = f"""
select (select count(*) from {RETRY_SCHEDULER}.cases where is_open) as open,
    (select count(*) from {RETRY_SCHEDULER}.cases where not is_open) as closed,
    (select count(*) from {RETRY_SCHEDULER}.outbox) as unpublished
"""


def measure_growth(sizes: tuple[int, int], events: int, runs: int) -> Part:
    """The part of `make bench`: filled once, then measured in turn."""
    with own_place() as place:
        return beside_each_other(place, sizes, events, runs)


def beside_each_other(place: Place, sizes: tuple[int, int], events: int, runs: int) -> Part:
    """A database of each size, and the same events for both. Raises Wrong."""
    measured: dict[int, list[Measured]] = {size: [] for size in sizes}
    with ExitStack() as held:
        places = {size: place.with_database(held.enter_context(stack.fresh_database(place.database))) for size in sizes}
        there = {size: asyncio.run(filled(each, size)) for size, each in places.items()}
        for run in range(runs):
            for size, each in places.items():
                window = one_run(each, there[size], events, run)
                measured[size].append(window)
                told = f"{window.per_second:.0f} events/s, {window.cpu_microseconds:.0f} us CPU an event"
                print(f"  run {run + 1}  {number(there[size])} open cases: {told}", flush=True)
    kept = {number(size): [each.as_json() for each in windows] for size, windows in measured.items()}
    return Part(figures_of(measured), kept)


def figures_of(measured: Mapping[int, list[Measured]]) -> list[Figure]:
    few, many = measured
    cpu = {size: [each.cpu_microseconds for each in runs] for size, runs in measured.items()}
    rate = {size: [each.per_second for each in runs] for size, runs in measured.items()}
    figures = []
    for size in measured:
        figures.append(Figure(f"{number(size)} open cases: CPU an event", "us", cpu[size]))
        figures.append(Figure(f"{number(size)} open cases: rate", "events/s", rate[size]))
    name = f"at {number(many)} open cases to {number(few)}"
    figures.append(ratio(f"CPU an event {name}", cpu[many], cpu[few], AT_MOST_TIMES))
    figures.append(ratio(f"time an event {name}", rate[few], rate[many], AT_MOST_TIMES))
    return figures


async def filled(place: Place, size: int) -> int:
    """Tables with about so many open cases; returns how many there are."""
    await place.prepare(_SERVICES)
    ahead = datetime.now(UTC) + timedelta(hours=12)
    return await fill(place, size, lambda number: ahead + timedelta(milliseconds=number))


def one_run(place: Place, cases: int, events: int, run: int) -> Measured:
    """Write the events of one run, start the service, and wait until all transitions are published."""
    asyncio.run(write_messages(place.bootstrap, messages(place, cases // INVOICES_OF_ACCOUNT, events, run)))
    with place.running(_SERVICES) as pids:
        window = until_published(place, RETRY_SCHEDULER, events, {**pids, **place.servers})
    asyncio.run(_check(place, cases, events, run))
    return window


def messages(place: Place, accounts: int, events: int, run: int) -> Iterator[Message]:
    """One event for each of so many accounts, in a random order. Those that fail in one run pay in the next."""
    chosen = sorted(range(accounts), key=account_id)[:: max(1, accounts // events)][:events]
    if len(chosen) < events or events % 2:
        raise Wrong(f"{events} events, an even number, need as many accounts; there are {accounts}")
    now = datetime.now(UTC)
    turns = list(enumerate(chosen))
    Random(run).shuffle(turns)
    for place_of, account in turns:
        name, new = account_id(account), f"{invoice_id(account, INVOICES_OF_ACCOUNT)}_{{}}"
        if (place_of + run) % 2:
            paid = new.format(run - 1) if run else invoice_id(account, 0)
            yield payment_succeeded_message(_payment(name, paid, now), prefix=place.prefix)
        else:
            yield payment_failed_message(first_failure(name, new.format(run), now), prefix=place.prefix)


def _payment(of_account: str, invoice: str, at: datetime) -> PaymentSucceeded:
    return PaymentSucceeded(
        event_id=f"paid_{invoice}",
        account_id=of_account,
        invoice_id=invoice,
        payment_id=f"pay_{invoice}_by_hand",
        amount_remaining_minor=0,
        amount_minor=AMOUNT_MINOR,
        currency="EUR",
        succeeded_at=at,
    )


async def _check(place: Place, cases: int, events: int, run: int) -> None:
    """As many open cases as before, and half an event's worth of closed ones more. Raises Wrong."""
    connection = await asyncpg.connect(place.database)
    try:
        found = dict(await connection.fetchrow(_COUNTS) or {})
    finally:
        await connection.close()
    expected = {"open": cases, "closed": events // 2 * (run + 1), "unpublished": 0}
    if found != expected:
        raise Wrong(f"after run {run + 1} there are {found} instead of {expected}")
