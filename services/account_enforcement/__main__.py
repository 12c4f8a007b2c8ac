"""Run account enforcement."""

import sys
from collections.abc import Sequence

from account_enforcement.brake import Brake
from account_enforcement.metrics import AccountMetrics, AccountsWatch
from account_enforcement.service import account_enforcement
from account_enforcement.settings import EnforcementSettings
from dunning.runtime.main import start
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.policy_directory import known_templates
from dunning.runtime.run import run
from dunning.runtime.start import FixedStart


async def serve(settings: EnforcementSettings) -> int:
    """Serve until told to stop."""
    shelf = PolicyShelf(settings.policy_dir, known_templates(settings.template_dir))
    shelf.check()
    metrics = AccountMetrics()
    service = account_enforcement(
        shelf, FixedStart(settings.start), AccountsWatch(metrics), brake=Brake(settings.max_restrictions_per_day)
    )
    return await run(service, settings, metrics=metrics)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the process."""
    return start(EnforcementSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
