"""Promise 5, when a charge is asked for: not before its plan or its distance, within the window, as often as the policy
says, under the next attempt number, and for as long as it says (rules 14 to 17).

Which distance a decline leads to is not known here, so a request is held against the shortest that it can have been.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from dunning_verifier.clock import Span
from dunning_verifier.due import may_be_hurried, planned_for
from dunning_verifier.expected import NOT_TECHNICAL
from dunning_verifier.history import History
from dunning_verifier.invoices import CaseRef, Invoice
from dunning_verifier.policy_file import Policy
from dunning_verifier.values import GRAIN, Failure, Input, Request, Success, Transition, Violation

PROMISE = 5
_TIMEOUTS = (Span(1, 0), Span(14, 0))  # of cards, and of all else


def check(history: History) -> Iterator[Violation]:
    """Every request by itself, then those of a case together."""
    by_case: dict[str, list[Request]] = defaultdict(list)
    by_place: dict[tuple[str, str], list[Request]] = defaultdict(list)
    highest: dict[tuple[str, str], int] = defaultdict(int)
    for request in history.requests_once:
        place = request.account_id, request.invoice_id
        yield from _numbered(history, request, highest[place])
        highest[place] = max(highest[place], request.attempt_number)
        by_case[request.case_id].append(request)
        by_place[place].append(request)
    for case_id, requests in by_case.items():
        case, policy = history.ledger.cases.get(case_id), history.policy_of(case_id)
        if case is None or policy is None or case.invoice.unsure or not case.invoice.failures:
            continue
        first = requests[0]
        taken_over = _taken_over(history, first, by_place[first.account_id, first.invoice_id])
        for former, request in zip([taken_over, *requests], requests, strict=False):
            yield from _stands_until(history, policy, case.invoice, request)
            if not may_be_hurried(history, request.account_id):
                yield from _before_its_plan(history, former, request)
                yield from _in_its_window(history, policy, case.invoice, request)
                yield from _at_its_distance(history, policy, case, former, request)
        yield from _not_too_many(history, policy, requests)


def _taken_over(history: History, first: Request, of_invoice: Sequence[Request]) -> Request | None:
    """What the case before it had asked for, where a case was in `requested` before it asked for anything itself."""
    moves = history.by_case.get(first.case_id, {}).get("retry", ())
    if not any(move.to_stage == "requested" and move.effective_at < first.happened_at for move in moves):
        return None
    before = [each for each in of_invoice if each.case_id != first.case_id and each.happened_at < first.happened_at]
    return max(before, key=lambda each: each.happened_at, default=None)


def _numbered(history: History, request: Request, highest: int) -> Iterator[Violation]:
    """One more than the highest that was seen or requested (rule 15)."""
    until = request.happened_at + history.tolerance.skew
    seen = (
        event.attempt_number or 0
        for event in history.payments_of(request.account_id, request.invoice_id)
        if event.logged_at <= until or event.where in history.replayed  # each service did that when it was told to
    )
    expected = 1 + max(highest, *seen, 0)
    if request.attempt_number > expected:
        yield _violation(
            f"attempt {request.attempt_number}, but the next one can have been {expected} at most", request
        )


def _stands_until(history: History, policy: Policy, invoice: Invoice, request: Request) -> Iterator[Violation]:
    """Until `not_before` + `timeout` or the window's end (rule 14). Where pauses moved that, nobody says where to."""
    zones = history.customers.pinned_zones(request.account_id, policy)
    timeouts = (policy.retry_timeout,) if policy.retry_timeout else _TIMEOUTS
    ends = {timeout.after(request.not_before, zone) for timeout in timeouts for zone in zones}
    latest, moved = max(ends), history.rests.moved_dates(request.account_id, request.invoice_id)
    if policy.retry_window is not None:
        ends |= {end for end in _window_ends(history, policy, invoice, request) if end <= latest}
    if request.not_after > latest + GRAIN:
        yield _violation(f"stands until {request.not_after.isoformat()}, beyond {latest.isoformat()}", request)
    elif not moved and all(abs(request.not_after - end) > GRAIN for end in ends):
        told = " or ".join(sorted(end.isoformat() for end in ends))
        yield _violation(f"stands until {request.not_after.isoformat()}, not until {told}", request)


