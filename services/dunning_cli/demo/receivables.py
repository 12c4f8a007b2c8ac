"""Real invoices with due and settlement dates, as events: who paid late, and by how much, really happened. Pure.

The file and what its columns mean is described in `tests/data/README.md`. Replayed with days of their own length, an
invoice keeps how late it was; when it was due is squeezed into a window.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED
from dunning.domain.calendar import rfc3339
from dunning_cli.demo.decline_mix import OVERDUE

CURRENCY = "EUR"  # the file names none
DUE_TIME, SETTLED_TIME = time(9, tzinfo=UTC), time(8, tzinfo=UTC)
_PAID_BEFORE_DAYS = 0.25  # in shortened days: how long before the full day a settlement comes


@dataclass(frozen=True, slots=True)
class Receivable:
    """One line of the file."""

    customer_id: str
    invoice_id: str
    due_on: date
    settled_on: date
    amount_minor: int

    @property
    def days_late(self) -> int:
        """Days from the due date to the settlement; below zero for those who paid early."""
        return (self.settled_on - self.due_on).days


@dataclass(frozen=True, slots=True)
class Fact:
    """An event at its time."""

    at: datetime
    topic: str
    data: Mapping[str, Any]


def read_receivables(lines: Iterable[str]) -> list[Receivable]:
    """All lines, in the order of the file."""
    return [
        Receivable(
            customer_id=row["customer_id"],
            invoice_id=row["invoice_id"],
            due_on=date.fromisoformat(row["due_on"]),
            settled_on=date.fromisoformat(row["settled_on"]),
            amount_minor=int(Decimal(row["amount"]) * 100),
        )
        for row in csv.DictReader(lines)
    ]


def reached_by(receivables: Iterable[Receivable], rung_days: int) -> set[str]:
    """The invoices that reach a rung at so many days: those that were settled later than that."""
    return {receivable.invoice_id for receivable in receivables if receivable.days_late > rung_days}


def as_it_was(receivables: Iterable[Receivable]) -> list[Fact]:
    """The events on their own dates, in the order of time."""
    facts = [fact for receivable in receivables for fact in _facts(receivable, *_real_times(receivable))]
    return sorted(facts, key=lambda fact: fact.at)


def shortened(
    receivables: Sequence[Receivable], starts_at: datetime, day_seconds: float, window_seconds: float
) -> list[Fact]:
    """The events with days of this length, all due within a window. The same invoices reach a rung as before.

    A settlement comes a quarter of a day before the full day, so that neither a slow sender nor a service that is late
    by less than three quarters of a day turns the order around.
    """
    facts: list[Fact] = []
    first, last = min(one.due_on for one in receivables), max(one.due_on for one in receivables)
    for receivable in receivables:
        share = (receivable.due_on - first) / max(last - first, timedelta(days=1))
        due_at = starts_at + timedelta(seconds=share * window_seconds)
        days = max(receivable.days_late - _PAID_BEFORE_DAYS, -1.0)
        settled_at = due_at + timedelta(seconds=days * day_seconds)
        facts.extend(_facts(receivable, due_at, settled_at))
    return sorted(facts, key=lambda fact: fact.at)


def _real_times(receivable: Receivable) -> tuple[datetime, datetime]:
    due_at = datetime.combine(receivable.due_on, DUE_TIME)
    return due_at, datetime.combine(receivable.settled_on, SETTLED_TIME)


def _facts(receivable: Receivable, due_at: datetime, settled_at: datetime) -> Iterator[Fact]:
    """Overdue only where it was not settled by then; everybody pays in the end."""
    if settled_at > due_at:
        yield Fact(due_at, PAYMENT_FAILED, _overdue(receivable, due_at))
    yield Fact(settled_at, PAYMENT_SUCCEEDED, _settled(receivable, settled_at))


def _overdue(receivable: Receivable, due_at: datetime) -> dict[str, Any]:
    return {
        "payment_id": f"pay_{receivable.invoice_id}",
        "attempt_number": 1,
        "account_id": receivable.customer_id,
        "invoice": {
            "id": receivable.invoice_id,
            "amount_due_minor": receivable.amount_minor,
            "due_at": rfc3339(due_at),
        },
        "amount_minor": receivable.amount_minor,
        "currency": CURRENCY,
        "failed_at": rfc3339(due_at),
        "failure": {"code": OVERDUE},
        "customer": {
            "id": receivable.customer_id,
            "email": f"{receivable.customer_id.lower()}@example.com",
            "timezone": "UTC",
        },
        "payment_method": {"type": "bank_transfer"},
    }


def _settled(receivable: Receivable, settled_at: datetime) -> dict[str, Any]:
    return {
        "payment_id": f"pay_{receivable.invoice_id}",
        "account_id": receivable.customer_id,
        "invoice": {"id": receivable.invoice_id, "amount_remaining_minor": 0},
        "amount_minor": receivable.amount_minor,
        "currency": CURRENCY,
        "succeeded_at": rfc3339(settled_at),
        "initiated_by": "customer",
    }
