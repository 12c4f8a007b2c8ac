"""Promises 2 and 10, the account's status: whenever it is told, it is that of the worst open case (rule 35).

It is told in the turn that moves the case, so at the same instant. Two turns that wait for one account's lock may swap
by a little: a status is held against all that the cases can have been within `--lag` of it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby, pairwise, product

from dunning_verifier.due import waits_for_the_news
from dunning_verifier.history import History
from dunning_verifier.values import GRAIN, SEVERITY, Status, Transition, Violation

TOGETHER, NOTHING_LOST = 2, 10  # promises
_CASES_AT_ONCE_MAX = 8
Stages = Mapping[str, str]  # where each case stands


def check(history: History) -> Iterator[Violation]:
    """Every status against the account's cases and the status before it, and every step against the statuses."""
    moves: dict[str, list[Transition]] = defaultdict(list)
    for move in history.transitions_once:
        if move.track == "account":
            moves[move.account_id].append(move)
    statuses: dict[str, list[Status]] = defaultdict(list)
    for status in history.statuses_once:
        statuses[status.account_id].append(status)
    for account_id, told in statuses.items():
        yield from _news(told)
        steps = moves[account_id]
        if len({step.where.partition for step in steps}) > 1:
            continue  # order exists within a partition only
        for status in told:
            yield from _explained(history, status, steps)
        if history.settled and not history.statuses_compacted and account_id not in history.terminated_accounts:
            yield from _told(steps, told)


def _news(told: Sequence[Status]) -> Iterator[Violation]:
    """What a status says of the one before it: `since` holds while the status does, and something must be new."""
    for former, status in pairwise(sorted(told, key=lambda status: status.sequence or 0)):
        if (former.sequence or 0) + 1 != status.sequence:
            continue
        since = former.since if status.status == former.status else status.happened_at
        if abs(status.since - since) > GRAIN:
            what = f"is {status.status} since {status.since.isoformat()}, but that began at {since.isoformat()}"
            yield _violation(TOGETHER, what, status)
        if _content(former) == _content(status):
            yield _violation(TOGETHER, f"says nothing that {former.where} did not say", status)


def _content(status: Status) -> tuple[object, ...]:
    lines = sorted((line.case_id, line.amount_minor, line.currency) for line in status.open_cases)
    return status.status, lines, status.open_cases_total, dict(status.to_reinstate)


def _explained(history: History, status: Status, steps: Sequence[Transition]) -> Iterator[Violation]:
    """Whether the account's cases stood so at any instant that the status may be of."""
    listed = Counter(line.case_id for line in status.open_cases)
    for case_id in (case_id for case_id, times in listed.items() if times > 1):
        yield _violation(NOTHING_LOST, f"lists a case {listed[case_id]} times", status, case_id)
    possible = list(_possible(history, status, steps))
    if not possible:
        return
    fitting = [stages for stages in possible if _worst(stages.values()) == status.status]
    if not fitting:
        worst = " or ".join(sorted({_worst(stages.values()) for stages in possible}))
        yield _violation(TOGETHER, f"says {status.status}, but the worst case stood at {worst}", status)
        return
    problems = [_list_problem(status, stages) for stages in fitting]
    if all(problems):
        yield _violation(NOTHING_LOST, str(problems[0]), status)
    if any(step.effective_at == status.happened_at and waits_for_the_news(history, step) for step in steps):
        yield from _closed_and_listed(history, status)


def _possible(history: History, status: Status, steps: Sequence[Transition]) -> Iterator[Stages]:
    """By each number of steps that may have been taken; whatever was terminated may have been reinstated."""
    at, lag = status.happened_at, history.tolerance.lag
    surely = [step for step in steps if step.effective_at < at - lag]
    perhaps = [step for step in steps if at - lag <= step.effective_at <= at + lag]
    lifted = history.was_reinstated(status.account_id, at + history.tolerance.skew)
    before = {step.case_id: step.to_stage for step in surely}
    for taken in _some_of(perhaps, in_order=not history.simulated):
        stages = before | {step.case_id: step.to_stage for step in taken}
        yield stages
        if lifted:
            yield {case_id: stage for case_id, stage in stages.items() if stage != "terminated"}


