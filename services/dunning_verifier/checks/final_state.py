"""Promise 10, by the reference model: at the end every case stands where its inputs say."""

from collections.abc import Iterator

from dunning_verifier.history import History
from dunning_verifier.reference import Final, Given, final_states
from dunning_verifier.values import INITIAL_STAGE, SERVICES, Failure, Input, Violation, Where, either

PROMISE = 10


def check(history: History) -> Iterator[Violation]:
    """Only of a settled run, and of accounts all of whose inputs surely took effect, everywhere alike."""
    if not history.settled:
        return
    listed = {
        (case.case_id, status.account_id): (case.amount_minor, status.where)
        for status in history.last_statuses.values()
        for case in status.open_cases
    }
    for case_id, final in final_states(_given(history)).items():
        yield from _stages(history, final)
        amount, where = listed.get((case_id, final.account_id), (None, None))
        if amount is not None and final.amounts and amount not in final.amounts:
            owed = either(map(str, final.amounts))
            what = f"the account's last status says that {amount} remain; by the inputs {owed} do"
            yield Violation(PROMISE, what, where, final.account_id, case_id)


def _given(history: History) -> Given:
    inputs = [event for event in history.inputs if event.account_id not in history.doubted and _counts(history, event)]
    steps = [move for move in history.transitions_once if move.track == "account"]
    grace = history.tolerance.lag
    return Given(inputs, history.policies, history.ends_at, history.results_once, steps, grace)


def _counts(history: History, event: Input) -> bool:
    return len(history.refused.get(event.where, ())) < len(SERVICES) and not history.is_before_start(event)


def _stages(history: History, final: Final) -> Iterator[Violation]:
    for track, allowed in final.stages.items():
        moves = history.by_case.get(final.case_id, {}).get(track, [])
        stage = moves[-1].to_stage if moves else INITIAL_STAGE[track]
        if stage not in allowed:
            what = f"{track} ends as {stage}; by the inputs of the case it has to be {either(allowed)}"
            where = moves[-1].where if moves else _first_failure(history, final)
            yield Violation(PROMISE, what, where, final.account_id, final.case_id)


def _first_failure(history: History, final: Final) -> Where | None:
    own = (event for event in history.inputs if isinstance(event, Failure) and event.account_id == final.account_id)
    return next((event.where for event in own if event.invoice_id == final.invoice_id), None)
