"""What is owed, wherever it is told: promise 10's words agree with the inputs, not only the last one (rule 11).

What is said because something was read may be said by a service that was away and reads one topic before the other: so
it may tell of any amount ever said, and what is due right behind it, too.
"""

from collections.abc import Iterator
from datetime import datetime

from dunning_verifier.history import History
from dunning_verifier.invoices import Invoice
from dunning_verifier.values import Output, Violation, either

PROMISE = 10


def check(history: History) -> Iterator[Violation]:
    """Amount and currency of every transition, and of every line of a status."""
    for move in history.transitions_once:
        yield from _told(history, move, move.case_id, (move.amount_minor, move.currency), move.effective_at)
    for status in history.statuses_once:
        for line in status.open_cases:
            told = line.amount_minor, line.currency
            yield from _told(history, status, line.case_id, told, status.happened_at)


def _told(history: History, output: Output, case_id: str, told: tuple[int, str], at: datetime) -> Iterator[Violation]:
    case = history.ledger.cases.get(case_id)
    if case is None or not case.invoice.is_certain:
        return
    amount_minor, currency = told
    currencies = {failure.currency for failure in case.invoice.failures}
    if currency not in currencies:
        what = f"tells of {amount_minor} {currency}, but the invoice is in {either(currencies)}"
        yield Violation(PROMISE, what, output.where, output.account_id, case_id)
    owed = _ever_said(case.invoice, at + history.tolerance.skew)
    if owed and amount_minor not in owed:
        what = f"tells of {amount_minor} {currency}, but {either(map(str, owed))} remained"
        yield Violation(PROMISE, what, output.where, output.account_id, case_id)


def _ever_said(invoice: Invoice, read_at_most: datetime) -> set[int]:
    words = {word.amount_minor for word in invoice.remainders if word.logged_at <= read_at_most}
    return words | {each.amount_due_minor for each in invoice.failures if each.logged_at <= read_at_most}
