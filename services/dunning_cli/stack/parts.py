"""What the supervisor has to know about something it runs."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from dunning_cli.stack.processes import Command


def nothing_to_prepare() -> None:
    """Most parts start as they are."""


@dataclass(frozen=True)
class Part:
    """One process of the local stack. `command` is asked anew at every start, `prepare` runs once before the first."""

    name: str
    command: Callable[[], Command]
    why_not_ready: Callable[[], str | None]
    ready_seconds_max: float
    stop_seconds_max: float
    stops_first: bool = False
    stop_signal: signal.Signals = signal.SIGTERM
    prepare: Callable[[], None] = nothing_to_prepare
