"""Run the notification dispatcher."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from dunning.domain.words import Channel
from dunning.runtime.main import start
from dunning.runtime.policies import PolicyShelf
from dunning.runtime.problem import SETTING_WRONG, Problem
from dunning.runtime.run import run
from dunning.runtime.start import FixedStart
from notification_dispatcher.bounces.reader import bounce_readers
from notification_dispatcher.channels.email import EmailChannel
from notification_dispatcher.metrics import NoticeMetrics
from notification_dispatcher.service import notification_dispatcher
from notification_dispatcher.settings import DispatcherSettings
from notification_dispatcher.templates.opening import checked_wording

LEASE_SHARE = 0.9  # of a lease's time, which the kernel leaves to a worker


async def serve(settings: DispatcherSettings) -> int:
    """Serve until told to stop. Without an SMTP server every mail is `suppressed`, reason `channel_not_configured`."""
    wording = checked_wording(settings.template_dir)
    shelf = PolicyShelf(settings.policy_dir, wording.names)
    shelf.check()
    fixed_start = FixedStart(settings.start)
    metrics = NoticeMetrics()
    readers = bounce_readers(settings, metrics)
    if settings.server is None:
        service = notification_dispatcher(shelf, fixed_start, frozenset(), wording, readers)
        return await run(service, settings, metrics=metrics)
    email = EmailChannel(settings, lambda: datetime.now(UTC), wording)
    if email.perform_seconds_max > settings.errand_lease_seconds * LEASE_SHARE:
        raise Problem(
            SETTING_WRONG,
            f"DUNNING_ERRAND_LEASE_SECONDS is {settings.errand_lease_seconds:g}, but one mail may take "
            f"{email.perform_seconds_max:g}: give it at least {email.perform_seconds_max / LEASE_SHARE:.0f}",
        )
    service = notification_dispatcher(shelf, fixed_start, frozenset({Channel.EMAIL}), wording, readers)
    try:
        return await run(service, settings, perform=email.perform, metrics=metrics)
    finally:
        await email.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the process."""
    return start(DispatcherSettings, serve, arguments)


if __name__ == "__main__":
    sys.exit(main())
