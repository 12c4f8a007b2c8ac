"""A flood of events on one account beside steady first failures of others: how long these wait, with it and without.

The flood is written by a process of its own, so that writing it does not make the sender and the subscriber late.
"""

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from aiokafka.partitioner import murmur2
from msgspec.structs import replace

from dunning.contracts.encode import Message
from dunning.contracts.encode_inputs import payment_failed_message
from dunning.contracts.topics import PARTITIONS, RETRY_SCHEDULER
from tests.bench.figures import percentile
from tests.bench.load import INVOICES_OF_ACCOUNT, first_failure, write_messages
from tests.bench.place import Place
from tests.bench.steady import Load, Seen, keeping_up, steady_load, subscriber, until

SERVICES = (RETRY_SCHEDULER,)
FLOODED = "acc_flooded"
INVOICES = tuple(f"in_flooded_{number}" for number in range(3))
SOURCE = f"/dunning/{RETRY_SCHEDULER}"
PATIENCE_SECONDS = 900
_LAST_ATTEMPT = f"""
    select max((state -> 'book' ->> 'highest_attempt')::integer)
    from {RETRY_SCHEDULER}.cases where account_id = $1
"""
_LOOK_SECONDS = 0.05


def partition_of(account_id: str) -> int:
    """Where Kafka's own clients put a key."""
    return int((murmur2(account_id.encode()) & 0x7FFFFFFF) % PARTITIONS)


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds from sent to published, of accounts in other partitions and in the flooded account's own."""

    elsewhere: list[float]
    beside: list[float]

    def __str__(self) -> str:
        return f"other partitions {_p99(self.elsewhere)}, the same partition {_p99(self.beside)}"


@dataclass(frozen=True, slots=True)
class Flooded:
    """What came out."""

    without: Waits
    during: Waits
    flood_seconds: float
    sent: int  # failures of others
    missing: int
    transitions_of_others: int
    repeated: int

    @property
    def ratio(self) -> float:
        """How many times as long accounts of other partitions wait, in the 99th percentile."""
        return percentile(self.during.elsewhere, 99) / percentile(self.without.elsewhere, 99)

    def __str__(self) -> str:
        lines = [
            f"without the flood: {self.without}",
            f"beside the flood:  {self.during}",
            f"{self.ratio:.2f} times the p99 in other partitions; the flood took {self.flood_seconds:.0f} s",
        ]
        return "\n".join(lines)


def _p99(milliseconds: list[float]) -> str:
    if not milliseconds:
        return "nothing"
    p50, p99 = percentile(milliseconds, 50), percentile(milliseconds, 99)
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms of {len(milliseconds)}"


def flood(count: int, prefix: str) -> Iterator[Message]:
    """So many failures of one account's three invoices, by the processor's own further attempts."""
    began = datetime.now(UTC) - timedelta(hours=1)
    for number in range(count):
        event = first_failure(FLOODED, INVOICES[number % len(INVOICES)], began + timedelta(milliseconds=number))
        own = replace(event, event_id=f"evt_flood_{number}", payment_id=f"pay_flood_{number}")
        attempt = 1 + number // len(INVOICES)
        yield payment_failed_message(replace(own, attempt_number=attempt), prefix=prefix)


async def flooded(place: Place, *, events: int, per_second: float, calm_seconds: float) -> Flooded:
    """Steady traffic for a while, then beside a flood until that is through, then for as long again without."""
    await place.prepare(SERVICES)
    with place.running(SERVICES):
        async with subscriber(place) as seen, steady_load(place, per_second) as load:
            await keeping_up(seen, load, SERVICES, per_second)
            settled = len(load.sent)
            await asyncio.sleep(calm_seconds)
            before, began = len(load.sent), time.monotonic()
            await _write(place, events)
            await _until_stored(place, events)
            during, seconds = len(load.sent), time.monotonic() - began
            await keeping_up(seen, load, SERVICES, per_second)
            calm_again = len(load.sent)
            await asyncio.sleep(calm_seconds)
            load.stopping = True
            await until(lambda: _missing(seen, load) == 0, "all transitions")
    invoices = list(load.sent)
    return Flooded(
        without=_waits(seen, load, [*range(settled, before), *range(calm_again, len(invoices))]),
        during=_waits(seen, load, range(before, during)),
        flood_seconds=seconds,
        missing=_missing(seen, load),
        transitions_of_others=sum(invoice not in INVOICES for _, invoice in seen.at),
        sent=len(invoices),
        repeated=seen.repeated,
    )


def _missing(seen: Seen, load: Load) -> int:
    """How many of the others' failures have no transition yet."""
    return sum((SOURCE, invoice) not in seen.at for invoice in load.sent)


def _waits(seen: Seen, load: Load, numbers: Iterable[int]) -> Waits:
    """Of the failures with these numbers."""
    waits = Waits([], [])
    for number in numbers:
        invoice = f"in_{number}"
        milliseconds = (seen.at[SOURCE, invoice] - load.sent[invoice]) * 1000
        same = partition_of(f"acc_{number // INVOICES_OF_ACCOUNT}") == partition_of(FLOODED)
        (waits.beside if same else waits.elsewhere).append(milliseconds)
    return waits


async def _write(place: Place, events: int) -> None:
    """The flood goes into its topic as fast as Kafka takes it; the service is at work on it all the time."""
    arguments = ["-m", "tests.integration.flood", place.bootstrap, place.prefix, str(events)]
    writer = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        assert await writer.wait() == 0
    finally:
        if writer.returncode is None:
            writer.kill()
            await writer.wait()


async def _until_stored(place: Place, events: int) -> None:
    """Until the service has dealt with the whole flood."""
    connection = await asyncpg.connect(place.database)
    try:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while (stored := await connection.fetchval(_LAST_ATTEMPT, FLOODED)) != -(-events // len(INVOICES)):
            assert time.monotonic() < give_up, f"attempt {stored} is the last that was dealt with"
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await connection.close()


def main() -> None:
    bootstrap, prefix, events = sys.argv[1:]
    asyncio.run(write_messages(bootstrap, flood(int(events), prefix)))


if __name__ == "__main__":
    main()
