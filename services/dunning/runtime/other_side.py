"""Whether anybody takes the errands: a mail server that is away is told once, and not at every mail."""

from time import monotonic

from dunning.domain.decision import Postpone
from dunning.domain.events import ErrandReport
from dunning.runtime.health import Health
from dunning.runtime.problem import NOBODY_TAKES_ERRANDS

_UNTOLD_SECONDS = 60.0
_WITHOUT_ASKING = frozenset({"failed", "withdrawn", "too_late"})  # outcomes that nobody outside needs to answer for


class OtherSide:
    """By kind of errand. It is an alarm and no trouble: the service works on. One that is only busy answers somebody
    in the meantime, so it is not told."""

    def __init__(self, health: Health, forgotten_seconds: float) -> None:
        """Of whom nothing was heard for `forgotten_seconds`, nothing is known: what waited was withdrawn."""
        self._health = health
        self._forgotten_seconds = forgotten_seconds
        self._silent: dict[str, tuple[float, float]] = {}  # kind, since when, when it was last asked

    def note(self, kind: str, answer: ErrandReport | Postpone) -> None:
        """What became of asking once."""
        if isinstance(answer, ErrandReport):
            if answer.outcome not in _WITHOUT_ASKING:
                self._is_there(kind)
        elif answer.refused:
            self._is_there(kind)
        else:
            self._is_silent(kind, answer.reason)

    def forget(self) -> None:
        """Let go of alarms that nobody tries to end any more."""
        for kind, (_, asked_at) in list(self._silent.items()):
            if monotonic() - asked_at > self._forgotten_seconds:
                self._is_there(kind)

    def _is_there(self, kind: str) -> None:
        if self._silent.pop(kind, None) is not None:
            self._health.calm(_part(kind))

    def _is_silent(self, kind: str, reason: str) -> None:
        now = monotonic()
        since, _ = self._silent.get(kind, (now, now))
        self._silent[kind] = since, now
        if now - since >= _UNTOLD_SECONDS:
            message = f"nobody takes errands of the kind {kind} ({reason}): they wait and are tried again"
            self._health.alarm(_part(kind), NOBODY_TAKES_ERRANDS, message)


def _part(kind: str) -> str:
    return f"errands {kind}"
