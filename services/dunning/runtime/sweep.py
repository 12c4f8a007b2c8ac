"""From where timers look for what is due: behind what was just fired, and every second or so from the beginning.

A timer that fired leaves a dead entry in the index until it is vacuumed away, and one old snapshot keeps all of them.
Whoever looked from the beginning for every batch would read them all for every batch.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from time import monotonic

_WHOLE_SECONDS = 1.0  # what was passed over, or planned since for a time gone by, waits about as long as this
_WHOLE_SHARE = 10  # looking from the beginning takes no more than about a tenth of the time


class Sweep:
    """One instance's way through what is due, oldest first, while there is plenty."""

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._whole_at = 0.0  # when to look from the beginning again
        self._looked_at = 0.0

    def look(self) -> datetime | None:
        """The due time to look from now, None for the beginning. Unless `go_on` follows, the next look begins there."""
        self._looked_at = monotonic()
        since = self._since if self._looked_at < self._whole_at else None
        self._since = None
        return since

    def go_on(self, since: datetime | None, due: Mapping[str, Collection[tuple[str, datetime]]]) -> None:
        """A full batch was found, looking from `since`. An account brings all that it has due, much later too, so the
        next look begins where each had its first: nobody else's timer lies before that."""
        in_batch = [[due_at for _, due_at in cases if since is None or due_at >= since] for cases in due.values()]
        self._since = max((min(each) for each in in_batch if each), default=None)
        if since is None:
            now = monotonic()
            self._whole_at = now + max(_WHOLE_SECONDS, _WHOLE_SHARE * (now - self._looked_at))
