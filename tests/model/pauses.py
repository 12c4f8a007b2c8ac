"""When a case rests, and how that moves its dates: pauses, disputes and extensions (rule 27)."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from tests.model.case import Case
from tests.model.dates import Span, instant, later, span
from tests.model.history import Fact
from tests.model.story import Story, remembered


class Rest(NamedTuple):
    """From `start` on, `end` not included; None: nobody knows yet."""

    start: datetime
    end: datetime | None


@remembered
def rests(story: Story, invoice: str) -> list[Rest]:
    """0003, rule 27: they are the invoice's, whatever its cases do. Where some overlap the time counts once."""
    joined: list[Rest] = []
    for one in sorted((one for _, one in single(story, invoice)), key=lambda each: each.start):
        last = joined[-1] if joined else None
        if last is None or (last.end is not None and last.end < one.start):
            joined.append(one)
        elif last.end is not None:
            joined[-1] = Rest(last.start, None if one.end is None else max(last.end, one.end))
    return joined


def single(story: Story, invoice: str) -> list[tuple[Fact, Rest]]:
    """Each by itself, with the signal that begins it; those that end where they begin are none."""
    found = [(fact, rest_of(story, fact, invoice)) for fact in story.history.facts]
    return [(fact, one) for fact, one in found if one is not None and (one.end is None or one.end > one.start)]


def rest_of(story: Story, fact: Fact, invoice: str) -> Rest | None:
    """What one signal begins for the invoice."""
    if fact.kind == "dispute.opened" and fact.invoice == invoice:
        return Rest(fact.own_at, first_from(story, fact.own_at, lambda one: closes_dispute(one, invoice)))
    if fact.kind != "case.paused" or fact.invoice not in (invoice, None):
        return None
    ends = [
        instant(fact.data["until"]) if fact.data.get("until") else None,
        first_from(story, fact.own_at, lambda one: one.kind == "case.resumed" and one.invoice in (invoice, None)),
        said_anew(story, fact),
    ]
    return Rest(fact.own_at, min((one for one in ends if one is not None), default=None))


def closes_dispute(fact: Fact, invoice: str) -> bool:
    return fact.kind == "dispute.closed" and fact.invoice == invoice


def first_from(story: Story, start: datetime, wanted: Callable[[Fact], bool]) -> datetime | None:
    """At one instant a resumption wins."""
    return min((one.own_at for one in story.history.facts if wanted(one) and one.own_at >= start), default=None)


def said_anew(story: Story, pause: Fact) -> datetime | None:
    """A later pause of the same scope."""
    return min(
        (
            one.own_at
            for one in story.history.facts
            if one.kind == "case.paused" and one.invoice == pause.invoice and one.own_at > pause.own_at
        ),
        default=None,
    )


def resting(story: Story, invoice: str, now: datetime) -> bool:
    return any(one.start <= now and (one.end is None or now < one.end) for one in rests(story, invoice))


def reason(story: Story, invoice: str, now: datetime) -> str:
    """`paused` or `disputed`, by what began the rest; 0003, rule 27: of both at one instant, the dispute."""
    start = max((one.start for one in rests(story, invoice) if one.start <= now), default=None)
    began = {fact.kind for fact, one in single(story, invoice) if one.start == start}
    return "disputed" if "dispute.opened" in began else "paused"


def free_at(story: Story, invoice: str, moment: datetime | None) -> datetime | None:
    """The first instant from `moment` on at which something may go out; None: not known."""
    if moment is None:
        return None
    for one in rests(story, invoice):
        if one.start <= moment and (one.end is None or moment < one.end):
            return one.end
    return moment


def next_begin(story: Story, invoice: str, now: datetime) -> datetime | None:
    """When the next rest begins; `now` where one is under way."""
    coming = [one for one in rests(story, invoice) if one.end is None or one.end > now]
    return max(coming[0].start, now) if coming else None


def moved(
    story: Story,
    case: Case,
    date: datetime,
    set_at: datetime,
    now: datetime | None = None,
) -> datetime:
    """An open date moves by the length of each rest, of one that was under way when the date was set by what was left,
    and by the calendar days of each extension (0003, rule 27). A rest without an end counts up to `now`. A date
    that had passed when it was set is due, and not open any more."""
    if not rests(story, case.invoice) and not extensions(story, case.invoice):
        return date
    changes: list[tuple[datetime, Rest | Span]] = [(one.start, one) for one in rests(story, case.invoice)]
    changes += [(at, by) for at, by in extensions(story, case.invoice) if at >= set_at]
    for start, change in sorted(changes, key=lambda one: one[0]):
        if date < max(start, set_at):
            continue
        if isinstance(change, Span):
            date = later(date, change, case.zone)
        elif (end := change.end or now) is not None and end > max(start, set_at):
            date += end - max(start, set_at)
    return date


@remembered
def extensions(story: Story, invoice: str) -> list[tuple[datetime, Span]]:
    """Those of one instant by their length: across a clock change their order counts, but not that of reading (8)."""
    return sorted((one.own_at, span(one.data["by"])) for one in story.history.of(invoice, "case.extended"))
