"""What should have become of each invoice, reckoned from the inputs alone (rules 7 to 11).

Case numbers follow from closings: a failure belongs to the case whose number is one more than the full payments dated
before it. A service that has not read all of them yet numbers lower, for a while; so the answers here are about sets:
what had to be known at an instant, and what could have been.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5

from dunning_verifier.values import Failure, Signal, Success


class Closing(NamedTuple):
    """A full payment, a void or a write-off: when it was made, and when it could first be read."""

    at: datetime
    logged_at: datetime


class Remainder(NamedTuple):
    """A word on what is left to pay."""

    at: datetime
    logged_at: datetime
    amount_minor: int


class After(NamedTuple):
    """Is an instant after this one; everything is after None."""

    instant: datetime | None

    def __call__(self, at: datetime) -> bool:
        return self.instant is None or at > self.instant


def case_id_of(account_id: str, invoice_id: str, number: int) -> str:
    """Rule 8, once more."""
    return str(uuid5(NAMESPACE_URL, f"{account_id}/{invoice_id}/{number}"))


@dataclass(slots=True)
class Invoice:
    """One invoice's inputs, each counted once."""

    account_id: str
    invoice_id: str
    failures: list[Failure] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    remainders: list[Remainder] = field(default_factory=list)
    endings: list[Closing] = field(default_factory=list)  # voids and write-offs: nothing opens any more (rule 10)
    reinstatements: int = 0
    unsure: int = 0  # inputs that a careful reader may have refused: nothing strict is asked then

    def case_id(self, number: int) -> str:
        """The id of the invoice's n-th case."""
        return case_id_of(self.account_id, self.invoice_id, number)

    @property
    def ended(self) -> bool:
        """Whether it was voided or written off."""
        return bool(self.endings)

    @property
    def is_certain(self) -> bool:
        """Whether its failures are known, and all that follows from them."""
        return not self.unsure and not self.reinstatements and bool(self.failures)

    def had_ended(self, read_before: datetime) -> bool:
        """Whether a service had to know that it was voided or written off."""
        return any(ending.logged_at < read_before for ending in self.endings)

    def numbers(self) -> range:
        """Every case number that this invoice can have had."""
        return range(1, 2 + len(self.closings) + self.reinstatements + self.unsure)

    def unpaid(self) -> list[Failure]:
        """The failures after the last full payment; success wins at one instant (rule 10)."""
        last = max((closing.at for closing in self.closings), default=None)
        return [failure for failure in self.failures if last is None or failure.time > last]

    def open_numbers(self) -> range:
        """The number of the open case. Two payments of one instant may count once or twice."""
        return range(1 + len({closing.at for closing in self.closings}), 2 + len(self.closings))

    def paid_in_full(self, number: int) -> bool:
        """Whether a case of this number is closed by money, all inputs read."""
        return len({closing.at for closing in self.closings}) >= number

    def could_be_open(self, number: int, read_before: datetime, read_at_most: datetime) -> bool:
        """Whether a service may have held this case for open: it had read all that was logged before `read_before`
        and nothing that was logged after `read_at_most`."""
        known = {closing.at for closing in self.closings if closing.logged_at < read_before}
        possible = sum(1 for closing in self.closings if closing.logged_at <= read_at_most)
        if len(known) >= number or possible < number - 1:
            return False
        last = max(known, default=None)
        return any(
            failure.logged_at <= read_at_most and (last is None or failure.time > last) for failure in self.failures
        )

    def empty_before(self, number: int) -> Iterator[int]:
        """This number and those before it whose cases held no failure of their own: their notices count as done in the
        case that followed (rule 7)."""
        held = {1 + sum(1 for closing in self.closings if closing.at < failure.time) for failure in self.failures}
        yield number
        for former in range(number - 1, 0, -1):
            if former in held:
                return
            yield former

    def amounts_owed(self, number: int, read_before: datetime, read_at_most: datetime) -> set[int]:
        """What may have been left to pay on a case, as far as its service had to know and could know (rule 11)."""
        started = self._after(number - 1, read_before, read_at_most)
        failures = [failure for failure in self._logged(self.failures, read_at_most) if started(failure.time)]
        words = [word for word in self.remainders if word.logged_at <= read_at_most and started(word.at)]
        certain = [word for word in words if word.logged_at < read_before]
        newest = max((word.at for word in certain), default=None)
        amounts = {word.amount_minor for word in words if newest is None or word.at >= newest}
        first_certain = min((failure.time for failure in failures if failure.logged_at < read_before), default=None)
        for failure in failures:
            earliest = first_certain is None or failure.time <= first_certain
            if earliest and (newest is None or failure.time >= newest):
                amounts.add(failure.amount_due_minor)
        return amounts

    def _after(self, closings: int, read_before: datetime, read_at_most: datetime) -> After:
        """What lies after so many closings. A case of the next number means that so many were read: the last of them is
        no earlier than it would be if they were the first that could be, and no earlier than any that had to be."""
        possible = sorted(closing.at for closing in self.closings if closing.logged_at <= read_at_most)
        certain = sorted(closing.at for closing in self.closings if closing.logged_at < read_before)
        bounds = [ordered[min(closings, len(ordered)) - 1] for ordered in (possible, certain) if closings and ordered]
        return After(max(bounds, default=None))

    @staticmethod
    def _logged(failures: Iterable[Failure], until: datetime) -> list[Failure]:
        return [failure for failure in failures if failure.logged_at <= until]


