"""How large the faults are that tests bring about: small in `make test`, as large as production's in `make faults`.

The tests are the same, and nothing is left out of either: only the numbers differ, and that the large ones also judge
what the clock says, which no busy machine may make fail in `make test`.
"""

import os
from dataclasses import dataclass

VARIABLE = "DUNNING_TEST_FULL_SIZES"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a test reads its numbers from."""

    flood_events: int  # on one account, at once
    beside_flood_per_second: float  # first failures of other accounts
    calm_seconds: float  # their p99 without the flood is taken from so long before it and after it
    unpaid_invoices: int  # whose timers are due after all instances were down; a third of them is paid meanwhile
    timers_due: int  # beside dead entries that a held transaction keeps
    storm_seconds: float  # instances join and leave
    broker_away_seconds: float
    kills_seconds: float  # random services are killed
    patience: float  # times what the tests of the kernel wait for anything
    judges_time: bool


SMALL = Sizes(
    flood_events=2_000,
    beside_flood_per_second=20,
    calm_seconds=1,
    unpaid_invoices=600,
    timers_due=2_000,
    storm_seconds=0,
    broker_away_seconds=0,
    kills_seconds=20,
    patience=1,
    judges_time=False,
)
FULL = Sizes(
    flood_events=100_000,
    beside_flood_per_second=100,
    calm_seconds=30,
    unpaid_invoices=6_000,
    timers_due=20_000,
    storm_seconds=60,
    broker_away_seconds=30,
    kills_seconds=60,
    patience=10,
    judges_time=True,
)
SIZES = FULL if os.environ.get(VARIABLE) == "1" else SMALL
