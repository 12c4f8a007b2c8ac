"""`python -m tests.model.live --accounts 300 --seed 1`: random histories through the real services, on one clock."""

import argparse
import asyncio
import logging
import sys
import time
import uuid

from dunning.runtime.logs import configure_logs
from tests import stack
from tests.model.live.crowd import crowd
from tests.model.live.play import play

SHOWN_MAX = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.model.live", description=__doc__)
    parser.add_argument("--accounts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the first account; the next ones follow it")
    parser.add_argument("--days", type=int, default=60, help="how long the clock runs")
    options = parser.parse_args()
    configure_logs("console", "error", "live", "live")
    logging.disable(logging.ERROR)  # dead letters belong to the histories
    given = crowd(options.seed, options.accounts, options.days)
    with (
        stack.folder_for_servers() as folder,
        stack.started_in(folder) as started,
        stack.fresh_database(started.database_url) as database_url,
    ):
        servers = stack.Servers(started.kafka_bootstrap_servers, database_url)
        began = time.monotonic()
        result = asyncio.run(play(given, servers, f"t{uuid.uuid4().hex[:12]}.", options.seed))
    print(f"seed {options.seed}, {options.days} days: {result} ({time.monotonic() - began:.0f} s)")
    for account, difference in list(result.differences.items())[:SHOWN_MAX]:
        print(f"{account}: simulator and services differ\n{difference}")
    print(f"{len(result.differences)} accounts differ" if result.differences else "no difference")
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
