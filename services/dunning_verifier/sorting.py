"""Puts records where they belong: inputs, each once, outputs, dead letters, and what nobody can read."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dunning_verifier.envelope import PassedOver, Unwanted, open_record
from dunning_verifier.parse import parse
from dunning_verifier.replays import Replayed
from dunning_verifier.values import (
    READERS,
    DeadLetter,
    Input,
    Record,
    Request,
    Result,
    Status,
    Transition,
    Unreadable,
    Where,
)

if TYPE_CHECKING:
    from dunning_verifier.history import History

_DEAD_LETTERS = ".dlq"
_ORIGIN_HEADERS = ("dlq-topic", "dlq-partition", "dlq-offset")


class Sorter:
    """Fills a history, record by record in the order of the log."""

    def __init__(self, history: "History") -> None:
        self._history = history
        self._by_identity: dict[tuple[Any, ...], Input] = {}
        self._by_event: dict[tuple[str, str], Input] = {}
        self._records: dict[Where, Record] = {}

    def add(self, record: Record) -> None:
        """One record of any topic; those of other topics are left out."""
        history = self._history
        history.ends_at = max(history.ends_at, record.logged_at)
        history.last_offsets[record.where[:2]] = record.where.offset
        if record.where.topic.endswith(_DEAD_LETTERS):
            history.dead_letters.append(_dead_letter(record))
        elif record.where in history.poison:
            self._refuse(record, history.poison[record.where])
        elif record.where.topic in READERS:
            self._read(record)

    def take_replays(self) -> None:
        """What was read in replays, when everything else was taken in: it took effect, so it contradicts nothing."""
        history = self._history
        if not history.replays:
            return
        letters = {letter.where: letter for letter in history.dead_letters}
        replayed = Replayed.of(history.replays, letters, self._records)
        history.replayed, murky = dict(replayed.services), set(replayed.murky_accounts)
        for record in replayed.records:
            history.inputs = [event for event in history.inputs if event.where != record.where]
            try:
                value = parse(open_record(record))
            except (PassedOver, Unwanted):
                murky.add(record.key or "")
            else:
                if isinstance(value, Input):
                    history.inputs.append(value)
        history.murky_accounts = frozenset(murky)

    def _read(self, record: Record) -> None:
        history = self._history
        self._records[record.where] = record
        try:
            value = parse(open_record(record))
        except PassedOver:
            history.passed_over += 1
        except Unwanted as refusal:
            self._refuse(record, str(refusal))
        else:
            match value:
                case Input():
                    self._take_input(value)
                case Transition():
                    history.transitions.append(value)
                case Request():
                    history.requests.append(value)
                case Result():
                    history.results.append(value)
                case Status():
                    history.statuses.append(value)

    def _refuse(self, record: Record, reason: str) -> None:
        self._records[record.where] = record
        self._history.unreadable.append(Unreadable(record.where, record.logged_at, reason, record.value, record.key))

    def _take_input(self, value: Input) -> None:
        """Rule 1: the same thing again is counted, the same thing said differently is a conflict."""
        first = self._by_identity.get(value.identity)
        namesake = self._by_event.get(value.event) if value.event else None
        if first is None and namesake is None:
            self._by_identity[value.identity] = value
            if value.event:
                self._by_event[value.event] = value
            self._history.inputs.append(value)
            return
        before = first or namesake
        assert before is not None
        if before.identity == value.identity and before.content == value.content:
            self._history.repeated += 1
            if value.event:
                self._by_event.setdefault(value.event, before)
            if value.logged_at < before.logged_at:
                self._was_there(before, value.logged_at)
        elif before.where[:2] == value.where[:2]:
            self._history.conflicts.append(value)
        else:  # which of them was read first is anybody's guess
            self._history.unsure |= {before.where, value.where}
            self._history.inputs.append(value)

    def _was_there(self, known: Input, logged_at: datetime) -> None:
        """The same thing lay in another partition before: whoever acts on it may have read it there."""
        earlier = replace(known, logged_at=logged_at)
        self._history.inputs = [earlier if each is known else each for each in self._history.inputs]
        self._by_identity = {key: earlier if each is known else each for key, each in self._by_identity.items()}
        self._by_event = {key: earlier if each is known else each for key, each in self._by_event.items()}


def _dead_letter(record: Record) -> DeadLetter:
    name = record.where.topic.removesuffix(_DEAD_LETTERS)
    topic, partition, offset = (record.header(header) for header in _ORIGIN_HEADERS)
    origin = None
    if topic and partition and offset and partition.isdigit() and offset.isdigit():
        own_topic = name.rpartition(".")[0]
        origin = Where(own_topic if topic.endswith(own_topic) else topic, int(partition), int(offset))
    return DeadLetter(
        where=record.where,
        service=name.rpartition(".")[2],
        origin=origin,
        reason=record.header("dlq-reason"),
        value=record.value,
        key=record.key,
        headers=record.headers,
    )
