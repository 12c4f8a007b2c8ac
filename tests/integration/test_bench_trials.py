"""Trials of `make bench` go their way to the end with a handful of events: what they find then is no figure."""

import asyncio
from pathlib import Path

import pytest

from tests import stack
from tests.bench.growth import filled, one_run
from tests.bench.measure import Wrong
from tests.bench.memory import while_timers
from tests.bench.place import Place
from tests.bench.restart import first_progress
from tests.bench.timers import check


@pytest.fixture
def place(servers: stack.Servers, database_url: str, tmp_path: Path) -> Place:
    return Place(servers.kafka_bootstrap_servers, database_url, tmp_path)


def test_timers_fire_from_filled_tables_and_one_too_many_would_be_no_figure(place: Place) -> None:
    sizes = while_timers(place, 60)

    assert all(10 < size < 2_000 for size in sizes.mebibytes)
    with pytest.raises(Wrong, match=r"after 59 timers of 60 there are {'requested': 60, 'scheduled': 0, 'orders': 60"):
        asyncio.run(check(place, 59, 60))


async def test_a_killed_service_goes_on_and_nothing_is_lost_or_comes_twice(place: Place) -> None:
    assert len(await first_progress(place, per_second=20, kills=1)) == 1


def test_failures_and_payments_leave_as_many_open_cases_as_there_were(place: Place) -> None:
    there = asyncio.run(filled(place, 60))

    assert there == 60
    assert [one_run(place, there, events=20, run=run).events for run in (0, 1)] == [20, 20]
