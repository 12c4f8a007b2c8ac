"""How much a lane takes in one turn, and of whom: so that nobody waits long for a flood of somebody else's events."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from dunning.runtime.store import TopicPartition

WORK_SECONDS = 0.05
RECORDS_MIN = 500
"""Below it, a transaction costs more than what is in it."""


class Placed(Protocol):
    """A partition that is being read."""

    @property
    def tp(self) -> TopicPartition: ...


P = TypeVar("P", bound=Placed)


class Portions:
    """Of one lane, in which others wait for a turn to end.

    So the next one takes as many records as can be decoded and decided in a twentieth of a second, by what those of the
    last one cost. How long the database took for them is no measure: a slow one is the reason to take many at once.

    After a turn that one partition filled alone, the others are asked first: a client hands out what it fetched in the
    order in which it came, so a flood would be handed out to its end.
    """

    def __init__(self, records_max: int) -> None:
        self._records_min, self._records_max = min(RECORDS_MIN, records_max), records_max
        self._filled_by: TopicPartition | None = None
        self.records = records_max

    def others_first(self, lane: Sequence[P]) -> Sequence[P]:
        """Those of the lane to ask without waiting, once; none where all may be asked."""
        filled_by, self._filled_by = self._filled_by, None
        return [each for each in lane if each.tp != filled_by] if filled_by is not None else []

    def taken(self, counts: Mapping[TopicPartition, int], worked_seconds: float) -> None:
        """So many records of each were taken in one turn, and this is how long it worked on them."""
        taken = sum(counts.values())
        if taken >= self.records and len(counts) == 1:
            (self._filled_by,) = counts
        if taken >= self._records_min:
            allowed = int(WORK_SECONDS * taken / worked_seconds) if worked_seconds > 0 else self._records_max
            self.records = max(self._records_min, min(allowed, self._records_max))
