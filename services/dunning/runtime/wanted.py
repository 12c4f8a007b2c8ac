"""Which of the inputs that were read are passed over: one place for what comes from the topics and what is replayed."""

from collections.abc import Callable
from typing import Any

from dunning.domain.events import Input
from dunning.domain.livemode import acts_here
from dunning.runtime.service import Service

NOT_WANTED = "not_wanted"
TEST_EVENT = "test_event"

PassOver = Callable[[Input], str | None]
"""Why an input is passed over, in one word; None: it is worked in."""


def pass_over(service: Service[Any], *, test_mode: bool) -> PassOver:
    """What a service passes over: test events outside of test mode (rule 4), and what cannot matter to it."""
    wanted = service.wanted

    def reason(event: Input) -> str | None:
        if not acts_here(event, test_mode=test_mode):
            return TEST_EVENT
        return None if wanted(event) else NOT_WANTED

    return reason
