"""The dates of the rungs: anchor, roll, and what a late restriction moves (rules 11, 24, 25, 28)."""

from dataclasses import replace
from datetime import datetime, timedelta

from tests.model.case import Case
from tests.model.dates import Span, later, later_on_business_day
from tests.model.declines import decline_class
from tests.model.policies import Rung
from tests.model.story import Story

MINUTE = timedelta(minutes=1)
NOTHING = Span(0, 0)


def date_of(case: Case, rung: Rung) -> datetime:
    """When a rung is due."""
    distance, start = rung.at, case.anchor()
    if case.shift is not None:
        name, actual = case.shift
        moved_by = case.policy.named(name)
        if rung_index(case, rung) > rung_index(case, moved_by):
            distance, start = rung.at - moved_by.at, actual
    roll = case.policy.roll if rung.at != NOTHING else None
    return later_on_business_day(start, distance, case.zone, roll, case.country)


def not_before(case: Case, rung: Rung) -> datetime:
    """Rule 20: while every failure was technical, rungs hold, but no longer than `technical_after` lasts. Their dates
    stay."""
    date = date_of(case, rung)
    if not case.policy.has_retries or not all(
        decline_class(one.data["failure"]) == "technical" for one in case.failures
    ):
        return date
    hold = case.first.own_at
    for distance in case.policy.technical_after:
        hold = later(hold, distance, case.zone)
    return max(date, hold)


def rung_index(case: Case, rung: Rung) -> int:
    return case.policy.ladder.index(rung)


def happen(case: Case, rung: Rung, now: datetime) -> None:
    """Rule 24: more than a minute late, a restricting rung moves those behind it."""
    if rung.restricts and now > date_of(case, rung) + MINUTE:
        case.shift = (rung.name, now)
    case.happened[rung.name] = now


def is_passed(story: Story, case: Case, rung: Rung) -> bool:
    """Rule 37: rungs dated before a reinstatement are passed, held ones included; 0003: by their dates then."""
    return any(
        case.first.own_at < signal.own_at and date_of(case, rung) < signal.own_at for signal in story.reinstatements()
    )


def behind(case: Case, name: str) -> list[Rung]:
    """The rungs behind one."""
    return list(case.policy.ladder[rung_index(case, case.policy.named(name)) + 1 :])


def warning_met(case: Case, rung: Rung, delivered_at: datetime) -> datetime:
    """Rule 25: delivered + lead, on a business day where `roll` says so; never before, so always the next one."""
    roll = case.policy.roll if rung.at != NOTHING else None
    onward = replace(roll, direction="next") if roll is not None else None
    return later_on_business_day(delivered_at, case.policy.lead(rung), case.zone, onward, case.country)
