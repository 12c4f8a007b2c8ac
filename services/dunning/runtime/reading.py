"""Which partitions an instance reads, from where, and by what right.

Kafka's group only spreads the partitions over the instances. The truth about offsets is in the database, and the right
to a partition is an epoch there (`Store.take_over`). So whatever goes wrong with a partition, the answer is the same:
stop reading it, and begin again from what is stored.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.broker_log import Bounds, BrokerLog
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for
from dunning.runtime.problem import OFFSET_OUTSIDE_LOG
from dunning.runtime.read_through import Done
from dunning.runtime.store import Owned, Store, TopicPartition

OUTSIDE_LOG_SECONDS = 30.0
"""How long a partition rests whose log does not hold what is to be read next, or holds bytes that are no records."""

_log = log_for("consumer")


@dataclass(slots=True)
class PlacedPartition:
    """A partition that is being read here. While `in_hand`, records beyond `stored` are in a turn."""

    tp: TopicPartition
    epoch: int
    stored: int
    on_file: bool  # whether the database has that offset; not before the first turn of a partition that is new
    in_hand: bool = False
    stored_at: float = 0.0


class Reading:
    """One instance's partitions: assigned by the group, then taken over in the database, then placed."""

    def __init__(self, store: Store[Any], log: BrokerLog, health: Health) -> None:
        self.consumer: AIOKafkaConsumer | None = None  # the one that reads at this moment
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.placed: dict[TopicPartition, PlacedPartition] = {}
        self.not_before: dict[TopicPartition, float] = {}  # when a partition that failed may be tried again
        self._outside: dict[TopicPartition, str] = {}
        self._store = store
        self._log = log
        self._health = health

    @property
    def settled(self) -> bool:
        """Whether every partition that was assigned here is being read."""
        return self.consumer is not None and self.assigned == self.placed.keys()

    @property
    def missing(self) -> list[TopicPartition]:
        """Assigned, not being read, and not resting."""
        now = monotonic()
        return [tp for tp in self.assigned - self.placed.keys() if self.not_before.get(tp, 0) <= now]

    def let_go(self) -> None:
        """Read nothing any more."""
        self.assigned = frozenset()
        self.placed.clear()

    def assign(self, partitions: Collection[KafkaPartition]) -> None:
        """The group gave us these, and no others."""
        self.placed.clear()
        self.assigned = frozenset(TopicPartition(*each) for each in partitions)
        self.not_before.clear()
        self._outside = {tp: said for tp, said in self._outside.items() if tp in self.assigned}
        self._tell_of_outside()

    async def begin(self, missing: Collection[TopicPartition]) -> None:
        """Make partitions ours, and place the consumer where the stored offset says."""
        assigned = self.assigned
        bounds = await self._log.bounds(missing)
        owned = await self._store.take_over(missing)
        if beyond := [tp for tp, mine in owned.items() if (mine.next_offset or 0) > bounds[tp].end]:
            bounds.update(await self._log.bounds(beyond))  # the former owner may have stored what came in since
        if self.assigned is not assigned:  # a rebalance came in between: whoever has them now takes them over again
            return
        for tp, mine in owned.items():
            offset = self._checked_offset(tp, mine, bounds[tp])
            if offset is None:
                self.not_before[tp] = monotonic() + OUTSIDE_LOG_SECONDS
            else:
                self._place(tp, mine, offset)
        self._tell_of_outside()
        _log.info("reading", partitions=len(self.placed), assigned=len(assigned))

    def drop(self, partitions: Collection[TopicPartition], pause_seconds: float) -> None:
        """Stop reading these; they are begun anew from what is stored, after a pause."""
        for tp in partitions:
            self.placed.pop(tp, None)
            self.not_before[tp] = monotonic() + pause_seconds
            with suppress(IllegalStateError):
                if self.consumer is not None:
                    self.consumer.pause(KafkaPartition(*tp))

    def cannot_be_read(self, each: PlacedPartition, error: Exception) -> None:
        """What comes next in a partition is no record."""
        self._outside[each.tp] = (
            f"{each.tp.topic}[{each.tp.partition}] from {each.stored} on cannot be read ({error!r})"
        )
        self._tell_of_outside()

    async def position(self, each: PlacedPartition) -> int:
        """Where the consumer stands; it answers at once for a partition that was placed."""
        assert self.consumer is not None
        position: int = await self.consumer.position(KafkaPartition(*each.tp))
        return position

    async def done(self) -> Mapping[TopicPartition, Done]:
        """How far each partition is stored. With nothing in hand, all before the consumer's position is: what lies
        between the last record and that position are markers of transactions."""
        return {
            each.tp: Done(
                each.epoch,
                each.stored if each.in_hand else await self.position(each),
                each.stored if each.on_file else None,
            )
            for each in list(self.placed.values())
        }

    def _checked_offset(self, tp: TopicPartition, mine: Owned, bounds: Bounds) -> int | None:
        """Where to go on, or None where the log does not hold that offset: never a silent jump over lost records."""
        self._outside.pop(tp, None)
        if mine.next_offset is None:
            return bounds.begin
        if bounds.begin <= mine.next_offset <= bounds.end:
            return mine.next_offset
        at = f"we read {tp.topic}[{tp.partition}] up to {mine.next_offset}"
        self._outside[tp] = f"{at}, but its log holds {bounds.begin} to {bounds.end}: records are gone"
        return None

    def _tell_of_outside(self) -> None:
        if self._outside:
            message = "; ".join(self._outside.values())
            self._health.trouble(
                "offsets",
                OFFSET_OUTSIDE_LOG,
                f"{message}; what cannot be read is not read: `dunning offsets` has the ways on",
            )
        else:
            self._health.well("offsets")

    def _place(self, tp: TopicPartition, mine: Owned, offset: int) -> None:
        assert self.consumer is not None
        try:
            self.consumer.seek(KafkaPartition(*tp), offset)
            self.consumer.resume(KafkaPartition(*tp))
        except IllegalStateError:  # taken away a moment ago
            return
        self.placed[tp] = PlacedPartition(tp, mine.epoch, offset, on_file=mine.next_offset is not None)
