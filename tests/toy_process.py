"""The toy service as a process of its own, for tests that kill it.

`TOY_WORLD` names a file that its errands write a line to: the world, as far as the toy can touch it.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from dunning.domain.decision import Errand
from dunning.domain.events import ErrandReport
from dunning.runtime.problem import Problem
from dunning.runtime.run import run
from dunning.runtime.service import Begin
from dunning.runtime.settings import Settings, load_settings
from dunning.testing.toy import toy_service


async def write_a_line(errand: Errand, begin: Begin) -> ErrandReport:
    """What the toy does in the world."""
    if await begin():
        with Path(os.environ["TOY_WORLD"]).open("a") as world:  # noqa: ASYNC230 - it may die right after
            world.write(f"{errand.errand_id}\n")
    at = datetime.now(UTC)
    return ErrandReport(
        f"did/{errand.errand_id}", errand.account_id, errand.invoice_id, errand.errand_id, "accepted", at
    )


def main() -> int:
    try:
        settings = load_settings(Settings)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return uvloop.run(run(toy_service(), settings, perform=write_a_line if "TOY_WORLD" in os.environ else None))


if __name__ == "__main__":
    sys.exit(main())
