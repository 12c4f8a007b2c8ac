"""One turn of the consumer: a batch of records of several partitions, in one transaction ("Exactly once" in
docs/concepts.md)."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Generic, TypeVar

import asyncpg
from aiokafka import ConsumerRecord

from dunning.contracts.decoded import Decoded, PassedOver, Readable, Unreadable
from dunning.domain.account import AccountState
from dunning.domain.decision import CannotDecideYet
from dunning.runtime.clock import DatabaseClock
from dunning.runtime.crash_points import crash_point
from dunning.runtime.dead_letters import CONFLICTING_DUPLICATE, DECISION_FAILED, conflict_detail, dead_letter
from dunning.runtime.fold import DecisionsFailed, Outcome, Write, decided
from dunning.runtime.health import Health
from dunning.runtime.logs import log_for, told
from dunning.runtime.meant import cases_meant
from dunning.runtime.metrics import Metrics
from dunning.runtime.pauses import Pauses
from dunning.runtime.problem import DATABASE_UNREACHABLE, POLICIES_UNUSABLE
from dunning.runtime.service import Service
from dunning.runtime.store import Fenced, OutboxRow, Store, StoreUnavailable, TopicPartition, Transaction, Verdict
from dunning.runtime.stretch import Stretch
from dunning.runtime.wanted import NOT_WANTED, PassOver

A = TypeVar("A", bound=AccountState[Any])
Decode = Callable[[str, bytes | None, bytes | None, Sequence[tuple[str, bytes]], datetime], Decoded]
Place = tuple[str, int, int]  # topic, partition, offset

_CULPRITS_OF_THE_DATABASE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
_LETTERS_LOGGED_MAX = 20  # of one turn: a topic full of rubbish must not fill the disk with log lines
_LONG_SECONDS = 20.0  # a turn that failed after this is tried again in halves: the database's patience is 30
DATABASE = "database"
_log = log_for("turn")


class _RecordsFailed(Exception):
    """These records made `decide` raise; the turn is to be taken again without them."""

    def __init__(self, places: dict[Place, str]) -> None:
        super().__init__(f"{len(places)} records cannot be decided")
        self.places = places


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in hand, each partition's in order, with the right to them and where their partitions stand after them.

    Positions may lie beyond the last record: markers of transactions take up offsets and hold nothing. `begins` says up
    to where a partition was stored before: its records go on from there.
    """

    owned: Mapping[TopicPartition, int]  # epochs
    records: Sequence[ConsumerRecord]
    positions: Mapping[TopicPartition, int]
    begins: Mapping[TopicPartition, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Sorted:
    """A batch, sorted by what is to be done with each record."""

    readable: list[tuple[ConsumerRecord, Readable]] = field(default_factory=list)
    letters: list[tuple[ConsumerRecord, str, str, bytes | None]] = field(default_factory=list)  # reason, detail, masked
    consumed: Counter[str] = field(default_factory=Counter)
    passed_over: Counter[tuple[str, str]] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    worked_seconds: float = 0.0
    without_effect: list[int] = field(default_factory=list)  # keys first seen here, of messages that are set aside


def concerns_the_input(error: BaseException) -> bool:
    """Whether an error came from what was read, so that trying again would only fail again.

    Everything that may pass, or that an operator must mend (a database that is away, a missing table), does not:
    setting messages aside for that would empty the topics into the dead letters.
    """
    if isinstance(error, _CULPRITS_OF_THE_DATABASE):
        return True
    environment = (
        CannotDecideYet,
        StoreUnavailable,
        Fenced,
        OSError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        MemoryError,
    )
    return isinstance(error, Exception) and not isinstance(error, environment)


class Turn(Generic[A]):
    """Takes batches until they are stored; lanes share one, for it keeps nothing between batches."""

    def __init__(
        self,
        service: Service[A],
        store: Store[A],
        decode: Decode,
        write: Write,
        pass_over: PassOver,
        *,
        topic_prefix: str,
        sets_aside: bool = True,
        clock: DatabaseClock,
        metrics: Metrics,
        health: Health,
        committed: Callable[[Outcome], None],
    ) -> None:
        self._service = service
        self._store = store
        self._decode = decode
        self._write = write
        self._pass_over = pass_over
        self._prefix_length = len(topic_prefix)
        self._unheard = {topic_prefix + topic: sources for topic, sources in service.unheard.items()}
        self._sets_aside = sets_aside
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._committed = committed

    async def take(self, batch: Batch) -> float:
        """Store a batch with all that follows from it; returns for how many seconds it was decoded and decided. Raises
        Fenced; waits for ever for a database that is away."""
        return await self._take(batch, {})

    async def _take(self, batch: Batch, aside: dict[Place, str]) -> float:
        pauses = Pauses()
        while True:
            began = monotonic()
            try:
                worked_seconds = await self._once(batch, aside)
            except (Fenced, asyncio.CancelledError):  # what it waited for is no longer ours to store
                self._health.well(DATABASE)
                raise
            except _RecordsFailed as failed:
                aside |= failed.places
            except Exception as error:  # noqa: BLE001 - told apart below, and never dropped
                if concerns_the_input(error) and any(_place(record) not in aside for record in batch.records):
                    return await self._take_apart(batch, aside, error)
                await self._wait_for_the_database(error, pauses)
                if monotonic() - began > _LONG_SECONDS and len(batch.records) > 1:  # too much for one transaction
                    return await self._take_halves(batch, aside)
            else:
                self._health.well(DATABASE)
                return worked_seconds

    async def _take_apart(self, batch: Batch, aside: dict[Place, str], error: Exception) -> float:
        """Something in the batch cannot be stored, and nobody says which record: halve until it is alone."""
        records = batch.records
        if len(records) == 1:
            _log.error("a record cannot be stored and is set aside", **_ids(records[0]), **told(error))
            aside[_place(records[0])] = f"storing failed: {type(error).__name__}"
            return await self._take(batch, aside)
        return await self._take_halves(batch, aside)

    async def _take_halves(self, batch: Batch, aside: dict[Place, str]) -> float:
        records = batch.records
        middle = len(records) // 2
        reached = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records[:middle]}
        first = Batch({tp: batch.owned[tp] for tp in reached}, records[:middle], reached, batch.begins)
        worked_seconds = await self._take(first, aside)
        begins = {**batch.begins, **reached}
        return worked_seconds + await self._take(Batch(batch.owned, records[middle:], batch.positions, begins), aside)

    async def _wait_for_the_database(self, error: Exception, pauses: Pauses) -> None:
        """A deadlock or a dropped connection is gone the next time; what lasts longer is a trouble."""
        if pauses.tries >= 2:
            said = (str(error).splitlines() or [type(error).__name__])[0]  # what follows the first line quotes rows
            if isinstance(error, CannotDecideYet):
                self._health.trouble(DATABASE, POLICIES_UNUSABLE, f"what was read waits: {said}")
            else:
                what = "the database does not store what was read"
                self._health.trouble(DATABASE, DATABASE_UNREACHABLE, f"{what}: {said}")
        self._metrics.retries.labels(DATABASE).inc()
        await asyncio.sleep(pauses.next_seconds())

    async def _once(self, batch: Batch, aside: Mapping[Place, str]) -> float:
        """The recipe."""
        began = monotonic()
        async with self._store.transaction() as tx:
            stored = {tp: offset or 0 for tp, offset in (await tx.lock_offsets(batch.owned)).items()}
            _require_no_gap(batch, stored)
            fresh = [r for r in batch.records if r.offset >= stored[TopicPartition(r.topic, r.partition)]]
            found = await self._sort(fresh, aside)
            first = await self._first_sightings(tx, found)
            outcome = await self._decided(tx, first)
            self._set_aside_rejected(found, first, outcome)
            outcome.rows += self._letters(found) if self._sets_aside else []
            if found.without_effect:
                await tx.forget_sightings(found.without_effect)
            await outcome.record(tx)
            await tx.advance_offsets({tp: max(at, stored[tp]) for tp, at in batch.positions.items()})
            crash_point("turn.saved")
        crash_point("turn.committed")
        self._committed(outcome)
        self._count(found, outcome, fresh, monotonic() - began)
        return found.worked_seconds + outcome.worked_seconds

    async def _decided(self, tx: Transaction[A], first: Sequence[tuple[ConsumerRecord, Readable]]) -> Outcome:
        """The clock is asked once the accounts are locked: time never runs backwards for an account."""
        inputs = [readable.input for _, readable in first]
        accounts = await tx.load(await cases_meant(tx, self._service, inputs))
        try:
            return await decided(tx, self._service, self._write, accounts, inputs, await tx.now())
        except DecisionsFailed as failed:
            reasons = {}
            for at, error in failed.culprits.items():
                record, _ = first[at]
                _log.error("a decision failed; its record is set aside", **_ids(record), **told(error))
                reasons[_place(record)] = f"deciding failed: {type(error).__name__}"
            raise _RecordsFailed(reasons) from failed

    async def _sort(self, records: Sequence[ConsumerRecord], aside: Mapping[Place, str]) -> _Sorted:
        """Decode; tell what can be used from what is set aside and from what is not for us."""
        found = _Sorted()
        now = self._clock.now()
        decode, pass_over, prefix_length = self._decode, self._pass_over, self._prefix_length
        found.consumed.update([record.topic for record in records])
        stretch = Stretch()
        for record in records:
            if stretch.is_over:
                await stretch.pause()
            if self._is_unheard(record):
                found.passed_over[record.topic, NOT_WANTED] += 1
                continue
            decoded = decode(record.topic[prefix_length:], record.key, record.value, record.headers, now)
            match decoded:
                case Readable():
                    failure = aside.get((record.topic, record.partition, record.offset)) if aside else None
                    if failure is not None:
                        found.letters.append((record, DECISION_FAILED, failure, None))
                    elif (reason := pass_over(decoded.input)) is None:
                        found.readable.append((record, decoded))
                        if decoded.noted:
                            found.noted.update(decoded.noted)
                    else:
                        found.passed_over[record.topic, reason] += 1
                case Unreadable():
                    found.letters.append((record, decoded.reason, decoded.detail, decoded.masked_body))
                case PassedOver():
                    found.passed_over[record.topic, decoded.reason] += 1
        found.worked_seconds = stretch.worked_seconds
        return found

    def _is_unheard(self, record: ConsumerRecord) -> bool:
        """Told by a header, unread: of the stages two thirds are those of other tracks, and decoding costs the most."""
        sources = self._unheard.get(record.topic)
        return sources is not None and any(
            name == "ce_source" and content in sources for name, content in record.headers
        )

    async def _first_sightings(self, tx: Transaction[A], found: _Sorted) -> list[tuple[ConsumerRecord, Readable]]:
        """Of the readable ones, those that were not seen before under any of their names (rule 1).

        What is set aside here does not act, so the next one of this very turn that bears a name of it is the first.
        """
        sightings = [(s.key, s.content) for _, readable in found.readable for s in readable.sightings]
        if not sightings:
            return found.readable
        verdicts = iter(await tx.first_sightings(sightings))
        first = []
        free: set[int] = set()  # names that only messages bear which were set aside
        for record, readable in found.readable:
            keys = [sighting.key for sighting in readable.sightings]
            said = [_of_name(next(verdicts), free=key in free) for key in keys]
            if Verdict.CONFLICT in said:
                free.update(key for key, verdict in zip(keys, said, strict=True) if verdict is Verdict.FIRST)
                found.conflicts[record.topic] += 1
                what = readable.sightings[said.index(Verdict.CONFLICT)].what
                found.letters.append((record, CONFLICTING_DUPLICATE, conflict_detail(what), None))
                continue
            free.difference_update(keys)
            if Verdict.DUPLICATE in said:
                found.duplicates[record.topic] += 1
            else:
                first.append((record, readable))
        found.without_effect += free
        return first

    @staticmethod
    def _set_aside_rejected(found: _Sorted, first: Sequence[tuple[ConsumerRecord, Readable]], outcome: Outcome) -> None:
        for place, reason in outcome.rejected:
            record, readable = first[place]
            found.letters.append((record, reason, "", None))
            found.without_effect += [sighting.key for sighting in readable.sightings]

    def _letters(self, found: _Sorted) -> list[OutboxRow]:
        return [
            dead_letter(record, self._service.name, reason, detail, masked)
            for record, reason, detail, masked in found.letters
        ]

    def _count(self, found: _Sorted, outcome: Outcome, fresh: Sequence[ConsumerRecord], seconds: float) -> None:
        """Metrics, once a turn; latencies of the oldest and the newest record stand for all."""
        metrics = self._metrics
        metrics.last_turn.set(self._clock.now().timestamp())
        if not fresh:
            return
        metrics.handling.observe(seconds)
        metrics.batch.observe(len(fresh))
        now_ms = self._clock.now().timestamp() * 1000
        for record in (fresh[0], fresh[-1]):
            metrics.end_to_end.observe(max(0.0, now_ms - record.timestamp) / 1000)
        for topic, times in found.consumed.items():
            metrics.consumed.labels(topic).inc(times)
        for (topic, reason), times in found.passed_over.items():
            metrics.passed_over.labels(topic, reason).inc(times)
        for word, times in found.noted.items():
            metrics.noted.labels(word).inc(times)
        for topic, times in found.duplicates.items():
            metrics.duplicates.labels(topic).inc(times)
        outcome.count(metrics)
        self._tell_of_letters(found)

    def _tell_of_letters(self, found: _Sorted) -> None:
        for topic, times in found.conflicts.items():
            self._metrics.conflicts.labels(topic).inc(times)
            _log.error("the same key came again with another content", topic=topic, times=times)
        reasons = Counter((record.topic, reason) for record, reason, _, _ in found.letters)
        for (topic, reason), times in reasons.items():
            self._metrics.dead_letters.labels(topic, reason).inc(times)
        for record, reason, detail, _ in found.letters[:_LETTERS_LOGGED_MAX]:
            _log.warning("set aside", reason=reason, detail=detail, **_ids(record))


def _require_no_gap(batch: Batch, stored: Mapping[TopicPartition, int]) -> None:
    """A database that was restored, or a standby that took over too early, has an older offset than we stored. What
    lies between would be passed over for ever. Raises Fenced: the partition is placed anew, where the database says."""
    for tp, begin in batch.begins.items():
        if stored.get(tp, begin) < begin:
            at = f"{tp.topic}[{tp.partition}] was stored up to {begin}"
            raise Fenced(f"{at}, but the database has {stored[tp]}: it is older than we are")


def _of_name(verdict: Verdict, *, free: bool) -> Verdict:
    """The inbox knows the names of a whole turn at once, also those of messages that are set aside in it."""
    return Verdict.FIRST if free and verdict is Verdict.DUPLICATE else verdict


def _place(record: ConsumerRecord) -> Place:
    return record.topic, record.partition, record.offset


def _ids(record: ConsumerRecord) -> dict[str, Any]:
    """What a log line may say of a record: never its key or its body."""
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
