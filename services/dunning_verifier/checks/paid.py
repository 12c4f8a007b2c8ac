"""Promise 4: what was paid is left alone, and so is what was voided or written off (rule 10).

What a service knew when it took a step is judged by the log's timestamps (`Tolerance`): whatever was in the log before
the step was due had to be read first (rule 40).
"""

from collections.abc import Iterator
from datetime import datetime

from dunning_verifier.dates import earliest_date
from dunning_verifier.due import charge_due_at
from dunning_verifier.history import History
from dunning_verifier.values import Output, Transition, Violation

PROMISE = 4
_END_OF_PAID = {"retry": "recovered", "notice": "recovered", "account": "active"}


def check(history: History) -> Iterator[Violation]:
    """No charge, notice or restriction of a paid case, nothing after its end, and it does end."""
    yield from _charges(history)
    yield from _account_steps(history)
    yield from _notices(history)
    yield from _after_the_end(history)
    if history.settled:
        yield from _ends(history)


def _charges(history: History) -> Iterator[Violation]:
    for request in history.requests_once:
        why = _was_over(history, request.case_id, charge_due_at(history, request), request.happened_at)
        if why is not None:
            what = f"charge of attempt {request.attempt_number} requested although the invoice was {why}"
            yield Violation(PROMISE, what, request.where, request.account_id, request.case_id)


def _account_steps(history: History) -> Iterator[Violation]:
    for move in history.transitions_once:
        if not move.worsens:
            continue
        policy = history.policies.by_ref.get(move.policy)
        dates = (
            [earliest_date(history, move.account_id, move.case_id, rung) for rung in policy.rungs_to(move.to_stage)]
            if policy
            else []
        )
        due_at = min((date for date in dates if date), default=None)
        why = _was_over(history, move.case_id, due_at, move.effective_at)
        if why is not None:
            what = f"account step to {move.to_stage} although the invoice was {why}"
            yield Violation(PROMISE, what, move.where, move.account_id, move.case_id)


def _notices(history: History) -> Iterator[Violation]:
    for result in history.results_once:
        if result.outcome != "sent":
            continue
        for case_id in result.case_ids:
            policy = history.policy_of(case_id)
            rung = policy.rung(result.rung) if policy else None
            if rung and rung.account == "terminated":
                continue  # the only one that goes out after its case was closed (rule 32)
            due_at = earliest_date(history, result.account_id, case_id, rung) if rung else None
            why = _was_over(history, case_id, due_at, result.at)
            if why is not None:
                what = f"notice of {result.rung} sent although the invoice was {why}"
                yield Violation(PROMISE, what, result.where, result.account_id, case_id)


def _was_over(history: History, case_id: str, due_at: datetime | None, done_at: datetime) -> str | None:
    case = history.ledger.cases.get(case_id)
    if case is None or not case.invoice.is_certain:
        return None
    read_before = history.tolerance.read_before(due_at, done_at)
    if case.invoice.had_ended(read_before):
        return "voided or written off"
    could_be_open = case.invoice.could_be_open(case.number, read_before, done_at + history.tolerance.skew)
    return None if could_be_open else "paid"


def _after_the_end(history: History) -> Iterator[Violation]:
    """What a service says after its own word that the case was paid."""
    paid_at: dict[tuple[str, str], datetime] = {}
    for case_id, tracks in history.by_case.items():
        for track, moves in tracks.items():
            end = _end_of(moves, track)
            if end is None:
                continue
            paid_at[case_id, track] = moves[end].effective_at
            for late in moves[end + 1 :]:
                what = f"{track} goes from {late.from_stage} to {late.to_stage} after it was paid"
                yield Violation(PROMISE, what, late.where, late.account_id, case_id)
    late_outputs: list[tuple[Output, str, str, datetime, str]] = []
    slack = history.tolerance
    for request in history.requests_once:
        what = f"charge of attempt {request.attempt_number} requested after the case was recovered"
        late_outputs.append((request, request.case_id, "retry", request.happened_at - slack.skew, what))
    for result in history.results_once:
        if result.outcome == "sent":  # a mail that was under way when the payment was read is answered a little later
            what = f"notice of {result.rung} sent after the case was recovered"
            late_outputs.append((result, result.case_ids[0], "notice", result.at - slack.lag, what))
    for output, case_id, track, done_at, what in late_outputs:
        end_at = paid_at.get((case_id, track))
        if end_at is not None and done_at > end_at:
            yield Violation(PROMISE, what, output.where, output.account_id, case_id)


def _end_of(moves: list[Transition], track: str) -> int | None:
    for index, move in enumerate(moves):
        if track == "account":
            if move.to_stage == "active" and move.reason == "paid":
                return index
        elif move.to_stage == "recovered":
            return index
    return None


def _ends(history: History) -> Iterator[Violation]:
    """Every paid case ends recovered, and its account step is taken back."""
    for case_id, tracks in history.by_case.items():
        case = history.ledger.cases.get(case_id)
        if (
            case is None
            or not case.invoice.is_certain
            or case.invoice.ended
            or not case.invoice.paid_in_full(case.number)
        ):
            continue
        if any(move.to_stage == "terminated" for move in tracks.get("account", ())):
            continue  # a payment after the termination is recorded without a transition (rule 37)
        for track, moves in tracks.items():
            if moves[-1].to_stage != _END_OF_PAID.get(track):
                what = f"the invoice was paid, but {track} ends as {moves[-1].to_stage}"
                yield Violation(PROMISE, what, moves[-1].where, moves[-1].account_id, case_id)