def _window_ends(history: History, policy: Policy, invoice: Invoice, request: Request) -> set[datetime]:
    """By any failure that may have been the first, in any zone that the case may have pinned."""
    assert policy.retry_window is not None
    until = request.happened_at + history.tolerance.skew
    zones = history.customers.pinned_zones(request.account_id, policy)
    known = [failure.time for failure in invoice.failures if failure.logged_at <= until]
    return {policy.retry_window.after(at, zone) for at in known for zone in zones}


def _in_its_window(history: History, policy: Policy, invoice: Invoice, request: Request) -> Iterator[Violation]:
    if policy.retry_window is None or history.rests.moved_dates(request.account_id, request.invoice_id):
        return
    end = max(_window_ends(history, policy, invoice, request), default=None)
    if end is not None and request.happened_at > end + GRAIN:
        yield _violation(f"requested after the window's end {end.isoformat()}", request)


def _before_its_plan(history: History, former: Request | None, request: Request) -> Iterator[Violation]:
    """Only what became known since can have brought it forward."""
    planned = planned_for(history, request)
    if planned is None or planned.next_due_at is None:
        return
    since, until = planned.effective_at - history.tolerance.lag, request.happened_at + history.tolerance.skew
    known_since = [event for event in history.inputs_of(request.account_id) if since <= event.logged_at <= until]
    if known_since and not _is_its_cause(history, planned, former, *known_since):
        return
    if request.happened_at < planned.next_due_at - history.tolerance.slack:
        yield _violation(f"requested before {planned.next_due_at.isoformat()}, for which it was planned", request)


def _is_its_cause(history: History, planned: Transition, former: Request | None, event: Input, *others: Input) -> bool:
    """Whether the plan was made for this input, and nothing else has become known: the first of a case is made for its
    failure, and what leaves `requested` before its time is made for an answer."""
    if others or not isinstance(event, Failure | Success) or event.invoice_id != planned.invoice_id:
        return False
    answered = former is not None and planned.effective_at < former.not_after - history.tolerance.skew
    was_read = event.logged_at <= planned.effective_at + history.tolerance.skew
    return was_read and (planned.from_stage == "none" or (planned.from_stage == "requested" and answered))


def _at_its_distance(
    history: History, policy: Policy, case: CaseRef, former: Request | None, request: Request
) -> Iterator[Violation]:
    """A `previous` business day comes before it, and what a pause revoked is asked for anew at once."""
    rests = history.rests.moved_dates(request.account_id, request.invoice_id)
    if rests or not policy.retry_after or (policy.retry_roll is not None and not policy.retry_roll.forward):
        return
    until = request.happened_at + history.tolerance.skew
    known = [failure for failure in case.invoice.failures if failure.logged_at <= until]
    plain = all(failure.plain_code and failure.code in NOT_TECHNICAL for failure in known)
    since: datetime | None
    if former is not None:
        since, distances = _over_since(history, former), (*policy.retry_after, *policy.technical_after)
    elif plain:
        read_before = history.tolerance.read_before(None, request.happened_at)
        since = max((each.time for each in known if each.logged_at < read_before), default=None)
        distances = policy.retry_after[:1] if case.number == 1 else policy.retry_after
    else:
        return
    if since is None:
        return
    zones = history.customers.pinned_zones(request.account_id, policy)
    earliest = min(distance.after(since, zone) for distance in distances for zone in zones)
    if request.happened_at < earliest - history.tolerance.slack:
        what = f"requested before {earliest.isoformat()}; the attempt before it was at {since.isoformat()} or later"
        yield _violation(what, request)


def _over_since(history: History, former: Request) -> datetime:
    """Since when a request can be over: the processor's clock may be behind."""
    payments = history.payments_of(former.account_id, former.invoice_id)
    answers = (each.time for each in payments if _may_answer(each, former))
    return min([former.happened_at, *answers])


def _may_answer(event: Failure | Success, request: Request) -> bool:
    return event.retry_id == request.retry_id or event.attempt_number == request.attempt_number


def _not_too_many(history: History, policy: Policy, requests: Sequence[Request]) -> Iterator[Violation]:
    """What a pause revoked does not count, and a new method or an order comes on top (rules 18 and 27)."""
    most, last = policy.max_retries + len(policy.technical_after), requests[-1]
    free = may_be_hurried(history, last.account_id) or history.rests.moved_dates(last.account_id, last.invoice_id)
    if not free and len(requests) > most:
        yield _violation(f"request {len(requests)} of a case; the policy has {most}, technical ones included", last)


def _violation(what: str, request: Request) -> Violation:
    return Violation(PROMISE, what, request.where, request.account_id, request.case_id)
