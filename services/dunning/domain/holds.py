"""What stops a case's walk up the ladder: one mechanism for everything that may (rules 20, 27, 37 and 38)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dunning.domain.case import Account, Case
from dunning.domain.conditions import unmet
from dunning.domain.pauses import span_at
from dunning.domain.policy import Policy, Rung


class Halt(StrEnum):
    """Why the walk stops."""

    PAUSED = "paused"
    DISPUTED = "disputed"
    TECHNICAL = "technical"  # nothing but technical failures so far (rule 20)
    TERMINATED = "terminated"  # the account is, by another case (rule 37)
    CONDITIONS = "conditions"  # of the rung, on the whole account (rule 38)


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that stops the walk now; `until` is None where only news can end it."""

    why: Halt
    until: datetime | None = None


def pause_of(case: Case, now: datetime) -> Hold | None:
    """A pause or a dispute: nothing of the case happens at all, on no track (rule 27)."""
    span = span_at(case.book.marks, now) if case.book.marks else None
    return Hold(Halt(span.reason), span.end) if span else None


def holds_of(account: Account[Any], case: Case, policy: Policy, rung: Rung, now: datetime) -> Sequence[Hold]:
    """Everything that stops the walk before a rung, the strongest first."""
    found = []
    pause = pause_of(case, now)
    if pause is not None:
        found.append(pause)
    technical_until = case.held_until(policy)
    if technical_until is not None and technical_until > now:
        found.append(Hold(Halt.TECHNICAL, technical_until))
    if (rung.account is not None or policy.is_warning(rung)) and account.is_terminated:
        found.append(Hold(Halt.TERMINATED))
    conditions = policy.conditions.get(rung.name)
    if conditions is not None and unmet(account, conditions):
        found.append(Hold(Halt.CONDITIONS))
    return found


def opens_at(
    account: Account[Any], case: Case, policy: Policy, rung: Rung, now: datetime, behind: int = 0
) -> datetime | None:
    """From when on a rung may happen: its date, or the end of what stops the walk; None while that is not known.

    What lies before the index `behind` happens now and is not waited for.
    """
    date = _date_in_order(account, case, policy, rung, behind)
    for hold in holds_of(account, case, policy, rung, now):
        if hold.until is None:
            return None
        date = max(date, hold.until)
    return date


def _date_in_order(account: Account[Any], case: Case, policy: Policy, rung: Rung, behind: int) -> datetime:
    """A rung's date, or that of one before it which is still to come: rungs happen in order (rule 23), and `roll` can
    put one of an earlier time of day ahead of the one above it.
    """
    if policy.roll is None:
        return case.date_of(rung, policy)
    ahead = policy.ladder[max(first_ahead(account, case, policy), behind) : policy.ladder.index(rung)]
    return max(case.date_of(each, policy) for each in (*ahead, rung))


def first_ahead(account: Account[Any], case: Case, policy: Policy) -> int:
    """Index of the first rung that neither happened nor was passed.

    A reinstatement passes the rungs dated before it (rule 37). That is looked up, not noted when it is read: what is
    read afterwards, such as an earlier failure or a pause, may still move the dates; a pause under way at the time has
    moved what is open beyond it. Nothing behind a step that came late and after it is passed, though `roll` may date
    it back.
    """
    index, reinstated_at = case.next_rung, account.facts.reinstated_at
    if reinstated_at is None or (case.shift is not None and case.shift.at >= reinstated_at):
        return index
    if case.book.attempts and case.book.first.failed_at < reinstated_at:
        while index < len(policy.ladder) and case.date_of(policy.ladder[index], policy, reinstated_at) < reinstated_at:
            index += 1
    return index
