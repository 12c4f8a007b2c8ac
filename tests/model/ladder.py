"""The dates of the rungs: anchor, roll, and what a late restriction moves (rules 11, 24, 25, 28)."""

from collections.abc import Collection
from datetime import datetime, timedelta

from tests.model import pauses
from tests.model.case import Case
from tests.model.dates import Roll, Span, later, later_on_business_day
from tests.model.policies import Rung
from tests.model.story import Story

MINUTE = timedelta(minutes=1)
NOTHING = Span(0, 0)


def date_of(story: Story, case: Case, rung: Rung, now: datetime | None = None) -> datetime:
    """When a rung is due. A rest without an end counts up to `now`, if at all."""
    distance, start, set_at = rung.at, case.anchor(), case.first.own_at
    if case.shift is not None:
        name, actual = case.shift
        moved_by = case.policy.named(name)
        if rung_index(case, rung) > rung_index(case, moved_by):
            distance, start, set_at = rung.at.less(moved_by.at), actual, actual
    roll = case.policy.roll if rung.at != NOTHING else None
    date = later_on_business_day(start, distance, case.zone, roll, case.country)
    return rolled(case, pauses.moved(story, case, date, set_at, now), roll)


def rolled(case: Case, moment: datetime, roll: Roll | None) -> datetime:
    """0003, rule 27: what a pause moved is rolled once more."""
    return later_on_business_day(moment, NOTHING, case.zone, roll, case.country)


def not_before(story: Story, case: Case, rung: Rung) -> datetime:
    """Rule 20: while every failure was technical, rungs hold, but no longer than `technical_after` lasts. Their dates
    stay."""
    date = date_of(story, case, rung)
    if not case.policy.has_retries or not all(one.decline_class == "technical" for one in case.failures):
        return date
    hold = case.first.own_at
    for distance in case.policy.technical_after:
        hold = later(hold, distance, case.zone)
    return max(date, pauses.moved(story, case, hold, case.first.own_at))


def rung_index(case: Case, rung: Rung) -> int:
    return case.policy.places[rung.name]


def happen(story: Story, case: Case, rung: Rung, now: datetime) -> None:
    """Rule 24: more than a minute late, a restricting rung moves those behind it."""
    if rung.restricts and now > date_of(story, case, rung) + MINUTE:
        case.shift = (rung.name, now)
    case.happened[rung.name] = now


def is_passed(story: Story, case: Case, rung: Rung, done: Collection[str]) -> bool:
    """Rule 37: rungs dated before a reinstatement are passed, held ones included; 0003: by their dates then, unless one
    behind it is `done` on this track, and not before those above it: rungs happen in order (23)."""
    signals = story.reinstatements()
    if signals and any(one.name in done for one in behind(case, rung.name)):
        return True
    if not signals or rung.name in case.happened:
        return False
    up_to_it = (*still_above(case, rung, done), rung)
    counts_from = case.first.own_at
    if case.shift is not None and rung_index(case, rung) > rung_index(case, case.policy.named(case.shift[0])):
        counts_from = max(counts_from, case.shift[1])
    return any(
        counts_from < signal.own_at
        and all(date_of(story, case, one, signal.own_at) < signal.own_at for one in up_to_it)
        for signal in signals
    )


def still_above(case: Case, rung: Rung, done: Collection[str]) -> list[Rung]:
    """The rungs above one, from the last that is done on."""
    above = list(case.policy.ladder[: rung_index(case, rung)])
    places = [place for place, one in enumerate(above) if one.name in done]
    return above[places[-1] + 1 :] if places else above


def behind(case: Case, name: str) -> list[Rung]:
    """The rungs behind one."""
    return list(case.policy.ladder[rung_index(case, case.policy.named(name)) + 1 :])


def warning_met(story: Story, case: Case, rung: Rung, delivered_at: datetime) -> datetime:
    """Rule 25: delivered + lead, on a business day where `roll` says so; never before, so always the next one."""
    roll = case.policy.roll if rung.at != NOTHING else None
    onward = roll._replace(direction="next") if roll is not None else None
    met = later_on_business_day(delivered_at, case.policy.lead(rung), case.zone, onward, case.country)
    return rolled(case, pauses.moved(story, case, met, delivered_at), onward)
