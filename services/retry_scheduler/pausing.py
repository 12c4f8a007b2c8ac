"""What a pause or a dispute does to an open charge request (rules 14 and 27).

A request that was open at any time of a pause is revoked: the platform must not charge it any more. What it had used
up is given back, so that the same retry is made anew afterwards, under the next attempt number. Should the charge have
been made before the platform read of the pause, its answer counts like any other, and the retry is used up after all.
"""

from datetime import datetime

from dunning.domain.pauses import spans
from dunning.domain.words import Reason
from retry_scheduler.case import Request, RetryCase, RetryKind


def revoking_reason(case: RetryCase, request: Request, now: datetime) -> Reason | None:
    """Why a request is revoked, if a pause or a dispute held its case at any time while it was open."""
    begun = (span for span in spans(case.book.marks) if span.start <= now)
    return next((span.reason for span in begun if span.overlaps(request.not_before, request.not_after)), None)


def revoke(case: RetryCase, request: Request) -> None:
    """It uses up nothing."""
    request.revoked = True
    if request.kind is RetryKind.EXTRA:
        case.owed_since = request.not_before
    use(case, request.kind, -1)
    for asked in case.requested:
        if asked.retry_id == request.retry_id:
            asked.gave_back, asked.void_from = request.kind, request.not_after


def use(case: RetryCase, kind: RetryKind, number: int) -> None:
    """Use up so many retries of a kind, or give them back."""
    match kind:
        case RetryKind.PLANNED:
            case.planned_used += number
        case RetryKind.TECHNICAL:
            case.technical_used += number
        case RetryKind.EXTRA:
            pass  # uses up nothing
