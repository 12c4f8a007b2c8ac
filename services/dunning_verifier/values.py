"""What the verifier looks at, as plain values: records, inputs, outputs, dead letters, mails, charges, violations.

Times are aware datetimes in UTC; amounts are integers in the currency's minor unit. `logged_at` is the log's timestamp
of a record, which says when anybody could have read it; `happened_at` of an output is when its service decided it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

FAILED = "payment.failed"
SUCCEEDED = "payment.succeeded"
SIGNALS = "dunning.signals"
STAGE_CHANGED = "dunning.stage.changed"
RETRY_REQUESTED = "dunning.retry.requested"
NOTICE_RESULT = "dunning.notice.result"
ACCOUNT_STATUS = "dunning.account.status"
INPUT_TOPICS = (FAILED, SUCCEEDED, SIGNALS)
OUTPUT_TOPICS = (STAGE_CHANGED, RETRY_REQUESTED, NOTICE_RESULT, ACCOUNT_STATUS)

SCHEDULER = "retry_scheduler"
DISPATCHER = "notification_dispatcher"
ENFORCEMENT = "account_enforcement"
SERVICES = (SCHEDULER, DISPATCHER, ENFORCEMENT)
INITIAL_STAGE = {"retry": "none", "notice": "none", "account": "active"}
OWNER_OF_TRACK = {"retry": SCHEDULER, "notice": DISPATCHER, "account": ENFORCEMENT}
READERS = {
    FAILED: SERVICES,
    SUCCEEDED: SERVICES,
    SIGNALS: SERVICES,
    STAGE_CHANGED: (SCHEDULER, DISPATCHER),
    NOTICE_RESULT: (ENFORCEMENT,),
    RETRY_REQUESTED: (),
    ACCOUNT_STATUS: (),
}
SEVERITY = {"active": 0, "past_due": 1, "restricted": 2, "suspended": 3, "terminated": 4}
RESTRICTING = {"restricted", "suspended", "terminated"}
WENT_OUT = frozenset({"sent", "delivered", "bounced", "unknown"})  # what the customer may have seen
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
GRAIN = timedelta(seconds=1)  # times may be written without fractions


def either(words: Iterable[str]) -> str:
    """Any of these, in words."""
    return " or ".join(sorted(words))


class Where(NamedTuple):
    """A place in a log: enough to look the record up."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much the clocks and the reading may differ before something is called a violation.

    `skew` is between the clocks of whoever stamps a record, the database and the outside world. `lag` is how long after
    a record was in the log a service may still act without having read it. What a service knew is judged by both: the
    rules demand that everything logged before a step's due time was read (`skew`), and it would be odd not to have read
    what was logged long before the step was taken (`lag`).
    """

    skew: timedelta = timedelta(seconds=1)
    lag: timedelta = timedelta(seconds=60)

    @property
    def slack(self) -> timedelta:
        """By how much an instant may be missed that somebody wrote down."""
        return max(self.skew, GRAIN)

    def read_before(self, due_at: datetime | None, done_at: datetime) -> datetime:
        """Whatever was logged before this instant was read when a step that was due and done then was taken.

        None as a due time means that it is not known.
        """
        long_ago = done_at - self.lag
        return long_ago if due_at is None else max(min(due_at, done_at) - self.skew, long_ago)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a log as it came, its topic without the prefix."""

    where: Where
    logged_at: datetime
    key: str | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    def header(self, name: str) -> str | None:
        """The text of a header, or None."""
        wanted = name.lower()
        return next((value.decode("utf-8", "replace") for key, value in self.headers if key.lower() == wanted), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An event out of its wrapping, whichever of the readable forms it came in."""

    where: Where
    logged_at: datetime
    key: str | None
    data: Mapping[str, Any]
    id: str | None = None
    source: str | None = None
    time: datetime | None = None
    sequence: int | None = None
    doubts: tuple[str, ...] = ()  # why a careful reader might refuse it all the same


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that no reader can make sense of; its place is among the dead letters."""

    where: Where
    logged_at: datetime
    reason: str
    value: bytes | None
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What all inputs have in common. `identity` says when two reports are the same thing (rule 1)."""

    where: Where
    logged_at: datetime
    account_id: str
    identity: tuple[Any, ...]
    content: tuple[Any, ...]  # the required fields: same identity with another content is a conflict
    event: tuple[str, str] | None  # source and id of the CloudEvent
    livemode: bool
    doubtful: str | None  # why a careful reader might refuse it; None where nobody should
    customer: Mapping[str, Any]
    time: datetime  # the event's own


@dataclass(frozen=True, slots=True)
class Card:
    """What was charged and by whom, as an event says it; empty where it does not. Networks count by `key`."""

    key: str  # the fingerprint, else the id
    id: str
    visa: bool
    country: str
    merchant: str
    processor: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Card":
        """From an event's data."""
        method, origin, failure = (_object(data, name) for name in ("payment_method", "processor", "failure"))
        networks = {_letters(method.get("brand")), _letters(failure.get("network"))}
        return cls(
            key=str(method.get("fingerprint") or method.get("id") or ""),
            id=str(method.get("id") or ""),
            visa=bool(networks & _VISA),
            country=str(method.get("country") or "").upper(),
            merchant=str(origin.get("merchant_id") or ""),
            processor=_letters(origin.get("name")),
        )


_VISA = frozenset({"visa", "vi", "visacredit", "visadebit", "visaelectron", "vpay"})


def _object(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, Mapping) else {}


def _letters(name: Any) -> str:
    return "".join(letter for letter in str(name or "").casefold() if letter not in " _-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Input):
    """A `payment.failed`."""

    invoice_id: str
    payment_id: str
    attempt_number: int
    retry_id: str | None
    amount_due_minor: int
    currency: str
    code: str
    plain_code: bool  # no network's word or class beside the code
    network_code: str
    card: Card
    initiated_by: str | None
    segment: str | None
    payment_type: str | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Success(Input):
    """A `payment.succeeded`."""

    invoice_id: str
    payment_id: str
    attempt_number: int | None
    retry_id: str | None
    amount_remaining_minor: int
    currency: str
    initiated_by: str | None
    card: Card


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Input):
    """A `dunning.signals`."""

    kind: str
    invoice_id: str | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What all that the services publish has in common."""

    where: Where
    logged_at: datetime
    happened_at: datetime
    event_id: str | None  # None in a simulation, which writes no ids
    source: str | None
    key: str | None
    sequence: int | None
    account_id: str
    digest: str  # of everything that must be the same when the event is published again


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition(Output):
    """A `dunning.stage.changed`."""

    case_id: str
    invoice_id: str
    track: str
    from_stage: str
    to_stage: str
    reason: str
    effective_at: datetime
    policy: tuple[str, int]
    next_due_at: datetime | None
    amount_minor: int
    currency: str

    @property
    def worsens(self) -> bool:
        """Whether it is a step of the account to something worse."""
        return self.track == "account" and SEVERITY.get(self.to_stage, 0) > SEVERITY.get(self.from_stage, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Output):
    """A `dunning.retry.requested`."""

    case_id: str
    invoice_id: str
    retry_id: str
    payment_id: str
    payment_method_id: str | None
    attempt_number: int
    amount_minor: int
    currency: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Output):
    """A `dunning.notice.result`."""

    notice_id: str
    case_ids: tuple[str, ...]
    rung: str
    channel: str
    template: str | None
    outcome: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A line of `open_cases` in an account's status."""

    case_id: str
    invoice_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Output):
    """A `dunning.account.status`."""

    status: str
    previous_status: str
    since: datetime
    open_cases: tuple[OpenCase, ...]
    open_cases_total: int | None = None  # where not all are listed
    to_reinstate: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a service set aside. `origin` is None where its headers do not say where it came from."""

    where: Where
    service: str
    origin: Where | None
    reason: str | None
    value: bytes | None
    key: str | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that reached the other side. `name` is its file."""

    name: str
    notice_id: str | None
    arrived_at: datetime | None


@dataclass(frozen=True, slots=True)
class Charge:
    """A line of the processor's ledger: a charge that it really made, won or lost."""

    line: int
    retry_id: str
    invoice_id: str
    at: datetime
    outcome: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept, with the place that shows it."""

    promise: int
    what: str
    where: Where | str | None = None
    account_id: str | None = None
    case_id: str | None = None

    def __str__(self) -> str:
        ids = "".join(
            f" {name}={value}" for name, value in (("case", self.case_id), ("account", self.account_id)) if value
        )
        return f"promise {self.promise}: {self.what} {ids} at {self.where or 'the end'}"
