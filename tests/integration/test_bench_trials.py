"""Every trial of `make bench` goes its way to the end with a handful of events: what it finds then is no figure."""

import asyncio
from pathlib import Path

import pytest

from dunning.contracts.topics import RETRY_SCHEDULER
from tests import stack
from tests.bench.growth import filled, one_run
from tests.bench.latency import delays_of
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


async def test_every_transition_is_read_and_how_long_after_its_failure_was_sent(place: Place) -> None:
    delays = await delays_of(place, [RETRY_SCHEDULER], per_second=50, seconds=1, warm_up_seconds=0.2)

    assert len(delays.milliseconds) > 10
    assert 0 < delays.p50 <= delays.p99


async def test_a_killed_service_goes_on_and_nothing_is_lost_or_comes_twice(place: Place) -> None:
    assert len(await first_progress(place, per_second=20, kills=1)) == 1


def test_failures_and_payments_leave_as_many_open_cases_as_there_were(place: Place) -> None:
    there = asyncio.run(filled(place, 60))

    assert there == 60
    assert [one_run(place, there, events=20, run=run).published for run in (0, 1)] == [20, 20]
