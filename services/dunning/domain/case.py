"""A case and an account as all three services keep them; each service adds its own track."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from dunning.domain.book import Book
from dunning.domain.business_days import business_days
from dunning.domain.calendar import Duration, zone_named
from dunning.domain.events import PolicyRef
from dunning.domain.facts import Facts
from dunning.domain.pauses import moved
from dunning.domain.policy import AT_ONCE, Anchor, Policy, Rung


@dataclass(slots=True)
class Shift:
    """A rung that came late moves those behind it: they keep their distance from its actual instant (rule 24)."""

    at: datetime
    rung_at: Duration


@dataclass(slots=True)
class Case:
    """An invoice's present case, or its last one. Pins are fixed when it opens (rule 13)."""

    invoice_id: str
    book: Book = field(default_factory=Book)
    case_id: str = ""  # empty until an invoice has its first case
    former_ids: list[str] = field(default_factory=list)  # of cases whose rungs count as done in this one (rule 7)
    number: int = 0
    open: bool = False
    opened_at: datetime | None = None
    closed_reason: str = ""
    policy: PolicyRef | None = None
    zone: str = "UTC"
    country: str = ""
    stage: str = "none"
    sequence: int = 0  # of the last transition of this service's track
    next_rung: int = 0  # index into the ladder: all before it happened or were passed
    shift: Shift | None = None
    next_at: datetime | None = None  # the earliest instant at which something is to be done
    due: datetime | None = None  # `next_at`, but never before the instant at which it was decided (rule 40)

    @property
    def due_at(self) -> datetime | None:
        """When to wake this case next."""
        return self.due

    @property
    def is_open(self) -> bool:
        """At hand with every input of the account: open, or terminated and not yet reinstated (rule 37)."""
        return self.open or self.book.terminated_at is not None

    @property
    def kept_longer(self) -> bool:
        """An invoice that had a case is remembered for longer, and so is one that was voided: its failures, whatever
        their time, change nothing (rules 9 and 10)."""
        return bool(self.case_id) or bool(self.book.ended)

    @property
    def pinned_zone(self) -> ZoneInfo:
        """The zone that all of the case's dates are reckoned in."""
        return zone_named(self.zone) or ZoneInfo("UTC")

    def goes_by(self, case_id: str) -> bool:
        """Whether this is the case of that id, now or before it was renumbered."""
        return case_id == self.case_id or case_id in self.former_ids

    def is_told_of(self, case_id: str, at: datetime | None) -> bool:
        """Whether news of a case, dated then, are of this one. Where a payment gave this one another number, its former
        id is that of the case before it, and peers that read the payment earlier mean that case by it: theirs is what
        was before the first failure of this one."""
        if case_id == self.case_id or not self.book.attempts:
            return self.goes_by(case_id)
        return case_id in self.former_ids and at is not None and at >= self.book.first.failed_at

    def anchor_at(self, policy: Policy) -> datetime:
        """What the ladder's dates count from: the first failure, or the due date where one is known (rule 11)."""
        due = self.book.due_at if policy.anchor is Anchor.DUE_DATE else None
        return due or self.book.attempts[0].failed_at

    def date_of(self, rung: Rung, policy: Policy, now: datetime | None = None) -> datetime:
        """When a rung is planned: moved by a rung before it that came late, then rolled (rule 24); 0d stays on any day.

        The rolled date is what pauses move (rule 27), for it is open until then; and that is rolled once more. A pause
        that has no end yet counts up to `now` where that is given, else not at all.
        """
        if self.shift is None:
            distance, start, since = rung.at, self.anchor_at(policy), self.book.attempts[0].failed_at
        else:
            distance, start, since = rung.at - self.shift.rung_at, self.shift.at, self.shift.at
        if policy.roll is None or rung.at == AT_ONCE:
            date = distance.after(start, self.pinned_zone)
            return self.moved(date, since, now) if self.book.marks else date
        days = business_days(policy.roll, self.country)
        date = days.after(distance, start, self.pinned_zone)
        moved = self.moved(date, since, now)
        return date if moved == date else days.after(AT_ONCE, moved, self.pinned_zone)

    def warned_at(self, rung: Rung, policy: Policy, delivered_at: datetime, now: datetime) -> datetime:
        """When the lead of a rung's warning is over, on a business day where `roll` says so (rule 25), after pauses.

        A `previous` business day would come before that, so it is the next one.
        """
        assert rung.lead is not None, "a rung with a warning has a lead"
        if policy.roll is None or rung.at == AT_ONCE:
            return self.moved(rung.lead.after(delivered_at, self.pinned_zone), delivered_at, now)
        days = business_days(policy.roll, self.country)
        date = days.next_after(rung.lead, delivered_at, self.pinned_zone)
        return days.next_after(AT_ONCE, self.moved(date, delivered_at, now), self.pinned_zone)

    def moved(self, date: datetime, since: datetime, now: datetime | None = None) -> datetime:
        """Where an open date that was set at `since` lies after pauses, disputes and extensions (rule 27).

        A pause that has no end yet counts up to `now` where that is given, else not at all.
        """
        return moved(date, since, self.book.marks, self.pinned_zone, now) if self.book.marks else date

    def held_until(self, policy: Policy) -> datetime | None:
        """While every failure was technical the rungs hold, until `technical_after` would be used up (rule 20)."""
        if policy.retries is None or not self.book.attempts or not self.book.all_technical():
            return None
        until = self.book.first.failed_at
        for distance in policy.retries.technical_after:
            until = distance.after(until, self.pinned_zone)
        return self.moved(until, self.book.first.failed_at)

    def plan_wake(self, at: datetime | None, now: datetime) -> None:
        """Set when to wake next. An instant that is past means now, so that the news is read up to now before."""
        if at != self.next_at:
            self.next_at = at
            self.due = max(at, now) if at is not None else None


C = TypeVar("C", bound=Case)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account owes on all its open cases together (rule 38)."""

    unpaid_invoices: int
    balance: Mapping[str, int]  # minor units by currency


@dataclass(slots=True)
class Account(Generic[C]):
    """One account as a service keeps it."""

    account_id: str
    facts: Facts = field(default_factory=Facts)
    cases: dict[str, C] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    changed: bool = False
    reckoned: Standing | None = None  # what `standing` says, until something happens
    shared: dict[str, Any] = field(default_factory=dict)  # state with keys of its own that the input at hand needs

    def open_cases(self) -> Iterator[C]:
        """Open cases in the order of their invoices."""
        return (case for _, case in sorted(self.cases.items()) if case.open)

    @property
    def is_terminated(self) -> bool:
        """Whether a termination stands that no reinstatement has lifted (rule 37)."""
        for case in self.cases.values():  # noqa: SIM110 - asked at every turn, and a generator costs more than the answer
            if case.book.terminated_at is not None:
                return True
        return False

    def standing(self) -> Standing:
        """How many invoices are unpaid, and what is owed on them. Reckoned once for all cases that ask."""
        if self.reckoned is None:
            balance: dict[str, int] = {}
            number = 0
            for case in self.open_cases():
                number += 1
                balance[case.book.currency] = balance.get(case.book.currency, 0) + case.book.amount_minor
            self.reckoned = Standing(number, balance)
        return self.reckoned
