"""Time as a place on the picture: where an instant lies, which marks the axis has, where labels find room."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dunning.domain.calendar import Duration, to_utc

_STEPS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 2, 5, 10, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200)
) + tuple(timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 182, 364))  # fmt: skip
_DAY = timedelta(days=1)
CHARACTER_WIDTH = 6.4  # of 12 pixels, on average and a little more


@dataclass(frozen=True, slots=True)
class Scale:
    """From `start` at the pixel `left` to `end` at `right`; days are those of a zone."""

    start: datetime
    end: datetime
    left: float
    right: float
    zone: ZoneInfo

    def x(self, at: datetime) -> float:
        """Where an instant lies; before the start and behind the end, at the edge."""
        share = (at - self.start) / (self.end - self.start)
        return round(self.left + min(max(share, 0), 1) * (self.right - self.left), 1)

    def day_number(self, at: datetime) -> int:
        """Local days since the start."""
        return (at.astimezone(self.zone).date() - self.start.astimezone(self.zone).date()).days

    @property
    def pixels_a_day(self) -> float:
        """How wide a day is."""
        return (self.right - self.left) * (_DAY / (self.end - self.start))

    @property
    def by_days(self) -> bool:
        """Whether days tell things apart; a ladder of hours or seconds has other marks."""
        return self.end - self.start > 2 * _DAY

    def days(self) -> list[tuple[date, float, float]]:
        """Every local date on the picture, with its two edges."""
        first = self.start.astimezone(self.zone).date()
        count = self.day_number(self.end) + 1
        dates = [first + number * _DAY for number in range(count)]
        return [(day, self.x(self._midnight(day)), self.x(self._midnight(day + _DAY))) for day in dates]

    def marks(self, apart: float) -> list[datetime]:
        """The marks of the axis, counted from the start and at least so many pixels apart."""
        span = self.end - self.start
        step = next((each for each in _STEPS if (self.right - self.left) * (each / span) >= apart), span)
        count = int(span / step) + 1
        if step < _DAY:
            return [self.start + number * step for number in range(count)]
        local = self.start.astimezone(self.zone)
        dates = [local.date() + number * step for number in range(count)]
        return [at for day in dates if (at := to_utc(day, local.time(), self.zone)) <= self.end]

    def _midnight(self, day: date) -> datetime:
        return to_utc(day, time(), self.zone)


def since(at: datetime, start: datetime) -> str:
    """`+1h30m`, for ladders that are shorter than days."""
    return f"+{Duration(0, int((at - start).total_seconds()))}".replace("+0d", "+0s")


def levels(spots: Sequence[tuple[float, float]]) -> list[int]:
    """A level for each label, given where it begins and how wide it is, in the order of where they begin.

    A label stands to the right of the line that leads to it and further out than every label that begins above it, so
    no line crosses a label.
    """
    found = [0] * len(spots)
    for number in reversed(range(len(spots))):
        x, width = spots[number]
        covered = [found[other] for other in range(number + 1, len(spots)) if spots[other][0] <= x + width]
        found[number] = max(covered, default=-1) + 1
    return found


def width_of(text: str, size: float = 12) -> float:
    """About how wide a text is, without knowing the reader's font."""
    return len(text) * CHARACTER_WIDTH * size / 12
