"""Promise 4, for what rests: while an invoice is paused or disputed, nothing of it is charged, sent or restricted (27).

What a service knew when it took a step is judged by the log's timestamps, as for payments (`paid.py`).
"""

from collections.abc import Iterator
from datetime import datetime

from dunning_verifier.due import charge_due_at
from dunning_verifier.history import History
from dunning_verifier.values import Output, Violation

PROMISE = 4


def check(history: History) -> Iterator[Violation]:
    """Charge requests, notices that went out, and account steps to something worse."""
    for output, case_id, invoice_id, due_at, done_at, what in _steps(history):
        case = history.ledger.cases.get(case_id)
        invoice = case.invoice.invoice_id if case else invoice_id
        if invoice is None or (case is not None and case.invoice.unsure):
            continue
        read_before = history.tolerance.read_before(due_at, done_at)
        why = history.rests.are_certain(
            output.account_id, invoice, done_at, read_before, done_at + history.tolerance.skew
        )
        if why is not None:
            yield Violation(PROMISE, f"{what} while it was {why}", output.where, output.account_id, case_id)


def _steps(history: History) -> Iterator[tuple[Output, str, str | None, datetime | None, datetime, str]]:
    for request in history.requests_once:
        what = f"charge of attempt {request.attempt_number} requested"
        due_at = charge_due_at(history, request)
        yield request, request.case_id, request.invoice_id, due_at, request.happened_at, what
    for result in history.results_once:
        if result.outcome == "sent":
            for case_id in result.case_ids:
                yield result, case_id, None, None, result.at, f"{result.channel} notice of {result.rung} sent"
    for move in history.transitions_once:
        if move.worsens:
            what = f"account step to {move.to_stage}"
            yield move, move.case_id, move.invoice_id, None, move.effective_at, what
