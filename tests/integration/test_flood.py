"""A flood of events on one account, in a service of its own process: what it does to the waits of all others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import stack
from tests.bench.place import Place
from tests.faults.sizes import SIZES
from tests.integration.flood import flooded

RATIO_MAX = 2


@pytest.mark.timeout(1200)
async def test_a_flood_on_one_account_makes_others_wait_at_most_twice_as_long(
    servers: stack.Servers, database_url: str, tmp_path: Path, tell: Callable[[object], None]
) -> None:
    """In the 99th percentile, produced to published, of accounts in other partitions; judged at full size alone."""
    place = Place(servers.kafka_bootstrap_servers, database_url, tmp_path)
    found = await flooded(
        place,
        events=SIZES.flood_events,
        per_second=SIZES.beside_flood_per_second,
        calm_seconds=SIZES.calm_seconds,
    )
    tell(found)

    assert (found.missing, found.repeated) == (0, 0)
    assert found.transitions_of_others == found.sent
    assert not SIZES.judges_time or found.ratio <= RATIO_MAX
