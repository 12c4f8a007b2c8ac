"""The places where a process may die, by name, so that tests can let it die exactly there.

Each lies between two things that must both happen in the end: the tests kill the process at every one of them and look
whether anything was lost or done twice. In production the hook compares one string with None.
"""

import os
import signal

CRASH_POINTS = frozenset(
    {
        "turn.saved",  # written, not committed
        "turn.committed",  # committed, nothing published yet
        "timers.committed",
        "replay.saved",  # written, not committed
        "replay.committed",
        "relay.sent",  # in Kafka's hands, its transaction not committed
        "relay.published",  # committed in Kafka, still in the outbox
        "relay.finished",
        "errand.leased",
        "errand.begun",  # the world may have been touched from here on
        "errand.performed",  # the world was touched, nobody knows
        "errand.reported",
        "bounce.published",  # the signal is in Kafka, the mail still in the box
    }
)

_armed = os.environ.get("DUNNING_CRASH_AT")
if _armed is not None and _armed not in CRASH_POINTS:
    raise SystemExit(f"DUNNING_CRASH_AT: no crash point is named {_armed}; there are {', '.join(sorted(CRASH_POINTS))}")


def crash_point(name: str) -> None:
    """Die here when told to, as `kill -9` would have it: no handler runs, nothing is flushed."""
    if _armed == name:
        os.kill(os.getpid(), signal.SIGKILL)
