"""The places where a process may die, by name, so that tests can let it die, or freeze, exactly there.

Each lies between two things that must both happen in the end: the tests kill the process at every one of them and look
whether anything was lost or done twice. In production the hook looks at an empty dictionary.
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

_SIGNALS = {"DUNNING_CRASH_AT": signal.SIGKILL, "DUNNING_FREEZE_AT": signal.SIGSTOP}
_armed = {os.environ[name]: number for name, number in _SIGNALS.items() if name in os.environ}
if unknown := _armed.keys() - CRASH_POINTS:
    raise SystemExit(f"no crash point is named {min(unknown)}; there are {', '.join(sorted(CRASH_POINTS))}")


def crash_point(name: str) -> None:
    """Die here when told to, as `kill -9` would have it: no handler runs, nothing is flushed. Or freeze, the first time
    only: whoever is thawed goes on."""
    if _armed and (number := _armed.pop(name, None)) is not None:
        os.kill(os.getpid(), number)
