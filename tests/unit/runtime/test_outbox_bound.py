"""How much may wait for Kafka before nothing more is taken in."""

from typing import Any, cast

from dunning.runtime.health import Health
from dunning.runtime.metrics import Metrics
from dunning.runtime.outbox_bound import OutboxBound
from dunning.runtime.store import Store, StoreUnavailable


class Outbox:
    """A store of which only the outbox is asked."""

    def __init__(self) -> None:
        self.rows, self.away, self.asked, self.seconds = 0, False, 0, 0.0

    async def outbox_holds(self, rows: int) -> bool:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return self.rows >= rows

    def clock(self) -> float:
        return self.seconds


def bound_of(outbox: Outbox) -> tuple[OutboxBound, Health]:
    health, store = Health(Metrics("toy")), cast("Store[Any]", outbox)
    return OutboxBound(store, 100, health, monotonic=outbox.clock), health


async def test_what_waited_before_the_start_counts() -> None:
    outbox = Outbox()
    outbox.rows = 100
    bound, health = bound_of(outbox)

    assert await bound.is_reached()
    assert health.troubles == {
        "outbox": "100 events wait for Kafka: nothing is read and no timer fires until there are fewer  [DUN-R015]"
    }


async def test_it_is_over_as_soon_as_there_are_fewer_and_looked_at_once_a_second() -> None:
    outbox = Outbox()
    outbox.rows = 100
    bound, health = bound_of(outbox)
    await bound.is_reached()
    outbox.rows = 99

    assert await bound.is_reached()
    outbox.seconds = 1.0
    assert not await bound.is_reached()
    assert (health.troubles, outbox.asked) == ({}, 2)


async def test_nothing_is_counted_while_little_is_written() -> None:
    outbox = Outbox()
    bound, _ = bound_of(outbox)
    await bound.is_reached()
    outbox.rows, outbox.seconds = 104, 1.0
    bound.written(4)

    assert not await bound.is_reached()
    bound.written(1)
    assert await bound.is_reached()
    assert outbox.asked == 2


async def test_while_the_database_is_away_the_last_word_stands() -> None:
    outbox = Outbox()
    outbox.rows = 100
    bound, _ = bound_of(outbox)
    await bound.is_reached()
    outbox.rows, outbox.seconds, outbox.away = 0, 1.0, True

    assert await bound.is_reached()
    outbox.seconds, outbox.away = 2.0, False
    assert not await bound.is_reached()
