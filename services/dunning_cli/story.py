"""The story of a case or an account, from the events that were published: what, when, why, what next.

Pure. Takes events as values, wherever they were read: topics, or the `journal` and `outbox` of the services. Events of
the payment platform may be among them, and then tell what the services reacted to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dunning.contracts.topics import (
    ACCOUNT_STATUS,
    NOTICE_RESULT,
    PAYMENT_FAILED,
    PAYMENT_SUCCEEDED,
    RETRY_REQUESTED,
    SIGNALS,
    STAGE_CHANGED,
)
from dunning.domain.rfc3339 import instant
from dunning.domain.words import Track
from dunning_cli.money import money
from dunning_cli.story_words import because, consequence, notice_outcome, signal_text

PAYMENT, STATUS = "payment", "status"
_RESTRICTING = frozenset({"restricted", "suspended", "terminated"})
_CLOSED = frozenset({"recovered", "closed", "terminated"})  # stages that only a closed case has
_ENDS = _CLOSED | {"cancelled"}
_TIMES = ("effective_at", "failed_at", "succeeded_at", "not_before", "since", "at")
_ORDER = (PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, STAGE_CHANGED, RETRY_REQUESTED, NOTICE_RESULT, ACCOUNT_STATUS)
_TRACKS = list(Track)


@dataclass(frozen=True, slots=True)
class Told:
    """An event: its topic without a prefix, and its data.

    `invoice_id` is its subject, where the data has none; `sequence` orders what one service published at one instant.
    """

    topic: str
    data: Mapping[str, Any]
    invoice_id: str | None = None
    sequence: int = 0

    @property
    def at(self) -> datetime:
        """When it took effect."""
        return instant(str(next(self.data[name] for name in _TIMES if name in self.data)))

    @property
    def instants(self) -> list[datetime]:
        """Every time that its sentence may name."""
        upcoming = self.data.get("next")
        named = [self.data.get("not_after"), upcoming["due_at"] if upcoming else None]
        return [self.at, *(instant(str(at)) for at in named if at)]

    @property
    def order(self) -> tuple[datetime, int, int, int]:
        """By time; at one instant causes before what they caused, and the tracks in the order of the contracts."""
        track = _TRACKS.index(self.data["track"]) if self.topic == STAGE_CHANGED else 0
        return self.at, _ORDER.index(self.topic), track, self.sequence


@dataclass(frozen=True, slots=True)
class Line:
    """One step: on which track, of which invoice (None: the whole account), and what happened, as a sentence."""

    at: datetime
    track: str
    invoice_id: str | None
    text: str


def timeline(events: Iterable[Told]) -> list[Line]:
    """Every step in the order of time. The same event given twice is told once."""
    ordered = sorted(_once(events), key=lambda told: told.order)
    teller = _Teller(ordered, Clock.covering([at for told in ordered for at in told.instants]))
    return [Line(told.at, _track(told), _invoice_of(told), text) for told in ordered if (text := teller.tell(told))]


def next_steps(events: Iterable[Told]) -> list[str]:
    """What comes next on every track of every open case, as far as it is known; empty when all is over."""
    known = sorted(_once(events), key=lambda told: told.order)
    clock = Clock.covering([told.at for told in known])
    last: dict[tuple[str, str], Mapping[str, Any]] = {}
    for told in known:
        if told.topic == STAGE_CHANGED:
            last[told.data["case_id"], told.data["track"]] = told.data
    over = {case_id for (case_id, _), data in last.items() if data["to_stage"] in _CLOSED}
    statuses = [told.data["status"] for told in known if told.topic == ACCOUNT_STATUS]
    stands_still = statuses[-1:] == ["terminated"]
    return [
        f"{data['invoice_id']}, {track}: {_expected(data, clock, stands_still=stands_still)}"
        for (case_id, track), data in sorted(last.items(), key=lambda item: (item[1]["invoice_id"], item[0][1]))
        if case_id not in over and data["to_stage"] not in _ENDS
    ]


def render(lines: Sequence[Line]) -> list[str]:
    """The timeline as text, with the invoices named where there are several."""
    clock = Clock.covering([line.at for line in lines])
    several = len({line.invoice_id for line in lines if line.invoice_id}) > 1
    width = max((len(line.invoice_id or "") for line in lines), default=0)
    return [
        f"{clock.show(line.at)}  {line.track:<7}  "
        + (f"{line.invoice_id or '':<{width}}  " if several else "")
        + line.text
        for line in lines
    ]


@dataclass(frozen=True, slots=True)
class Clock:
    """How instants are shown: tenths of a second in a story of minutes, dates in one of weeks. Always UTC."""

    format: str
    with_tenths: bool

    @classmethod
    def covering(cls, instants: Sequence[datetime]) -> "Clock":
        """What suits this span."""
        span = max(instants) - min(instants) if instants else timedelta()
        if span < timedelta(hours=6):
            return cls("%H:%M:%S", True)
        return cls("%Y-%m-%d %H:%M", False)

    def show(self, at: datetime) -> str:
        """The instant as text."""
        text = at.astimezone(UTC).strftime(self.format)
        return f"{text}.{at.microsecond // 100_000}" if self.with_tenths else text

    def show_text(self, at: str) -> str:
        """The same of an RFC 3339 time."""
        return self.show(instant(at))


class _Teller:
    """Turns one event into a sentence, knowing those before it."""

    def __init__(self, events: Sequence[Told], clock: Clock) -> None:
        self._clock = clock
        self._reached: dict[str, tuple[str, datetime]] = {}
        self._requests = {told.data["retry_id"]: told.data for told in events if told.topic == RETRY_REQUESTED}
        self._delivered_at_once = {
            told.data["notice_id"]: told.at
            for told in events
            if told.topic == NOTICE_RESULT and told.data["outcome"] == "delivered"
        }

    def tell(self, told: Told) -> str:
        """A sentence, or nothing where another event says it all."""
        data = told.data
        match told.topic:
            case "payment.failed":
                return self._failed(data)
            case "payment.succeeded":
                return self._succeeded(data)
            case "dunning.signals":
                return signal_text(data)
            case "dunning.stage.changed":
                return self._moved(data)
            case "dunning.retry.requested":
                return "" if data["retry_id"] not in self._requests else self._requested(data)
            case "dunning.notice.result":
                return self._notice(told)
            case _:
                return self._status(data)

    def _failed(self, data: Mapping[str, Any]) -> str:
        failure, amount = data["failure"], money(data["amount_minor"], data["currency"])
        if failure["code"] == "payment_overdue":
            return f"{amount} were due and did not come (payment_overdue)."
        codes = " ".join(
            str(failure[name]) for name in ("network", "network_decline_code", "network_advice_code") if name in failure
        )
        code = failure["code"] + (f", {codes}" if codes else "")
        return f"Attempt {data['attempt_number']} to charge {amount} failed: {code}."

    def _succeeded(self, data: Mapping[str, Any]) -> str:
        amount = money(data["amount_minor"], data["currency"])
        remaining_minor = data["invoice"]["amount_remaining_minor"]
        by_customer = data.get("initiated_by") == "customer"
        how = "The charge went through" if data.get("retry_id") else "The customer paid" if by_customer else "Paid"
        rest = f"; {money(remaining_minor, data['currency'])} remain" if remaining_minor else ""
        return f"{how}: {amount}{rest}."

    def _moved(self, data: Mapping[str, Any]) -> str:
        to_stage, track = data["to_stage"], data["track"]
        request = self._requests.pop((data.get("details") or {}).get("retry_id", ""), None)
        if to_stage == "requested" and request is not None:
            return self._requested(request)  # the request itself tells more
        why = because(data["reason"], track)
        if track == "notice":
            said = (
                f"Rung {to_stage} is reached" if data["reason"] == "rung_due" else f"Ends as {to_stage}, because {why}"
            )
        else:
            left = "" if data["from_stage"] == "none" else f"{data['from_stage']} to "
            said = f"{left}{to_stage}, because {why}"
        if track == "account" and to_stage in _RESTRICTING and data["case_id"] in self._reached:
            rung, at = self._reached[data["case_id"]]
            said += f"; {rung} had reached the customer at {self._clock.show(at)}"
        upcoming = data.get("next")
        if upcoming:
            what = "next charge" if upcoming["stage"] == "requested" else f"next is {upcoming['stage']}"
            said += f"; {what} at {self._clock.show_text(upcoming['due_at'])}"
        return f"{said}."

    def _requested(self, data: Mapping[str, Any]) -> str:
        until = self._clock.show_text(data["not_after"])
        amount = money(data["amount_minor"], data["currency"])
        return f"Asked for a charge of {amount}, attempt {data['attempt_number']}; valid until {until}."

    def _notice(self, told: Told) -> str:
        data = told.data
        if data["outcome"] == "delivered":
            for case_id in data["case_ids"]:
                self._reached[case_id] = (data["rung"], told.at)
        at_once = self._delivered_at_once.get(data["notice_id"]) == told.at
        if at_once and data["outcome"] == "delivered":
            return ""
        return notice_outcome(data, delivered=at_once and data["outcome"] == "sent")

    def _status(self, data: Mapping[str, Any]) -> str:
        if data["status"] == data["previous_status"]:
            return ""
        owed = " and ".join(money(one["amount_minor"], one["currency"]) for one in data["to_reinstate"])
        return f"The account is {data['status']}{consequence(data['status'], owed)}."


def _expected(data: Mapping[str, Any], clock: Clock, *, stands_still: bool) -> str:
    upcoming = data.get("next")
    if stands_still and data["track"] != "retry":
        return f"stays {data['to_stage']} while the account is terminated"
    if upcoming and upcoming["stage"] == "requested":
        return f"a charge at {clock.show_text(upcoming['due_at'])}"
    if upcoming:
        return f"{upcoming['stage']} at {clock.show_text(upcoming['due_at'])}"
    waits = {
        "waiting_for_customer": "waits for a new payment method",
        "requested": "waits for the processor's answer",
        "exhausted": "charges nothing more by itself",
        "paused": "charges nothing until nothing holds it any more",
    }
    if data["track"] == "notice":
        return "says nothing more before the account's next step"
    return waits.get(data["to_stage"], f"stays {data['to_stage']} until something happens")


def _once(events: Iterable[Told]) -> list[Told]:
    found: list[Told] = []
    seen: set[tuple[str, str]] = set()
    for told in events:
        key = (told.topic, repr(sorted(told.data.items())))
        if key not in seen:
            seen.add(key)
            found.append(told)
    return found


def _track(told: Told) -> str:
    match told.topic:
        case "payment.failed" | "payment.succeeded" | "dunning.signals":
            return PAYMENT
        case "dunning.retry.requested":
            return "retry"
        case "dunning.notice.result":
            return "notice"
        case "dunning.account.status":
            return STATUS
        case _:
            return str(told.data["track"])


def _invoice_of(told: Told) -> str | None:
    if told.topic == ACCOUNT_STATUS:
        return None
    invoice = told.data.get("invoice")
    if isinstance(invoice, Mapping):
        return str(invoice["id"])
    found = told.data.get("invoice_id", told.invoice_id)
    return str(found) if found else None
