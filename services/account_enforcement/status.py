"""What an account's status says, and when it is published (rules 35 and 36)."""

from collections.abc import Callable, Iterator
from datetime import datetime

from account_enforcement.case import OPEN_CASES_LISTED_MAX, AccountCase, AccountTurn, Published
from dunning.domain import ids
from dunning.domain.calendar import local_days_between
from dunning.domain.events import AccountStatus, OpenCase, Owed, PolicyRef, Signal, StageChanged
from dunning.domain.policy import Policy
from dunning.domain.words import AccountStage, Reason

STATUS_TYPE = "dunning.account.status.v1"
_STAGES = {str(stage): stage for stage in AccountStage}
_SEVERITY = {stage.value: stage.severity for stage in AccountStage}


def publish_status(turn: AccountTurn, policy_of: Callable[[AccountCase], Policy]) -> None:
    """Once per input, when the status, the open cases or what reinstates changed (rule 35)."""
    account, last = turn.account, turn.account.published
    cases = list(account.open_cases())
    worst = max(cases, key=_severity, default=None)
    status = AccountStage.TERMINATED if account.is_terminated else _STAGES[worst.stage if worst else "active"]
    listed, to_reinstate = _listed(cases), _to_reinstate(cases)
    total = len(cases) if len(cases) > len(listed) else None
    same_cases = total == last.open_cases_total and _says(last.open_cases, listed)
    if status == last.status and same_cases and to_reinstate == last.to_reinstate:
        return
    open_cases = [_line(case, policy_of(case), turn.now) for case in listed]
    since = turn.now if status != last.status or last.since is None else last.since
    account.sequence += 1
    account.changed = True
    account.published = Published(status, since, open_cases, total, to_reinstate)
    turn.decision.events.append(
        AccountStatus(
            event_id=ids.event_id(STATUS_TYPE, account.account_id, account.sequence),
            sequence=account.sequence,
            causation_id=turn.cause_id,
            account_id=account.account_id,
            status=str(status),
            previous_status=str(last.status),
            since=since,
            reason=_reason(turn),
            effective_at=turn.now,
            open_cases=tuple(open_cases),
            open_cases_total=total,
            to_reinstate=tuple(to_reinstate),
            policy=worst.policy if worst else _policy_of_what_changed(turn),
            case_id=_case_that_changed(turn, last.open_cases, open_cases),
            traceparent=turn.traceparent,
        )
    )


def _reason(turn: AccountTurn) -> str:
    """The reason of the last transition that this input caused; otherwise what changed without one."""
    moved = _last_move(turn)
    if moved:
        return moved.reason
    reinstated = isinstance(turn.cause, Signal) and turn.cause.kind == "account.reinstated"
    return Reason.REINSTATED.value if reinstated else "open_cases_changed"


def _policy_of_what_changed(turn: AccountTurn) -> PolicyRef | None:
    """Without an open case: the policy of the case that this input closed, terminated or reinstated."""
    moved = _last_move(turn)
    if moved:
        return moved.policy
    return next((case.policy for case in _touched(turn)), None)


def _case_that_changed(turn: AccountTurn, before: list[OpenCase], now: list[OpenCase]) -> str | None:
    """The case that this input moved, opened, closed or gave another amount, for who follows it by `correlationid`."""
    moved = _last_move(turn)
    if moved:
        return moved.case_id
    changed = {_said(line) for line in before} ^ {_said(line) for line in now}
    return min((case_id for case_id, *_ in changed), default=next((case.case_id for case in _touched(turn)), None))


def _last_move(turn: AccountTurn) -> StageChanged | None:
    """The last transition that this input caused."""
    return next((event for event in reversed(turn.decision.events) if isinstance(event, StageChanged)), None)


def _touched(turn: AccountTurn) -> Iterator[AccountCase]:
    """The cases that this input changed, in the invoices' order: what never had a case has no policy."""
    cases = (turn.account.cases[invoice_id] for invoice_id in sorted(turn.touched))
    return (case for case in cases if case.policy is not None)


def _line(case: AccountCase, policy: Policy, now: datetime) -> OpenCase:
    days = local_days_between(case.anchor_at(policy), now, case.pinned_zone)
    return OpenCase(case.case_id, case.invoice_id, case.book.amount_minor, case.book.currency, days)


def _to_reinstate(cases: list[AccountCase]) -> list[Owed]:
    owed: dict[str, int] = {}
    for case in cases:
        if case.stage != AccountStage.ACTIVE:
            owed[case.book.currency] = owed.get(case.book.currency, 0) + case.book.amount_minor
    return [Owed(currency, amount) for currency, amount in sorted(owed.items())]


def _severity(case: AccountCase) -> int:
    return _SEVERITY[case.stage]


def _listed(cases: list[AccountCase]) -> list[AccountCase]:
    """What a status lists: all, or of thousands the worst. A status that no topic takes would be the last one."""
    if len(cases) <= OPEN_CASES_LISTED_MAX:
        return cases
    worst = sorted(cases, key=_severity, reverse=True)[:OPEN_CASES_LISTED_MAX]
    return sorted(worst, key=lambda case: case.invoice_id)


def _says(lines: list[OpenCase], cases: list[AccountCase]) -> bool:
    """Whether the lines say of just these cases what is so, but for the days: they alone write nothing (rule 35)."""
    return [_said(line) for line in lines] == [
        (case.case_id, case.invoice_id, case.book.amount_minor, case.book.currency) for case in cases
    ]


def _said(line: OpenCase) -> tuple[str, str, int, str]:
    return line.case_id, line.invoice_id, line.amount_minor, line.currency
