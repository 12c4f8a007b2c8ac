"""The policy's dates, on which promises 5 and 6 rest: no step of the ladder comes before its date, rolled to a business
day where the policy says so (23 to 25), no charge is planned or asked for outside its hours or on a day off (16)."""

from collections.abc import Iterator
from datetime import datetime

from dunning_verifier.dates import earliest_date
from dunning_verifier.due import may_be_hurried
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy
from dunning_verifier.values import Request, Transition, Violation

LADDER, CHARGES = 6, 5  # promises


def check(history: History) -> Iterator[Violation]:
    """Account steps to something worse, notices that went out, planned charges and those asked for."""
    yield from _account_steps(history)
    yield from _notices(history)
    yield from _plans(history)
    yield from _charges(history)


def _account_steps(history: History) -> Iterator[Violation]:
    for move in history.transitions_once:
        if not move.worsens:
            continue
        policy = history.policies.by_ref.get(move.policy)
        names = [rung.name for rung in policy.rungs_to(move.to_stage)] if policy else []
        date = _earliest(history, move.account_id, move.case_id, names)
        if date is not None and move.effective_at < date - history.tolerance.slack:
            what = f"{move.to_stage} at {move.effective_at.isoformat()}, before its date {date.isoformat()}"
            yield Violation(LADDER, what, move.where, move.account_id, move.case_id)


def _notices(history: History) -> Iterator[Violation]:
    for result in history.results_once:
        if result.outcome != "sent":
            continue
        dates = [_earliest(history, result.account_id, case_id, [result.rung]) for case_id in result.case_ids]
        known = [date for date in dates if date is not None]
        if len(known) == len(dates) and result.at < min(known) - history.tolerance.slack:
            what = f"notice of {result.rung} sent at {result.at.isoformat()}, before its date {min(known).isoformat()}"
            yield Violation(LADDER, what, result.where, result.account_id, result.case_ids[0])


def _earliest(history: History, account_id: str, case_id: str, rungs: list[str]) -> datetime | None:
    case, policy = history.ledger.cases.get(case_id), history.policy_of(case_id)
    if case is None or policy is None or case.invoice.unsure:
        return None
    found = [policy.rung(name) for name in rungs]
    dates = [earliest_date(history, account_id, case_id, rung) for rung in found if rung is not None]
    return min((date for date in dates if date is not None), default=None)


def _plans(history: History) -> Iterator[Violation]:
    for move in history.transitions_once:
        policy = history.policies.by_ref.get(move.policy)
        if policy is None or move.to_stage != "scheduled" or move.next_due_at is None or _is_hurried(history, move):
            continue
        problem = _closed_at(history, policy, move.account_id, move.next_due_at)
        if problem:
            what = f"a charge is planned for {move.next_due_at.isoformat()}, {problem}"
            yield Violation(CHARGES, what, move.where, move.account_id, move.case_id)


def _charges(history: History) -> Iterator[Violation]:
    for request in history.requests_once:
        policy = history.policy_of(request.case_id)
        if policy is None or _is_hurried(history, request):
            continue
        problem = _closed_at(history, policy, request.account_id, request.happened_at)
        if problem:
            what = f"attempt {request.attempt_number} was requested at {request.happened_at.isoformat()}, {problem}"
            yield Violation(CHARGES, what, request.where, request.account_id, request.case_id)


def _is_hurried(history: History, output: Transition | Request) -> bool:
    """Whether something passes over the hours, or moved dates in a way that no event tells (rules 18 and 27)."""
    if history.rests.moved_dates(output.account_id, output.invoice_id):
        return True
    return may_be_hurried(history, output.account_id)


def _closed_at(history: History, policy: Policy, account_id: str, at: datetime) -> str | None:
    """Why no charge can be planned for an instant, wherever the case may live."""
    zones = history.customers.pinned_zones(account_id, policy)
    if policy.retry_hours is not None and not any(policy.retry_hours.hold(at, zone) for zone in zones):
        return "outside the policy's hours"
    roll, countries = policy.retry_roll, history.customers.pinned_countries(account_id)
    if roll and not any(roll.is_open(at.astimezone(zone).date(), one) for zone in zones for one in countries):
        return "a day off"
    return None
