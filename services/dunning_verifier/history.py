"""Everything that was seen of one run, sorted out: what went in, what came out, what was set aside, mailed and charged.

Made from records as a log has them (`History.of`), or from plain dicts that say only what matters (`record_of`), so
that tests and other tools can feed it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar

from dunning_verifier.customers import Customers
from dunning_verifier.envelope import PassedOver, Unwanted, open_record
from dunning_verifier.invoices import Ledger
from dunning_verifier.parse import parse
from dunning_verifier.pauses import Rests
from dunning_verifier.policy_file import Policies, Policy
from dunning_verifier.values import (
    READERS,
    SERVICES,
    Charge,
    DeadLetter,
    Failure,
    Input,
    Mail,
    Output,
    Record,
    Request,
    Result,
    Signal,
    Status,
    Success,
    Tolerance,
    Transition,
    Unreadable,
    Where,
)

_DEAD_LETTERS = ".dlq"
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_ORIGIN_HEADERS = ("dlq-topic", "dlq-partition", "dlq-offset")
O = TypeVar("O", bound=Output)  # noqa: E741


@dataclass
class History:
    """One run. Lists of outputs are in log order within a partition and hold repeated records too."""

    inputs: list[Input] = field(default_factory=list)  # each thing once, as first reported
    conflicts: list[Input] = field(default_factory=list)  # the same thing said differently, later in its partition
    unreadable: list[Unreadable] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    mails: list[Mail] | None = None  # None: nobody kept them
    charges: list[Charge] | None = None  # None: nobody kept a ledger
    policies: Policies = field(default_factory=Policies)
    tolerance: Tolerance = field(default_factory=Tolerance)
    settled: bool = False  # nothing was due or under way any more when it was read
    simulated: bool = False  # no log: no ids, no keys, no dead letters
    statuses_compacted: bool = False  # older words may be gone
    starts_at: datetime | None = None  # failures dated before it open nothing (rule 43)
    poison: dict[Where, str] = field(default_factory=dict)  # records known to be unreadable, by who made them
    repeated: int = 0
    passed_over: int = 0
    unsure: set[Where] = field(default_factory=set)
    ends_at: datetime = _BEFORE_ALL  # the newest timestamp of any record

    @classmethod
    def of(cls, records: Iterable[Record], **known: Any) -> "History":
        """From records of any topics; `known` are the other fields."""
        history = cls(**known)
        sorter = _Sorter(history)
        for record in sorted(records, key=lambda record: record.where):
            sorter.add(record)
        return history

    @cached_property
    def set_aside(self) -> dict[Where, set[str]]:
        """Which services set a record aside."""
        found: dict[Where, set[str]] = defaultdict(set)
        for letter in self.dead_letters:
            if letter.origin is not None:
                found[letter.origin].add(letter.service)
        return dict(found)

    @cached_property
    def ledger(self) -> Ledger:
        """What the inputs say of every invoice. Inputs that all services set aside say nothing."""
        ledger = Ledger()
        for event in self.inputs:
            refused = len(self.set_aside.get(event.where, ()))
            if refused == len(SERVICES):
                continue
            if refused or self._is_unsure(event):
                if isinstance(event, Failure | Success) or (isinstance(event, Signal) and event.invoice_id):
                    ledger.invoice(event.account_id, event.invoice_id or "").unsure += 1
            elif isinstance(event, Failure):
                ledger.enter_failure(event)
            elif isinstance(event, Success):
                ledger.enter_success(event)
            elif isinstance(event, Signal):
                ledger.enter_signal(event)
        ledger.number_cases({(m.account_id, m.invoice_id) for m in self.transitions if m.to_stage == "terminated"})
        return ledger

    def _is_unsure(self, event: Input) -> bool:
        """Whether it is open if this input took effect."""
        if not event.livemode or event.where in self.unsure:
            return True
        if isinstance(event, Failure) and self.starts_at is not None and event.time < self.starts_at:
            return True
        return self.simulated and event.doubtful is not None

    @cached_property
    def rests(self) -> Rests:
        """What the inputs say of pauses and disputes, those that everybody took in."""
        signals = (event for event in self.inputs if isinstance(event, Signal) and event.doubtful is None)
        return Rests.of(each for each in signals if each.where not in self.set_aside and not self._is_unsure(each))

    @cached_property
    def customers(self) -> Customers:
        """What the inputs say of the customers."""
        customers = Customers()
        for event in self.inputs:
            if event.where not in self.set_aside:
                customers.learn(event, event.customer)
        return customers

    @cached_property
    def by_case(self) -> dict[str, dict[str, list[Transition]]]:
        """Each case's transitions by track, in order, each once."""
        found: dict[str, dict[str, list[Transition]]] = defaultdict(lambda: defaultdict(list))
        for transition in once(self.transitions):
            found[transition.case_id][transition.track].append(transition)
        return {case_id: dict(tracks) for case_id, tracks in found.items()}

    def stage(self, case_id: str, track: str) -> str | None:
        """Where a track of a case stands at the end; None where it never moved."""
        moves = self.by_case.get(case_id, {}).get(track)
        return moves[-1].to_stage if moves else None

    def policy_of(self, case_id: str) -> Policy | None:
        """The policy that a case pinned, by what its transitions say."""
        tracks = self.by_case.get(case_id, {})
        return next((self.policies.by_ref.get(moves[0].policy) for moves in tracks.values()), None)

    @cached_property
    def terminated_accounts(self) -> set[str]:
        """Accounts that were terminated at any time: other rules hold for them (rule 37)."""
        return {move.account_id for move in self.transitions if move.to_stage == "terminated"}

    def is_empty(self) -> bool:
        """Whether there is nothing to verify: a verifier that looked at nothing must not be content."""
        outputs = (self.transitions, self.requests, self.results, self.statuses, self.dead_letters)
        return not any(outputs) and not (self.settled and self.inputs)


def once(outputs: Iterable[O]) -> list[O]:
    """Repeated records left out: those of the same id, or of the same content where there are no ids."""
    seen: dict[str, O] = {}
    for output in outputs:
        seen.setdefault(output.event_id or output.digest, output)
    return list(seen.values())


class _Sorter:
    """Puts records where they belong."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_identity: dict[tuple[Any, ...], Input] = {}
        self._by_event: dict[tuple[str, str], Input] = {}

    def add(self, record: Record) -> None:
        history = self._history
        history.ends_at = max(history.ends_at, record.logged_at)
        if record.where.topic.endswith(_DEAD_LETTERS):
            history.dead_letters.append(_dead_letter(record))
        elif record.where in history.poison:
            self._refuse(record, history.poison[record.where])
        elif record.where.topic in READERS:
            self._read(record)

    def _read(self, record: Record) -> None:
        history = self._history
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
        self._history.unreadable.append(Unreadable(record.where, record.logged_at, reason, record.value))

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
        elif before.where[:2] == value.where[:2]:
            self._history.conflicts.append(value)
        else:  # which of them was read first is anybody's guess
            self._history.unsure |= {before.where, value.where}
            self._history.inputs.append(value)


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
    )
