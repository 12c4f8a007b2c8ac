"""A charge that is asked for now: all that remembers it, and the event that asks for it (rules 14, 15 and 18)."""

from datetime import datetime

from dunning.domain import ids
from dunning.domain.events import RetryRequested
from retry_scheduler.case import Asked, Request, RetryAccount, RetryCase, RetryKind, RetryTurn, Tried
from retry_scheduler.counting import count_request
from retry_scheduler.methods import note_tried
from retry_scheduler.next_step import last_class
from retry_scheduler.pausing import use
from retry_scheduler.urging import spend

REQUEST_TYPE = "dunning.retry.requested.v1"


def ask(
    account: RetryAccount, case: RetryCase, kind: RetryKind, chosen: Tried | None, until: datetime, now: datetime
) -> Request:
    """Make the request, under the next attempt number: no other bears that from now on, whatever becomes of it."""
    book, method = case.book, chosen.method if chosen else None
    number, payment_id = book.highest_attempt + 1, book.attempts[-1].payment_id
    request = Request(ids.retry_id(case.case_id, number), number, payment_id, now, until, method, kind)
    count_request(account, case, request, now)
    known_at = chosen.at if chosen else None
    case.requested.append(Asked(request.retry_id, payment_id, number, now, request.method_key, method_at=known_at))
    if chosen:
        note_tried(case, chosen.method, chosen.at)
    case.request, case.plan, case.answered_at = request, None, None
    case.charged_for = str(last_class(case))
    case.requests += 1
    book.highest_attempt = number
    use(case, kind, 1)
    spend(account, case)
    return request


def requested(turn: RetryTurn, case: RetryCase, request: Request) -> RetryRequested:
    """What asks the platform to charge."""
    return RetryRequested(
        event_id=ids.event_id(REQUEST_TYPE, case.case_id, case.requests),
        sequence=case.requests,
        causation_id=turn.cause_id,
        retry_id=request.retry_id,
        case_id=case.case_id,
        account_id=turn.account.account_id,
        invoice_id=case.invoice_id,
        payment_id=request.payment_id,
        amount_minor=case.book.amount_minor,
        currency=case.book.currency,
        payment_method_id=request.method.id if request.method else None,
        attempt_number=request.attempt_number,
        not_before=request.not_before,
        not_after=request.not_after,
        reason=str(request.kind),
        decline_class=case.charged_for,
        traceparent=turn.traceparent,
    )
