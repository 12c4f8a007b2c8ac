"""Which events answer a charge request in time, and since when it is over (rules 15 and 27).

More than one may, such as a failure and a part of the money. Each of them is an attempt, of which the latest decides
what follows; and the request is over since the earliest. So it does not matter which is read first (rule 8).
"""

from datetime import datetime

from retry_scheduler.case import Asked, RetryCase, RetryKind
from retry_scheduler.pausing import use


def answers_in_time(case: RetryCase, asked: Asked, at: datetime) -> bool:
    """Whether what is dated so answers a request in time; then the request is over, which is noted."""
    request = case.request
    if request is not None and request.retry_id == asked.retry_id:
        if request.revoked and not _is_in_time(at, asked, request.not_after):
            return False
        case.request = None
        asked.answered_until = request.not_after
        _end(case, asked, at)
        _use_after_all(case, asked)
        return True
    if asked.gave_back is not None and asked.void_from is not None and at < asked.void_from:
        asked.answered_until = asked.void_from
        _use_after_all(case, asked)
        return True
    if asked.answered_until is None or not _is_in_time(at, asked, asked.answered_until):
        return False
    _end(case, asked, at)
    return True


def _is_in_time(at: datetime, asked: Asked, until: datetime) -> bool:
    """One at the very end of the window is void at once; an answer of that instant answers it all the same."""
    return at < until or at <= asked.at


def _end(case: RetryCase, asked: Asked, at: datetime) -> None:
    """The case's last request is over since an instant, but not since before it was made, whatever the other side's
    clock says; of several answers since the earliest."""
    if asked is case.requested[-1]:
        since = max(at, asked.at)
        case.answered_at = min(case.answered_at or since, since)


def _use_after_all(case: RetryCase, asked: Asked) -> None:
    """A request that was charged although it was revoked is used up, also where another one was made since."""
    if asked.gave_back is RetryKind.EXTRA:
        case.owed_since = None
    if asked.gave_back is not None:
        use(case, asked.gave_back, 1)
        asked.gave_back = None
