"""Cases and accounts as lines of text, readable at three in the morning, and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dunning.contracts.topics import PAYMENT_FAILED
from dunning_cli.cases.expected import Expected
from dunning_cli.cases.gather import CaseStory, Present
from dunning_cli.cases.read import TRACKS, Key, TrackRow
from dunning_cli.discreet import shown, visible
from dunning_cli.listing import columns, utc
from dunning_cli.money import money
from dunning_cli.story import timeline

TITLES = ("CASE", "ACCOUNT", "INVOICE", "", "OWED", "RETRY", "NOTICE", "ACCOUNT IS", "NEXT")


@dataclass(frozen=True, slots=True)
class Times:
    """Instants in UTC, beside the time of day where the case is."""

    zone: ZoneInfo

    def show(self, at: datetime | None) -> str:
        """Both, as the beginning of a line."""
        shown_utc = utc(at) if at else " " * 20
        if self._is_utc:
            return shown_utc
        return f"{shown_utc}  {at.astimezone(self.zone).strftime('%a %H:%M:%S') if at else ' ' * 12}"

    @property
    def note(self) -> str:
        """What the columns are."""
        return "times are UTC" if self._is_utc else f"times are UTC, then local in {self.zone.key}"

    @property
    def _is_utc(self) -> bool:
        return self.zone.key in ("UTC", "Etc/UTC")


# --- lists ------------------------------------------------------------------------------------------------------------


def case_lines(rows: Mapping[Key, Mapping[str, TrackRow]]) -> list[str]:
    """A line per case; a dash where a service has not read of it yet."""
    return columns(TITLES, [_cells(key, tracks) for key, tracks in rows.items() if tracks])


def _cells(key: Key, tracks: Mapping[str, TrackRow]) -> list[str]:
    newest = max(tracks.values(), key=lambda row: row.number)
    stages = [visible(tracks[track].stage) if track in tracks else "-" for track in TRACKS.values()]
    due = min((row.due_at for row in tracks.values() if row.due_at), default=None)
    return [
        newest.case_id,
        visible(key.account_id),
        visible(key.invoice_id),
        "open" if newest.open else "closed",
        _owed(newest),
        *stages,
        utc(due) if due else "-",
    ]


def _owed(row: TrackRow) -> str:
    if not row.open:
        return "-"
    return money(row.amount_minor, row.currency) if row.amount_minor is not None and row.currency else "-"


def case_json(key: Key, tracks: Mapping[str, TrackRow]) -> dict[str, Any]:
    """One case of a list."""
    newest = max(tracks.values(), key=lambda row: row.number)
    return {
        "case_id": newest.case_id,
        "account_id": key.account_id,
        "invoice_id": key.invoice_id,
        "open": newest.open,
        "amount_minor": newest.amount_minor,
        "currency": newest.currency,
        "policy": {"id": newest.policy.id, "version": newest.policy.version} if newest.policy else None,
        "stages": {track: tracks[track].stage for track in TRACKS.values() if track in tracks},
        "due_at": {track: tracks[track].due_at for track in TRACKS.values() if track in tracks},
    }


# --- one case ---------------------------------------------------------------------------------------------------------


def story_lines(story: CaseStory, now: datetime) -> list[str]:
    """The whole story: how the case stands, what happened, what comes next."""
    times = Times(story.present.case.pinned_zone if story.present else ZoneInfo("UTC"))
    return [*_head(story), "", *_happened(story, times), *_next(story, times, now), *_notes(story)]


def _head(story: CaseStory) -> Iterator[str]:
    yield f"case {story.case_id}: invoice {visible(story.key.invoice_id)}, account {visible(story.key.account_id)}"
    if story.present is None:
        yield "an earlier case of this invoice; it is over"
        return
    yield _standing(story.present)
    yield "stages: " + ", ".join(f"{track} {visible(stage)}" for track, stage in story.present.stages.items())


def _standing(present: Present) -> str:
    case = present.case
    policy = f"policy {case.policy.id} version {case.policy.version}" if case.policy else "no policy"
    since = utc(case.opened_at) if case.opened_at else "unknown"
    if case.open:
        owed = money(case.book.amount_minor, case.book.currency)
        return f"open since {since}, {owed} owed, {policy}, zone {case.zone}"
    return f"closed: {shown(case.closed_reason).replace('_', ' ')}; opened {since}, {policy}, zone {case.zone}"


def _happened(story: CaseStory, times: Times) -> Iterator[str]:
    yield f"what happened ({times.note})"
    lines = timeline(story.events)
    for line in lines:
        yield f"  {times.show(line.at)}  {line.track:<7}  {shown(line.text)}"
    if not lines:
        yield "  nothing was published yet"


def _next(story: CaseStory, times: Times, now: datetime) -> Iterator[str]:
    if story.present is None or not (story.present.case.open or story.expected):
        return
    yield ""
    yield "what comes next"
    for step in sorted(story.expected, key=lambda each: (each.at is None, each.at or now)):
        yield f"  {times.show(step.at)}  {step.track:<7}  {shown(sentence(step))}{_overdue(step, now)}"
    if not story.expected:
        yield "  unknown: the policy version that the case pinned is not on file, or this program cannot read it"


def sentence(step: Expected) -> str:
    """What is expected, and what it depends on."""
    return f"{step.what} ({step.condition})" if step.condition else step.what


def _overdue(step: Expected, now: datetime) -> str:
    """Whatever is due and has not happened for a minute is what somebody was woken up for."""
    late = (now - step.at).total_seconds() if step.at else 0
    return f"  <- due {late:.0f} s ago: `dunning doctor` says what is in the way" if late > 60 else ""


def _notes(story: CaseStory) -> Iterator[str]:
    notes = []
    if story.unpublished:
        notes.append(f"{story.unpublished} of these events are still on their way to Kafka")
    notes += [_held_back(service, mode) for service, mode in story.modes.items()]
    if story.unread_by:
        notes.append(f"not known yet to {', '.join(story.unread_by)}: `dunning doctor` shows whether it lags")
    is_over = story.present is not None and not story.present.case.open
    if is_over and not any(told.topic == PAYMENT_FAILED for told in story.events):
        notes.append("attempts that were settled are not kept here: payment.failed and payment.succeeded have them")
    if story.other_case_ids:
        notes.append(f"other cases of this invoice: {', '.join(story.other_case_ids)}")
    if notes:
        yield ""
        yield from notes


def _held_back(service: str, mode: str) -> str:
    if mode == "observe":
        return f"{service} is in mode observe: this is what it would do, and nothing of it is done"
    return f"{service} is in mode {mode}: nothing of it goes out"


def story_json(story: CaseStory) -> dict[str, Any]:
    """The same for programs."""
    case = story.present.case if story.present else None
    zone = case.pinned_zone if case else ZoneInfo("UTC")
    return {
        "case_id": story.case_id,
        "account_id": story.key.account_id,
        "invoice_id": story.key.invoice_id,
        "open": bool(case and case.open),
        "closed_reason": shown(case.closed_reason) or None if case else None,
        "opened_at": case.opened_at if case else None,
        "amount_minor": case.book.amount_minor if case else None,
        "currency": case.book.currency if case else None,
        "policy": {"id": case.policy.id, "version": case.policy.version} if case and case.policy else None,
        "zone": zone.key,
        "stages": dict(story.present.stages) if story.present else {},
        "story": [
            {
                "at": line.at,
                "local": line.at.astimezone(zone).isoformat(),
                "track": line.track,
                "text": shown(line.text),
            }
            for line in timeline(story.events)
        ],
        "next": expected_json(story.expected),
        "unpublished": story.unpublished,
        "unread_by": list(story.unread_by),
        "modes": dict(story.modes),
        "other_case_ids": list(story.other_case_ids),
    }


def expected_json(expected: Iterable[Expected]) -> Sequence[dict[str, Any]]:
    """What comes next, for programs."""
    return [
        {"track": each.track, "at": each.at, "what": each.what, "condition": each.condition or None}
        for each in expected
    ]
