"""What an invoice's next case takes over from the one before it (rule 7)."""

from retry_scheduler.case import RetryCase
from retry_scheduler.methods import note_tried, tried_since
from retry_scheduler.pausing import use
from retry_scheduler.urging import later_of


def hand_over(old: RetryCase, new: RetryCase, *, inherits: bool) -> None:
    """The next case goes on with the later failures and the open request; with `inherits`, all that was done counts."""
    new.request, old.request = old.request, None
    new.owed_since, new.charged_for = old.owed_since, old.charged_for
    new.requested, new.tried = list(old.requested), list(old.tried)
    if inherits:
        new.mark = old.mark
        new.planned_used, new.technical_used = old.planned_used, old.technical_used
        new.answered_at, new.given_up, new.given_up_for = old.answered_at, old.given_up, old.given_up_for
    else:
        _leave_behind(old, new)


def _leave_behind(old: RetryCase, new: RetryCase) -> None:
    """What was asked for in the old case and ended there is no part of this one."""
    new.requested = [asked for asked in old.requested if new.request and asked.retry_id == new.request.retry_id]
    for asked in old.requested:
        echo = asked.echoed_as
        if echo and asked not in new.requested and any(each.failed_at == echo.at for each in new.book.attempts):
            note_tried(new, echo.method, echo.at)
    new.tried = tried_since(new.tried, new)
    kept = {(asked.payment_id, asked.attempt_number) for asked in new.requested}
    for attempt in new.book.attempts:
        attempt.late = False
        is_kept = (attempt.payment_id, attempt.number) in kept
        if not (is_kept or attempt.overdue):  # nor are its answers: an order of before them is carried out
            new.others_tried_at = later_of(new.others_tried_at, attempt.failed_at)
    if new.open_request is not None:
        use(new, new.open_request.kind, 1)
