"""Run the retry scheduler."""

import sys
from collections.abc import Sequence

from dunning.runtime.main import start
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.policy_directory import known_templates
from dunning.runtime.run import run
from dunning.runtime.settings import Settings
from dunning.runtime.start import FixedStart
from retry_scheduler.metrics import RetryMetrics
from retry_scheduler.service import retry_scheduler


async def serve(settings: Settings) -> int:
    """Serve until told to stop."""
    shelf = PolicyShelf(settings.policy_dir, known_templates(settings.template_dir))
    shelf.check()
    return await run(retry_scheduler(shelf, FixedStart(settings.start)), settings, metrics=RetryMetrics())


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the process."""
    return start(Settings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
