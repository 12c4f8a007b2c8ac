"""The toy service as a process of its own, for tests that kill it."""

import asyncio
import sys

from dunning.runtime.problem import Problem
from dunning.runtime.run import run
from dunning.runtime.settings import Settings, load_settings
from dunning.testing.toy import toy_service


def main() -> int:
    try:
        settings = load_settings(Settings)
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 2
    return asyncio.run(run(toy_service(), settings))


if __name__ == "__main__":
    sys.exit(main())
