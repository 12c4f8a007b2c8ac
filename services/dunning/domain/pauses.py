"""Pauses, disputes and extensions of a case, and what they do to its open dates (rule 27).

The signals themselves are kept, by their own times, and everything is reckoned from them anew. So it does not matter in
which order they are read, nor whether the failure that opens the case comes before or after them (rules 8 and 12).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from zoneinfo import ZoneInfo

from dunning.domain.calendar import Duration
from dunning.domain.events import Signal
from dunning.domain.words import Reason

PAUSED, RESUMED = "case.paused", "case.resumed"
DISPUTE_OPENED, DISPUTE_CLOSED = "dispute.opened", "dispute.closed"
EXTENDED = "case.extended"
MARKING = frozenset({PAUSED, RESUMED, DISPUTE_OPENED, DISPUTE_CLOSED, EXTENDED})

MARKS_MAX = 64  # per invoice, and per account; beyond it the oldest are forgotten
REASON_LENGTH_MAX = 200
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Mark:
    """A signal that pauses, resumes or extends, as far as it counts."""

    kind: str
    at: datetime
    whole_account: bool = False  # it named no invoice
    until: datetime | None = None  # of a pause that ends by itself
    by: Duration | None = None  # of an extension
    reason: str = ""  # an operator's words, for the story of the case
    event_id: str = ""  # of an extension: two orders of one instant and length add up, unlike two pauses (rule 1)

    @classmethod
    def of(cls, event: Signal) -> "Mark":
        """What is kept of a signal of one of the `MARKING` kinds."""
        return cls(
            kind=event.kind,
            at=event.at,
            whole_account=event.invoice_id is None,
            until=event.until,
            by=Duration.parse(event.by) if event.by else None,
            reason=(event.reason or "")[:REASON_LENGTH_MAX],
            event_id=event.event_id if event.kind == EXTENDED else "",
        )


def note(marks: list[Mark], mark: Mark) -> bool:
    """Enter a mark where its time puts it, once; says whether it was new."""
    if mark in marks:
        return False
    marks.append(mark)
    marks.sort(key=_place)
    del marks[:-MARKS_MAX]
    return mark in marks


def _place(mark: Mark) -> tuple[datetime, str, datetime, Duration, str, str]:
    """Any one order that does not depend on that of reading."""
    return mark.at, mark.kind, mark.until or _NEVER, mark.by or Duration(), mark.reason, mark.event_id


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nothing of the case happens, half-open; `end` is None until somebody ends it."""

    start: datetime
    end: datetime | None
    reason: Reason  # of the pause or dispute that began it

    def holds(self, now: datetime) -> bool:
        """Whether an instant lies inside."""
        return self.start <= now and (self.end is None or now < self.end)

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Whether some instant of `start` <= t < `end` lies inside."""
        return self.start < end and (self.end is None or self.end > start)


def spans(marks: Sequence[Mark]) -> list[Span]:
    """When the case is paused or disputed, in the order of time. Where both overlap, it is one span."""
    found: list[Span] = []
    for span in sorted(_single(marks), key=lambda span: (span.start, span.reason)):
        last = found[-1] if found else None
        if last is None or (last.end is not None and last.end < span.start):
            found.append(span)
        elif last.end is not None and (span.end is None or span.end > last.end):
            found[-1] = Span(last.start, span.end, last.reason)
    return found


def span_at(marks: Sequence[Mark], now: datetime) -> Span | None:
    """The pause or dispute that holds the case at an instant."""
    return next((span for span in spans(marks) if span.holds(now)), None) if marks else None


def next_start(marks: Sequence[Mark], now: datetime) -> datetime | None:
    """When a pause begins that was announced for later: a signal's time may lie up to an hour ahead (rule 3)."""
    return next((span.start for span in spans(marks) if span.start > now), None) if marks else None


def starts_at(marks: Sequence[Mark], at: datetime) -> bool:
    """Whether a pause begins at just this instant."""
    return any(span.start == at for span in spans(marks))


def moved(
    date: datetime, since: datetime, marks: Sequence[Mark], zone: ZoneInfo, now: datetime | None = None
) -> datetime:
    """Where an open date lies after all pauses and extensions that counted for it.

    The date was set at `since`; of a pause under way by then only the rest counts. A date before a pause is not open
    any more when it begins; one at its very start is. A pause without an end counts up to `now`, where that is given.
    """
    steps: list[Span | Mark] = [*spans(marks), *(mark for mark in marks if mark.kind == EXTENDED)]
    for step in sorted(steps, key=_start):
        start = max(_start(step), since)
        if isinstance(step, Mark):
            applies = step.at >= since and date >= step.at and step.by is not None
            date = step.by.after(date, zone) if applies and step.by else date
        else:
            end = step.end or now or start
            date = date + (end - start) if date >= start and end > start else date
    return date


def _single(marks: Sequence[Mark]) -> Iterator[Span]:
    """Each pause and each dispute by itself. A pause ends with the next one of the same scope, which says it anew."""
    resumed = [mark.at for mark in marks if mark.kind == RESUMED]
    for whole_account in (True, False):
        own = [mark for mark in marks if mark.kind == PAUSED and mark.whole_account is whole_account]
        for mark, later in zip_longest(own, own[1:]):
            renewed_at = later.at if later else None
            yield from _span(mark, [mark.until, renewed_at, _first_from(resumed, mark.at)], Reason.PAUSED)
    closed = [mark.at for mark in marks if mark.kind == DISPUTE_CLOSED]
    for mark in marks:
        if mark.kind == DISPUTE_OPENED:
            yield from _span(mark, [_first_from(closed, mark.at)], Reason.DISPUTED)


def _span(mark: Mark, ends: Iterable[datetime | None], reason: Reason) -> Iterator[Span]:
    end = min((end for end in ends if end is not None), default=None)
    if end is None or end > mark.at:
        yield Span(mark.at, end, reason)


def _first_from(instants: Iterable[datetime], start: datetime) -> datetime | None:
    return min((at for at in instants if at >= start), default=None)


def _start(step: Span | Mark) -> datetime:
    return step.start if isinstance(step, Span) else step.at
