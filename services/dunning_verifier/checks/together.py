"""Promise 2: state and its events change together: what one topic says, the others say too."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from dunning_verifier.history import History
from dunning_verifier.values import DISPATCHER, ENFORCEMENT, GRAIN, OWNER_OF_TRACK, SCHEDULER, Output, Violation

PROMISE = 2


def check(history: History) -> Iterator[Violation]:
    """Each track is written by its owner; at the end requests, notices and statuses have their transitions."""
    yield from _by_their_owner(history)
    if history.settled:
        yield from _requests_with_transitions(history)
        yield from _notices_with_transitions(history)
        yield from _statuses_with_transitions(history)


def _by_their_owner(history: History) -> Iterator[Violation]:
    owned: list[tuple[Output, str, str | None]] = []
    owned.extend((move, OWNER_OF_TRACK.get(move.track, "nobody"), move.case_id) for move in history.transitions)
    owned.extend((request, SCHEDULER, request.case_id) for request in history.requests)
    owned.extend((result, DISPATCHER, result.case_ids[0]) for result in history.results)
    owned.extend((status, ENFORCEMENT, None) for status in history.statuses)
    for output, owner, case_id in owned:
        if output.source is not None and output.source != f"/dunning/{owner}":
            what = f"written by {output.source}, but {owner} owns it"
            yield Violation(PROMISE, what, output.where, output.account_id, case_id)


def _requests_with_transitions(history: History) -> Iterator[Violation]:
    """A charge request and the step to `requested` come together; only a case that took an open request over from the
    one before it may stand at `requested` without a request of its own (rule 7)."""
    asked = {request.case_id: request for request in history.requests}
    yield from _requests_at_their_transitions(history)
    requests = Counter(request.case_id for request in history.requests_once)
    entered: Counter[str] = Counter()
    last = {}
    for move in history.transitions_once:
        if move.track == "retry" and move.to_stage == "requested":
            entered[move.case_id] += 1
            last[move.case_id] = move
    for case_id in requests.keys() | entered.keys():
        case = history.ledger.cases.get(case_id)
        spare = 1 if case is not None and case.number > 1 else 0
        if requests[case_id] <= entered[case_id] <= requests[case_id] + spare:
            continue
        seen = last.get(case_id) or asked[case_id]
        what = f"{requests[case_id]} charge requests, but {entered[case_id]} transitions to requested"
        yield Violation(PROMISE, what, seen.where, seen.account_id, case_id)


def _requests_at_their_transitions(history: History) -> Iterator[Violation]:
    """What is decided together is of one instant."""
    for request in history.requests_once:
        moves = history.by_case.get(request.case_id, {}).get("retry", [])
        entered = [move.effective_at for move in moves if move.to_stage == "requested"]
        if entered and all(abs(request.happened_at - at) > GRAIN for at in entered):
            what = f"requested at {request.happened_at.isoformat()}, when no transition to requested took effect"
            yield Violation(PROMISE, what, request.where, request.account_id, request.case_id)


def _notices_with_transitions(history: History) -> Iterator[Violation]:
    """The notice track enters every rung whose notice was sent (rule 23), under this case's id or under the one that it
    had before a payment gave it another number, and its stage was carried over (rule 7)."""
    of_invoice: dict[tuple[str, str], set[str]] = defaultdict(set)
    for move in history.transitions_once:
        if move.track == "notice":
            of_invoice[move.account_id, move.invoice_id].add(move.to_stage)
    for result in history.results_once:
        if result.outcome != "sent":
            continue
        for case_id in result.case_ids:
            moves = history.by_case.get(case_id, {}).get("notice", [])
            entered = {move.to_stage for move in moves}
            if any(move.reason == "carried_over" for move in moves):
                entered |= of_invoice[moves[0].account_id, moves[0].invoice_id]
            if result.rung not in entered:
                what = f"a notice of {result.rung} was sent, but the notice track never entered it"
                yield Violation(PROMISE, what, result.where, result.account_id, case_id)


def _statuses_with_transitions(history: History) -> Iterator[Violation]:
    """An account whose cases moved has a status."""
    known = {status.account_id for status in history.statuses}
    told: set[str] = set()
    for move in history.transitions:
        if move.track == "account" and move.account_id not in known and move.account_id not in told:
            told.add(move.account_id)
            what = f"a case went to {move.to_stage}, but the account has no status"
            yield Violation(PROMISE, what, move.where, move.account_id, move.case_id)
