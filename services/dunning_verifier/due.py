"""When a charge was due: what its service had to have read is judged by that, not by when it was made (rule 40).

On a busy machine a timer fires late, and what came in meanwhile it need not have read.
"""

from datetime import datetime

from dunning_verifier.history import History
from dunning_verifier.values import Request, Transition

# After these a charge is due at another instant than the plan said, and no event says at which.
HURRY = {"payment_method.updated", "retry.now"}


def charge_due_at(history: History, request: Request) -> datetime | None:
    """By `next.due_at` of the transition that planned it, but never before that was decided (decisions/0002).

    None where something hurried it, for nobody says when; `not_before` where nothing planned it.
    """
    planned = planned_for(history, request)
    if planned is None or planned.next_due_at is None:
        return request.not_before
    if _hurried(history, planned, request):
        return None
    return min(request.not_before, max(planned.next_due_at, planned.effective_at))


def may_be_hurried(history: History, account_id: str) -> bool:
    """Whether a new method or an order may have asked for a charge at once, whatever the plan says (rule 18)."""
    return any(signal.kind in HURRY for signal in history.signals_of(account_id))


def waits_for_the_news(history: History, move: Transition) -> bool:
    """Whether a step was due, and not only the answer to something that was read. What follows a case that should not
    have been stands where that stood, as soon as that is read (rule 7)."""
    case = history.ledger.cases.get(move.case_id)
    if case is None or case.number > 1:
        return False
    if move.track == "notice":
        return move.to_stage not in ("recovered", "closed")
    return move.worsens or move.to_stage == "requested"


def planned_for(history: History, request: Request) -> Transition | None:
    """The step to `scheduled` before the one to `requested` that came with the request."""
    moves = history.by_case.get(request.case_id, {}).get("retry", [])
    until = request.happened_at + history.tolerance.skew
    entered = [place for place, move in enumerate(moves) if move.to_stage == "requested" and move.effective_at <= until]
    before = moves[entered[-1] - 1] if entered and entered[-1] else None
    return before if before is not None and before.to_stage == "scheduled" else None


def _hurried(history: History, planned: Transition, request: Request) -> bool:
    since = planned.effective_at - history.tolerance.lag
    until = request.happened_at + history.tolerance.skew
    return any(
        since <= signal.logged_at <= until for signal in history.signals_of(request.account_id) if signal.kind in HURRY
    )
