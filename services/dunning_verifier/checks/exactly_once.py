"""Promise 1: every input takes effect exactly once, as far as that shows from outside."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from dunning_verifier.expected import open_cases
from dunning_verifier.history import History
from dunning_verifier.values import Output, Request, Result, Transition, Violation

PROMISE = 1


def check(history: History) -> Iterator[Violation]:
    """Ids mean one event, sequences one event, case ids the cases that the inputs make, recoveries a payment."""
    yield from _one_content_per_id(history)
    yield from _one_event_per_sequence(history)
    yield from _right_cases(history)
    yield from _recovered_by_money(history)
    if history.settled:
        yield from _known_to_all_services(history)


def _one_content_per_id(history: History) -> Iterator[Violation]:
    first: dict[str, Output] = {}
    for output in chain[Output](history.transitions, history.requests, history.results, history.statuses):
        if output.event_id is None:
            continue
        known = first.setdefault(output.event_id, output)
        if (known.digest, known.where.topic) != (output.digest, output.where.topic):
            what = f"event {output.event_id} was published before with another content, at {known.where}"
            yield _violation(what, output)


def _one_event_per_sequence(history: History) -> Iterator[Violation]:
    yield from _distinct("transition", ((t, (t.case_id, t.track, t.sequence)) for t in history.transitions_once))
    yield from _distinct("charge request", ((r, (r.case_id, r.sequence)) for r in history.requests_once))
    yield from _distinct("notice result", ((r, (r.case_ids[0], r.sequence)) for r in history.results_once))
    yield from _distinct("account status", ((s, (s.account_id, s.sequence)) for s in history.statuses_once))


def _distinct(what: str, outputs: Iterable[tuple[Output, tuple[str | int | None, ...]]]) -> Iterator[Violation]:
    first: dict[tuple[str | int | None, ...], Output] = {}
    for output, place in outputs:
        known = first.setdefault(place, output)
        if known is not output and output.event_id != known.event_id:
            yield _violation(f"a second {what} with sequence {output.sequence}, the first at {known.where}", output)


def _right_cases(history: History) -> Iterator[Violation]:
    """Every case is one that the invoice's failures and payments make (rules 7 and 8), wherever it is named."""
    told: set[_Named] = set()
    for output, named in _cases_named(history):
        if named in told or output.account_id in history.murky_accounts:
            continue
        told.add(named)
        case = history.ledger.cases.get(named.case_id)
        if named.invoice_id is None:
            if case is None or case.invoice.account_id != named.account_id:
                yield _violation(f"case {named.case_id} is none of the account's", output, named.case_id)
            continue
        invoice = history.ledger.invoices.get((named.account_id, named.invoice_id))
        if invoice is None or not (invoice.failures or invoice.unsure):
            what = f"a case of invoice {named.invoice_id}, which has no failure among the inputs"
            yield _violation(what, output, named.case_id)
        elif case is None or case.invoice is not invoice:
            allowed = ", ".join(f"{number}: {invoice.case_id(number)}" for number in invoice.numbers())
            what = f"not a case number of invoice {named.invoice_id}; possible are {allowed}"
            yield _violation(what, output, named.case_id)
        elif case.number > 1 and not _was_reopened(history, named.case_id):
            what = f"case number {case.number} of invoice {named.invoice_id}, which has no failure after that payment"
            yield _violation(what, output, named.case_id)


class _Named(NamedTuple):
    case_id: str
    account_id: str
    invoice_id: str | None  # None where the event does not say


def _cases_named(history: History) -> Iterator[tuple[Output, _Named]]:
    for output in chain[Transition | Request](history.transitions, history.requests):
        yield output, _Named(output.case_id, output.account_id, output.invoice_id)
    for result in history.results:
        yield from ((result, _Named(case_id, result.account_id, None)) for case_id in result.case_ids)
    for status in history.statuses:
        for line in status.open_cases:
            yield status, _Named(line.case_id, status.account_id, line.invoice_id)


def _was_reopened(history: History, case_id: str) -> bool:
    """Whether a failure is dated after enough closings to open this case, at least while some were unread."""
    invoice, number = history.ledger.cases[case_id]
    if invoice.unsure or invoice.reinstatements:
        return True
    latest = max(failure.time for failure in invoice.failures)
    return sum(1 for closing in invoice.closings if closing.at < latest) >= number - 1


def _recovered_by_money(history: History) -> Iterator[Violation]:
    """What says `recovered` needs a full payment among the inputs."""
    for move in history.transitions_once:
        case = history.ledger.cases.get(move.case_id)
        if move.to_stage != "recovered" or case is None or case.invoice.unsure or case.invoice.reinstatements:
            continue
        if len(case.invoice.closings) < case.number:
            yield _violation(f"{move.track} is recovered, but no payment in full is among the inputs", move)


def _known_to_all_services(history: History) -> Iterator[Violation]:
    """An input that took effect in one service must take effect in the others."""
    for case in open_cases(history):
        if not case.seen_services(history):
            continue  # lost altogether: promise 10 says so
        for service in sorted(case.missing_services(history)):
            yield Violation(
                PROMISE,
                f"{service} opened no case for the failed and unpaid invoice {case.invoice.invoice_id}; others did",
                case.failures[0].where,
                case.invoice.account_id,
                case.case_ids[0],
            )


def _violation(what: str, output: Output, case_id: str | None = None) -> Violation:
    if case_id is None and isinstance(output, Transition | Request):
        case_id = output.case_id
    if case_id is None and isinstance(output, Result):
        case_id = output.case_ids[0]
    return Violation(PROMISE, what, output.where, output.account_id, case_id)
