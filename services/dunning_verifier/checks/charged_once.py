"""Promise 5, the charges: at most one request per attempt, under a stable key, and none was charged twice."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from dunning_verifier.due import charge_due_at
from dunning_verifier.history import History
from dunning_verifier.values import Charge, Failure, Request, Success, Violation, either

PROMISE = 5
_REVOKED = {"recovered", "cancelled", "paused"}


def check(history: History) -> Iterator[Violation]:
    """Requests by themselves, requests after one another, and the ledger of what was really charged."""
    requests = history.requests_once
    yield from _one_per_attempt(requests)
    yield from _named_and_priced(history, requests)
    yield from _one_after_another(history, requests)
    if history.charges is not None:
        yield from _ledger(history, history.charges, {request.retry_id: request for request in requests})


def _one_per_attempt(requests: list[Request]) -> Iterator[Violation]:
    first: dict[tuple[str, str, int], Request] = {}
    for request in requests:
        known = first.setdefault((request.account_id, request.invoice_id, request.attempt_number), request)
        if known is not request:
            what = f"attempt {request.attempt_number} of invoice {request.invoice_id} requested before at {known.where}"
            yield _violation(what, request)


def _named_and_priced(history: History, requests: list[Request]) -> Iterator[Violation]:
    for request in requests:
        if request.retry_id != f"{request.case_id}:{request.attempt_number}":
            yield _violation(f"retry_id is {request.retry_id}", request)
        if request.not_after < request.not_before:
            yield _violation("not_after lies before not_before", request)
        case = history.ledger.cases.get(request.case_id)
        if case is None or not case.invoice.is_certain:
            continue
        read_before = history.tolerance.read_before(charge_due_at(history, request), request.happened_at)
        read_at_most = request.happened_at + history.tolerance.skew
        owed = case.invoice.amounts_owed(case.number, read_before, read_at_most)
        if owed and request.amount_minor not in owed:
            expected = " or ".join(map(str, sorted(owed)))
            yield _violation(f"asks for {request.amount_minor} {request.currency}, but {expected} remained", request)
        yield from _of_its_invoice(request, case.invoice.failures)
        used = [failure for failure in case.invoice.failures if failure.logged_at < read_before]
        if any(failure.attempt_number >= request.attempt_number for failure in used):
            yield _violation(f"attempt {request.attempt_number} had been made already", request)


def _of_its_invoice(request: Request, failures: Sequence[Failure]) -> Iterator[Violation]:
    currencies, payments = {each.currency for each in failures}, {each.payment_id for each in failures}
    if request.currency not in currencies:
        told = f"asks for {request.amount_minor} {request.currency}, but the invoice is in {either(currencies)}"
        yield _violation(told, request)
    if request.payment_id not in payments:
        told = f"asks to charge payment {request.payment_id}, but the invoice's is {either(payments)}"
        yield _violation(told, request)


def _one_after_another(history: History, requests: list[Request]) -> Iterator[Violation]:
    """No second request of a case before the first was answered, revoked, or out of time (rule 14)."""
    by_case: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        by_case[request.case_id].append(request)
    answers = _Answers(history)
    for case_id, asked in by_case.items():
        for former, later in pairwise(asked):
            now = later.happened_at + history.tolerance.skew
            if now >= former.not_after or answers.to(former, now) or _revoked(history, case_id, former, later):
                continue
            what = f"requested before {former.retry_id} was answered; that one stood until {former.not_after}"
            yield _violation(what, later)


class _Answers:
    """Inputs that answer a request: by its id, or else by payment and attempt number (rule 15)."""

    def __init__(self, history: History) -> None:
        self._by_id: dict[str, list[Failure | Success]] = defaultdict(list)
        self._by_attempt: dict[tuple[str, str, int | None], list[Failure | Success]] = defaultdict(list)
        for event in history.inputs:
            if isinstance(event, Failure | Success):
                if event.retry_id:
                    self._by_id[event.retry_id].append(event)
                key = (event.account_id, event.invoice_id, event.attempt_number)
                self._by_attempt[key].append(event)

    def to(self, request: Request, until: datetime) -> bool:
        """Whether an answer could be read by then."""
        key = (request.account_id, request.invoice_id, request.attempt_number)
        found = [*self._by_id.get(request.retry_id, ()), *self._by_attempt.get(key, ())]
        return any(event.logged_at <= until for event in found)


def _revoked(history: History, case_id: str, former: Request, later: Request) -> bool:
    slack = history.tolerance.skew
    return any(
        move.to_stage in _REVOKED and former.happened_at - slack <= move.effective_at <= later.happened_at + slack
        for move in history.by_case.get(case_id, {}).get("retry", ())
    )


def _ledger(history: History, charges: list[Charge], requests: dict[str, Request]) -> Iterator[Violation]:
    first: dict[str, Charge] = {}
    for charge in charges:
        where = f"ledger line {charge.line}"
        known = first.setdefault(charge.retry_id, charge)
        request = requests.get(charge.retry_id)
        account_id, case_id = (request.account_id, request.case_id) if request else (None, None)
        if known is not charge:
            what = f"{charge.retry_id} was charged twice, first at ledger line {known.line}"
            yield Violation(PROMISE, what, where, account_id, case_id)
        if request is None:
            yield Violation(PROMISE, f"{charge.retry_id} was charged, but never requested", where)
            continue
        if charge.at >= request.not_after:
            what = f"charged at {charge.at.isoformat()}, after it was out of time at {request.not_after.isoformat()}"
            yield Violation(PROMISE, what, where, account_id, case_id)
        if charge.at < request.not_before - history.tolerance.skew:
            yield Violation(PROMISE, f"charged at {charge.at.isoformat()}, too early", where, account_id, case_id)
        if charge.invoice_id != request.invoice_id:
            what = f"charged for invoice {charge.invoice_id}, asked was for {request.invoice_id}"
            yield Violation(PROMISE, what, where, account_id, case_id)
        if (charge.amount_minor, charge.currency) != (request.amount_minor, request.currency):
            what = f"charged {charge.amount_minor} {charge.currency}, asked were {request.amount_minor}"
            yield Violation(PROMISE, what, where, account_id, case_id)


def _violation(what: str, request: Request) -> Violation:
    return Violation(PROMISE, what, request.where, request.account_id, request.case_id)
