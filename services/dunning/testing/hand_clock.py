"""A clock that stands still until somebody moves it."""

from datetime import datetime, timedelta


class HandClock:
    """Stands in for the database's clock."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **distance: float) -> None:
        """Move on by `seconds=`, `minutes=`, `days=` and so on."""
        self.now += timedelta(**distance)
