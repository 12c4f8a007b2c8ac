"""Which rungs are due on the notice track, and which of their notices go out (rules 20, 23, 24, 37)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dunning.domain.policy import Policy, Rung
from notification_dispatcher.case import NoticeCase


@dataclass(frozen=True, slots=True)
class Step:
    """A rung that the track enters now; a superseded one says nothing."""

    rung: Rung
    superseded: bool


def due_rungs(case: NoticeCase, policy: Policy, now: datetime, *, terminated: bool) -> list[Rung]:
    """The rungs from the case's next one on that happen now, up to the first that must wait.

    A rung that restricts happens when account enforcement says so; what lies before one that did happen is due.
    """
    hold = case.held_until(policy)
    held = hold is not None and now < hold
    happened_up_to = max((i for i, rung in enumerate(policy.ladder) if rung.name in case.happened), default=-1)
    due = []
    for index in range(case.next_rung, len(policy.ladder)):
        rung = policy.ladder[index]
        if index > happened_up_to and (
            rung.restricts
            or held
            or (terminated and (rung.account is not None or policy.is_warning(rung)))
            or case.date_of(rung, policy) > now
        ):
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


def next_rung_at(case: NoticeCase, policy: Policy, *, terminated: bool) -> datetime | None:
    """When the next rung of this track falls due by its date; None where something else must happen first."""
    if case.next_rung >= len(policy.ladder):
        return None
    rung = policy.ladder[case.next_rung]
    if rung.restricts or (terminated and (rung.account is not None or policy.is_warning(rung))):
        return None
    date = case.date_of(rung, policy)
    hold = case.held_until(policy)
    return max(date, hold) if hold is not None else date
