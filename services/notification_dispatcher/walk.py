"""Which rungs are due on the notice track, and which of their notices go out (rules 23, 24, 27)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dunning.domain.holds import first_ahead, opens_at
from dunning.domain.policy import Policy, Rung
from notification_dispatcher.case import NoticeAccount, NoticeCase


@dataclass(frozen=True, slots=True)
class Step:
    """A rung that the track enters now; a superseded one says nothing."""

    rung: Rung
    superseded: bool


def due_rungs(account: NoticeAccount, case: NoticeCase, policy: Policy, now: datetime) -> list[Rung]:
    """The rungs from the case's next one on that happen now, up to the first that must wait.

    A rung that restricts happens when account enforcement says so, and no reinstatement passes it then, whatever its
    date (rule 37); what lies before one that did happen is due.
    """
    happened_up_to = max((i for i, rung in enumerate(policy.ladder) if rung.name in case.happened), default=-1)
    due, passed_up_to = [], first_ahead(account, case, policy)
    for index in range(case.next_rung, len(policy.ladder)):
        rung = policy.ladder[index]
        if index < passed_up_to and rung.name not in case.happened:
            continue
        if index > happened_up_to:
            at = _by_date(account, case, policy, rung, now, happened_up_to + 1)
            if at is None or at > now:
                break
        due.append(rung)
    return due


def steps(due: Sequence[Rung], policy: Policy) -> list[Step]:
    """Of the notices up to the next restricting rung only the last goes out; a warning always does (rule 23)."""
    found: list[Step] = []
    for index, rung in enumerate(due):
        behind = _before_next_restriction(due[index + 1 :])
        plain = rung.notice is not None and not policy.is_warning(rung)
        found.append(Step(rung, plain and any(later.notice is not None for later in behind)))
    return found


def _before_next_restriction(rungs: Sequence[Rung]) -> Sequence[Rung]:
    end = next((index for index, rung in enumerate(rungs) if rung.restricts), len(rungs))
    return rungs[:end]


def next_rung(account: NoticeAccount, case: NoticeCase, policy: Policy) -> Rung | None:
    """The first rung that is still to come."""
    index = first_ahead(account, case, policy)
    return policy.ladder[index] if index < len(policy.ladder) else None


def next_rung_at(account: NoticeAccount, case: NoticeCase, policy: Policy, now: datetime) -> datetime | None:
    """When the next rung of this track falls due by its date; None where something else must happen first."""
    rung = next_rung(account, case, policy)
    return _by_date(account, case, policy, rung, now) if rung is not None else None


def _by_date(
    account: NoticeAccount, case: NoticeCase, policy: Policy, rung: Rung, now: datetime, behind: int = 0
) -> datetime | None:
    return None if rung.restricts else opens_at(account, case, policy, rung, now, behind)
