"""Promise 10: nothing is lost: at the end, all that was owed has happened and all words agree."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from functools import cache

from dunning_verifier.checks.budget import all_attempts, may_wait
from dunning_verifier.expected import open_cases
from dunning_verifier.history import History
from dunning_verifier.values import SEVERITY, Signal, Status, Transition, Violation

PROMISE = 10


def check(history: History) -> Iterator[Violation]:
    """Only of a settled run: before, anything may still be under way."""
    if not history.settled:
        return
    yield from _every_failure_has_its_case(history)
    yield from _no_step_is_overdue(history)
    yield from _last_word_of_accounts(history)


def _every_failure_has_its_case(history: History) -> Iterator[Violation]:
    for case in open_cases(history):
        if case.seen_services(history) or not case.missing_services(history):
            continue
        what = f"invoice {case.invoice.invoice_id} failed and is unpaid, but has no case"
        yield Violation(PROMISE, what, case.failures[0].where, case.invoice.account_id, case.case_ids[0])


def _no_step_is_overdue(history: History) -> Iterator[Violation]:
    """Work that waits goes on by itself: no planned charge and no unanswered request lies in the past."""
    until = history.ends_at - history.tolerance.lag
    deadline = {(request.case_id, request.attempt_number): request.not_after for request in history.requests}
    latest: dict[str, datetime] = {}
    for (case_id, _), not_after in deadline.items():
        latest[case_id] = max(latest.get(case_id, not_after), not_after)
    tried = cache(lambda: all_attempts(history))  # asked for only where something seems overdue
    for case_id, tracks in history.by_case.items():
        if not tracks.get("retry"):
            continue
        last = tracks["retry"][-1]
        due_at = last.next_due_at if last.to_stage == "scheduled" else None
        if last.to_stage == "requested":
            due_at = latest.get(case_id)
        moved = history.rests.moved_dates(last.account_id, last.invoice_id)
        if (
            due_at is not None
            and due_at < until
            and not moved
            and not may_wait(history, tried(), last.account_id, due_at)
        ):
            what = f"retry still stands at {last.to_stage}, though {due_at.isoformat()} has passed"
            yield Violation(PROMISE, what, last.where, last.account_id, case_id)


def _last_word_of_accounts(history: History) -> Iterator[Violation]:
    """The compacted topic's last word per account is the stage of its worst open case (rule 35)."""
    moves: dict[str, list[Transition]] = defaultdict(list)
    for tracks in history.by_case.values():
        if tracks.get("account"):
            last = tracks["account"][-1]
            moves[last.account_id].append(last)
    reinstated = _reinstatements(history)
    for account_id, status in history.last_statuses.items():
        standing = [move for move in moves[account_id] if not _lifted(move, reinstated.get(account_id))]
        worst = max((move.to_stage for move in standing), key=lambda stage: SEVERITY.get(stage, 0), default="active")
        if status.status != worst:
            what = f"the account's last status is {status.status}, but its worst open case is {worst}"
            yield Violation(PROMISE, what, status.where, account_id)
        elif worst != "terminated":
            yield from _open_cases_agree(history, status, standing)


def _reinstatements(history: History) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for event in history.inputs:
        if isinstance(event, Signal) and event.kind == "account.reinstated":
            found[event.account_id] = max(found.get(event.account_id, event.time), event.time)
    return found


def _lifted(move: Transition, reinstated_at: datetime | None) -> bool:
    return move.to_stage == "terminated" and reinstated_at is not None and reinstated_at >= move.effective_at


def _open_cases_agree(history: History, status: Status, standing: list[Transition]) -> Iterator[Violation]:
    """The status names every case that is not active, none that was paid, and sums what it takes to be active."""
    listed = {case.case_id: case for case in status.open_cases}
    restricted = {move.case_id for move in standing if move.to_stage != "active"}
    complete = status.open_cases_total is None
    if not complete and len(listed) >= (status.open_cases_total or 0):
        what = f"open_cases lists {len(listed)} cases of {status.open_cases_total}"
        yield Violation(PROMISE, what, status.where, status.account_id)
    for case_id in sorted(restricted - listed.keys()) if complete else ():
        yield Violation(PROMISE, "an open case is missing in open_cases", status.where, status.account_id, case_id)
    owed: Counter[str] = Counter()
    for case_id, line in listed.items():
        case = history.ledger.cases.get(case_id)
        certain = case is not None and not case.invoice.unsure and not case.invoice.reinstatements
        if case is not None and certain and case.invoice.paid_in_full(case.number):
            what = f"{line.invoice_id} is paid, but stands in open_cases"
            yield Violation(PROMISE, what, status.where, status.account_id, case_id)
        if case_id in restricted:
            owed[line.currency] += line.amount_minor
    if complete and {currency: amount for currency, amount in status.to_reinstate.items() if amount} != dict(+owed):
        what = f"to_reinstate is {dict(status.to_reinstate)}, but the cases that are not active owe {dict(owed)}"
        yield Violation(PROMISE, what, status.where, status.account_id)
