"""Everything that was seen of one run, sorted out: what went in, what came out, what was set aside, mailed and charged.

Made from records as a log has them (`History.of`), or from plain dicts that say only what matters (`record_of`), so
that tests and other tools can feed it.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from dunning_verifier.customers import Customers
from dunning_verifier.databases import Tables
from dunning_verifier.invoices import Ledger
from dunning_verifier.pauses import Rests
from dunning_verifier.policy_file import Policies, Policy
from dunning_verifier.replays import Replay
from dunning_verifier.sorting import Sorter
from dunning_verifier.values import (
    BEFORE_ALL,
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
    replays: list[Replay] = field(default_factory=list)  # dead letters that were given back and took effect
    murky_accounts: frozenset[str] = frozenset()  # accounts for which something was replayed that nobody kept
    poison: dict[Where, str] = field(default_factory=dict)  # records known to be unreadable, by who made them
    repeated: int = 0
    passed_over: int = 0
    unsure: set[Where] = field(default_factory=set)
    replayed: dict[Where, frozenset[str]] = field(default_factory=dict)  # by origin, the services that did
    ends_at: datetime = BEFORE_ALL  # the newest timestamp of any record
    tables: Tables | None = None  # what the services' databases held; None: nobody looked
    log_ends: dict[tuple[str, int], int] = field(default_factory=dict)  # by topic and partition, the next offset
    last_offsets: dict[tuple[str, int], int] = field(default_factory=dict)  # the last record that was read

    @classmethod
    def of(cls, records: Iterable[Record], **known: Any) -> "History":
        """From records of any topics; `known` are the other fields."""
        history = cls(**known)
        sorter = Sorter(history)
        for record in sorted(records, key=_by_time if history.simulated else _by_place):
            sorter.add(record)
        sorter.take_replays()
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
    def refused(self) -> dict[Where, set[str]]:
        """Which services set a record aside for good: they did not read it in a replay."""
        left = {where: services - self.replayed.get(where, frozenset()) for where, services in self.set_aside.items()}
        found = {where: services for where, services in left.items() if services}
        found.update((where, set(SERVICES)) for where, surely in self._without_policy.items() if surely)
        return found

    @cached_property
    def _without_policy(self) -> dict[Where, bool]:
        """In a simulation, whose dead letters are lines on standard error: failures that surely no policy takes, nor
        anything else of their invoice, whatever the country (True), and those that some country leaves without one."""
        if not self.simulated:
            return {}
        countries: dict[str, set[str | None]] = defaultdict(lambda: {None})
        failures: dict[tuple[str, str], list[Failure]] = defaultdict(list)
        for event in self.inputs:
            if isinstance(event.customer.get("country"), str):
                countries[event.account_id].add(event.customer["country"])
            if isinstance(event, Failure):
                failures[event.account_id, event.invoice_id].append(event)
        found: dict[Where, bool] = {}
        for (account_id, _), together in failures.items():
            taken = {
                failure.where: [bool(self.policies.choose(failure, country)) for country in countries[account_id]]
                for failure in together
            }
            nothing = not any(any(each) for each in taken.values())
            found.update((where, nothing) for where, each in taken.items() if not all(each))
        return found

    @cached_property
    def transitions_once(self) -> list[Transition]:
        """Without what was published again."""
        return once(self.transitions)

    @cached_property
    def requests_once(self) -> list[Request]:
        """Without what was published again."""
        return once(self.requests)

    @cached_property
    def results_once(self) -> list[Result]:
        """Without what was published again."""
        return once(self.results)

    @cached_property
    def statuses_once(self) -> list[Status]:
        """Without what was published again."""
        return once(self.statuses)

    @cached_property
    def last_statuses(self) -> dict[str, Status]:
        """The last word on every account."""
        return {status.account_id: status for status in self.statuses}

    @cached_property
    def doubted(self) -> frozenset[str]:
        """Accounts of which some input may not have taken effect in all services alike."""
        return self.murky_accounts | {event.account_id for event in self.inputs if self.is_doubtful(event)}

    @cached_property
    def ledger(self) -> Ledger:
        """What the inputs say of every invoice. Inputs that all services set aside say nothing, and failures before the
        start are no part of any case (rule 43)."""
        ledger = Ledger()
        for event in self.inputs:
            refused = len(self.refused.get(event.where, ()))
            if self.is_before_start(event) or (refused == len(SERVICES) and event.where not in self._without_policy):
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
        for invoice in ledger.invoices.values():
            invoice.unsure += invoice.account_id in self.murky_accounts
        ledger.number_cases({(m.account_id, m.invoice_id) for m in self.transitions if m.to_stage == "terminated"})
        return ledger

    def is_before_start(self, event: Input) -> bool:
        """Whether it is a failure that opens no case, nor is part of one."""
        return isinstance(event, Failure) and self.starts_at is not None and event.time < self.starts_at

    def _is_unsure(self, event: Input) -> bool:
        """Whether it is open if this input took effect, or since when: each service replays when it is told to."""
        if not event.livemode or event.where in self.unsure or event.where in self.replayed:
            return True
        return self.simulated and (event.doubtful is not None or event.where in self._without_policy)

    def is_doubtful(self, event: Input) -> bool:
        """Whether it is open, at the end, if this input took effect in all services alike."""
        refused = len(self.refused.get(event.where, ()))
        if event.where in self.replayed and event.where not in self.unsure and event.livemode:
            return refused > 0
        return 0 < refused < len(SERVICES) or self._is_unsure(event)

    @cached_property
    def rests(self) -> Rests:
        """What the inputs say of pauses and disputes, those that everybody took in."""
        signals = (event for event in self.inputs if isinstance(event, Signal) and event.doubtful is None)
        return Rests.of(each for each in signals if each.where not in self.refused and not self._is_unsure(each))

    def signals_of(self, account_id: str) -> list[Signal]:
        """All signals of an account, whatever became of them."""
        return self._signals_by_account.get(account_id, [])

    @cached_property
    def _signals_by_account(self) -> dict[str, list[Signal]]:
        return {
            account_id: [event for event in events if isinstance(event, Signal)]
            for account_id, events in self._inputs_by_account.items()
        }

    @cached_property
    def terminated_at(self) -> dict[tuple[str, str], datetime]:
        """By account and invoice: when the first of its cases was terminated."""
        first: dict[tuple[str, str], datetime] = {}
        for move in self.transitions:
            if move.to_stage == "terminated":
                invoice = move.account_id, move.invoice_id
                first[invoice] = min(move.effective_at, first.get(invoice, move.effective_at))
        return first

    def was_reinstated(self, account_id: str, until: datetime) -> bool:
        """Whether a reinstatement of the account was in the log by then."""
        signals = self.signals_of(account_id)
        return any(signal.kind == "account.reinstated" and signal.logged_at <= until for signal in signals)

    @cached_property
    def _inputs_by_account(self) -> dict[str, list[Input]]:
        found: dict[str, list[Input]] = defaultdict(list)
        for event in self.inputs:
            found[event.account_id].append(event)
        return dict(found)

    def inputs_of(self, account_id: str) -> list[Input]:
        """All inputs of an account, whatever became of them."""
        return self._inputs_by_account.get(account_id, [])

    def payments_of(self, account_id: str, invoice_id: str) -> list[Failure | Success]:
        """All failures and successes of an invoice, whatever became of them."""
        payments = (event for event in self.inputs_of(account_id) if isinstance(event, Failure | Success))
        return [event for event in payments if event.invoice_id == invoice_id]

    @cached_property
    def customers(self) -> Customers:
        """What the inputs say of the customers."""
        customers = Customers()
        for event in self.inputs:
            if event.where not in self.refused:
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
        return {account_id for account_id, _ in self.terminated_at}

    def is_empty(self) -> bool:
        """Whether there is nothing to verify: a verifier that looked at nothing must not be content."""
        outputs = (self.transitions, self.requests, self.results, self.statuses, self.dead_letters)
        return not any(outputs) and not (self.settled and self.inputs)


def _by_place(record: Record) -> tuple[Any, ...]:
    return record.where


def _by_time(record: Record) -> tuple[Any, ...]:
    """A simulation takes its lines by their time, in whatever order they stand in the file."""
    return record.logged_at, record.where


def once(outputs: Iterable[O]) -> list[O]:
    """Repeated records left out: those of the same id, or of the same content where there are no ids."""
    seen: dict[str, O] = {}
    for output in outputs:
        seen.setdefault(output.event_id or output.digest, output)
    return list(seen.values())
