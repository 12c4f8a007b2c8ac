"""The database's clock, as far as this process knows it, and whether this host agrees with it (rule 3)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def monotonic_seconds() -> float:
    """Counts on while the host is suspended, where the system can: what was known before is that much older then."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def host_now() -> datetime:
    """The only place that reads the host's clock for comparison."""
    return datetime.now(UTC)


class DatabaseClock:
    """Remembers the last reading of the database's clock and counts on from there.

    What is due is always decided with a reading of the transaction itself. This estimate serves where a few
    milliseconds do not matter: to refuse events from the future, to see whether a horizon is fresh, and to compare.
    """

    def __init__(
        self,
        skew_seconds_max: float,
        *,
        host: Callable[[], datetime] = host_now,
        monotonic: Callable[[], float] = monotonic_seconds,
    ) -> None:
        self._skew_seconds_max = skew_seconds_max
        self.host = host
        self.monotonic = monotonic
        self._reading: tuple[datetime, float] | None = None
        self.skew_seconds = 0.0

    def read(self, database_now: datetime, asked_at: float | None = None) -> None:
        """Note what the database said, and by `monotonic` when it was asked.

        The estimate may run ahead of the database by as long as the answer took, never behind: an event of today would
        be an event of the future to a process that was frozen just then, and would be set aside (rule 3).
        """
        self._reading = (database_now, self.monotonic() if asked_at is None else asked_at)
        self.skew_seconds = (self.host() - database_now).total_seconds()

    def now(self) -> datetime:
        """The database's present time, estimated; the host's before the first reading."""
        if self._reading is None:
            return self.host()
        then, at = self._reading
        return then + timedelta(seconds=self.monotonic() - at)

    @property
    def agrees(self) -> bool:
        """Whether host and database are close enough to take in events and to fire timers; not before that is known."""
        return self._reading is not None and abs(self.skew_seconds) <= self._skew_seconds_max
