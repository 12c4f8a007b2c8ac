"""Test data: events with `livemode: false` act only where the service is set to test mode (rule 4)."""

from dunning.domain.events import Input


def acts_here(event: Input, *, test_mode: bool) -> bool:
    """Whether an event may have an effect. What says nothing of it, such as a peer's transition, is live.

    Test mode lets test events in and keeps no live ones out: the rule restricts the former only.
    """
    return test_mode or getattr(event, "livemode", True) is not False
