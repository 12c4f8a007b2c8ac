"""How much a lane takes in one turn and of whom, and how often work makes room for others."""

import asyncio
from collections.abc import Awaitable, Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest

from dunning.domain.events import TimerDue
from dunning.runtime import stretch
from dunning.runtime.fold import fold
from dunning.runtime.instance import outbox_writer
from dunning.runtime.portions import Portions
from dunning.runtime.store import TopicPartition
from dunning.testing.toy import ToyAccount, toy_service
from tests.unit.runtime.test_turn import NOON, MoodyStore, Taken

ONE, TWO = TopicPartition("payment.failed", 1), TopicPartition("payment.failed", 2)


class Placed(NamedTuple):
    tp: TopicPartition


LANE = [Placed(ONE), Placed(TWO)]


@pytest.mark.parametrize(
    ("turns", "next_records"),
    [
        ([], 1000),
        ([(1000, 0.05)], 1000),
        ([(1000, 0.0)], 1000),
        ([(1000, 0.1)], 500),
        ([(1000, 9.0)], 500),
        ([(1000, 0.1), (600, 0.05)], 600),
        ([(1000, 0.08), (499, 9.0)], 625),  # too few to tell what they cost
        ([(1000, 9.0), (500, 0.001)], 1000),
    ],
)
def test_what_costs_much_is_taken_in_smaller_portions(turns: list[tuple[int, float]], next_records: int) -> None:
    portions = Portions(1000)

    for records, worked_seconds in turns:
        portions.taken({ONE: records}, worked_seconds)

    assert portions.records == next_records


def test_what_is_set_to_be_small_stays_so() -> None:
    portions = Portions(20)

    portions.taken({ONE: 20}, 9.0)

    assert portions.records == 20


@pytest.mark.parametrize(
    ("counts", "first"),
    [
        ({ONE: 1000}, [Placed(TWO)]),
        ({ONE: 999, TWO: 1}, []),
        ({ONE: 999}, []),
        ({}, []),
    ],
)
def test_after_a_turn_that_one_partition_filled_alone_the_others_are_asked_first_once(
    counts: dict[TopicPartition, int], first: list[Placed]
) -> None:
    portions = Portions(1000)

    portions.taken(counts, 0.01)

    assert portions.others_first(LANE) == first
    assert portions.others_first(LANE) == []


def test_a_lane_of_one_partition_asks_that() -> None:
    portions = Portions(1000)

    portions.taken({ONE: 1000}, 0.01)

    assert portions.others_first([Placed(ONE)]) == []


@pytest.fixture
def each_look_takes_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    milliseconds: Iterator[int] = count()
    monkeypatch.setattr(stretch, "monotonic", lambda: next(milliseconds) / 1000)


async def rounds_during(work: Awaitable[Any]) -> int:
    """How often somebody else has a turn until some work is done."""
    rounds = 0

    async def others() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(others())
    await work
    working.cancel()
    return rounds


@pytest.mark.usefixtures("each_look_takes_a_millisecond")
async def test_decisions_let_others_work_every_few_milliseconds() -> None:
    inputs = [TimerDue(f"t-{number}", "acc-1", "inv-1", NOON) for number in range(600)]
    deciding = fold(toy_service().decide, outbox_writer(""), {"acc-1": ToyAccount("acc-1")}, inputs, NOON)

    assert 80 <= await rounds_during(deciding) <= 120


@pytest.mark.usefixtures("each_look_takes_a_millisecond")
async def test_decoding_lets_others_work_every_few_milliseconds() -> None:
    taken = Taken(MoodyStore())

    assert 80 <= await rounds_during(taken.take(*(b"{" for _ in range(600)))) <= 150


async def test_what_others_do_in_between_is_not_counted_as_work(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([0.0, 0.001, 7.0, 7.002])  # begun, paused, gone on, asked
    monkeypatch.setattr(stretch, "thread_time", lambda: next(looks))
    work = stretch.Stretch()
    await work.pause()

    assert work.worked_seconds == pytest.approx(0.003)