class CaseRef(NamedTuple):
    """Which case an id means."""

    invoice: Invoice
    number: int


@dataclass(slots=True)
class Ledger:
    """All invoices, and the cases they can have."""

    invoices: dict[tuple[str, str], Invoice] = field(default_factory=dict)
    cases: dict[str, CaseRef] = field(default_factory=dict)
    reinstated: Counter[str] = field(default_factory=Counter)  # accounts, how often

    def invoice(self, account_id: str, invoice_id: str) -> Invoice:
        """The invoice, known before or not."""
        key = (account_id, invoice_id)
        if key not in self.invoices:
            self.invoices[key] = Invoice(account_id, invoice_id)
        return self.invoices[key]

    def number_cases(self, terminated: Set[tuple[str, str]]) -> None:
        """Reckon all ids, when everything was entered. A reinstatement closes what was terminated (rule 8)."""
        for key, invoice in self.invoices.items():
            invoice.reinstatements = self.reinstated[invoice.account_id] if key in terminated else 0
            for number in invoice.numbers():
                self.cases[invoice.case_id(number)] = CaseRef(invoice, number)

    def enter_failure(self, failure: Failure) -> None:
        """An unpaid attempt, or a due payment that never came."""
        self.invoice(failure.account_id, failure.invoice_id).failures.append(failure)

    def enter_success(self, success: Success) -> None:
        """Money, in full or in part."""
        invoice = self.invoice(success.account_id, success.invoice_id)
        self._enter_remaining(invoice, success.time, success.logged_at, success.amount_remaining_minor)

    def enter_signal(self, signal: Signal) -> None:
        """A signal, as far as it is about what is owed."""
        if signal.kind == "account.reinstated":
            self.reinstated[signal.account_id] += 1
        if signal.invoice_id is None:
            return
        invoice = self.invoice(signal.account_id, signal.invoice_id)
        if signal.kind in ("invoice.voided", "case.closed"):
            invoice.endings.append(Closing(signal.time, signal.logged_at))
        elif signal.kind == "invoice.adjusted":
            remaining = signal.data["invoice"]["amount_remaining_minor"]
            self._enter_remaining(invoice, signal.time, signal.logged_at, remaining)

    @staticmethod
    def _enter_remaining(invoice: Invoice, at: datetime, logged_at: datetime, remaining_minor: int) -> None:
        if remaining_minor == 0:
            invoice.closings.append(Closing(at, logged_at))
        else:
            invoice.remainders.append(Remainder(at, logged_at, remaining_minor))