def _some_of(steps: Sequence[Transition], *, in_order: bool) -> Iterator[Sequence[Transition]]:
    """The first so many of them. A simulation sorts those of one instant by their cases: there each case is by itself.
    Nothing where so many move at once that nobody can tell."""
    if in_order:
        yield from (steps[:number] for number in range(len(steps) + 1))
        return
    by_case: dict[str, list[Transition]] = defaultdict(list)
    for step in steps:
        by_case[step.case_id].append(step)
    if len(by_case) > _CASES_AT_ONCE_MAX:
        return
    choices = ([moves[:number] for number in range(len(moves) + 1)] for moves in by_case.values())
    yield from ([step for chosen in one for step in chosen] for one in product(*choices))


def _worst(stages: Iterable[str]) -> str:
    return max(stages, key=lambda stage: SEVERITY.get(stage, 0), default="active")


def _list_problem(status: Status, stages: Stages) -> str | None:
    """What is wrong with the cases and sums, were the cases at these stages; None where nothing is."""
    lines = {line.case_id: line for line in status.open_cases}
    restricted = {case_id for case_id, stage in stages.items() if stage not in ("active", "terminated")}
    over = {case_id for case_id, stage in stages.items() if stage == "terminated"} & lines.keys()
    if over:
        return f"lists case {min(over)}, which was terminated"
    if status.open_cases_total is not None:
        return None
    missing = min(restricted - lines.keys(), default=None)
    if missing is not None:
        return f"does not list case {missing}, which stood at {stages[missing]}"
    owed: Counter[str] = Counter()
    for case_id in restricted:
        owed[lines[case_id].currency] += lines[case_id].amount_minor
    if {currency: amount for currency, amount in status.to_reinstate.items() if amount} != dict(+owed):
        return f"to_reinstate is {dict(status.to_reinstate)}, but the cases that were not active owe {dict(owed)}"
    return None


def _closed_and_listed(history: History, status: Status) -> Iterator[Violation]:
    at, tolerance = status.happened_at, history.tolerance
    for line in status.open_cases:
        case = history.ledger.cases.get(line.case_id)
        if case is None or not case.invoice.is_certain:
            continue
        read_before = tolerance.read_before(None, at)
        if not case.invoice.could_be_open(case.number, read_before, at + tolerance.skew):
            yield _violation(NOTHING_LOST, f"lists {line.invoice_id}, which was paid", status, line.case_id)
        elif case.invoice.had_ended(read_before):
            what = f"lists {line.invoice_id}, which was voided or written off"
            yield _violation(NOTHING_LOST, what, status, line.case_id)


def _told(steps: Sequence[Transition], told: Sequence[Status]) -> Iterator[Violation]:
    """Whatever made the account better or worse was told at once."""
    stages: dict[str, str] = {}
    for at, turn in groupby(steps, key=lambda step: step.effective_at):
        before, last = _worst(stages.values()), None
        for last in turn:
            stages[last.case_id] = last.to_stage
        worst = _worst(stages.values())
        if last is not None and worst != before and not _is_told(worst, at, told):
            what = f"the account went to {worst}, and no status says so"
            yield Violation(TOGETHER, what, last.where, last.account_id, last.case_id)


def _is_told(stage: str, at: datetime, told: Iterable[Status]) -> bool:
    return any(status.status == stage and abs(status.happened_at - at) <= GRAIN for status in told)


def _violation(promise: int, what: str, status: Status, case_id: str | None = None) -> Violation:
    return Violation(promise, f"the account's status {what}", status.where, status.account_id, case_id)
