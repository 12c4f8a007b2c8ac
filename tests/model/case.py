"""What is remembered of a case: what was done for it. All else is derived from the history anew."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from tests.model.asked import Request
from tests.model.history import Data, Fact, failure_order
from tests.model.policies import Policy


@dataclass
class Attempt:
    """A try to charge that did not bring the money: a failure, a time-out or a part of the money."""

    order: tuple[datetime, int, int, str]  # its time, and what decides between two of one instant
    decline_class: str
    method: Data | None
    method_at: datetime | None  # as of when the method is a fact; None where the failure did not name it
    failure: Data
    timed_out: str | None = None  # the request that nobody answered
    late: bool = False  # an answer after its time
    foreign: bool = False  # answers no request of ours
    fact: Fact | None = None  # that reports it

    @property
    def at(self) -> datetime:
        return self.order[0]


@dataclass
class Plan:
    """The next charge; `kind` is `after`, `technical` or `extra` (rule 18, uses up nothing)."""

    due_at: datetime
    kind: str


@dataclass(eq=False)
class Sending:
    """A notice through one channel to one address; `state` is waiting, delivered, bounced, suppressed or superseded."""

    rung: str
    channel: str
    address: str | None
    state: str
    delivered_at: datetime | None = None
    ended_at: datetime | None = None  # without a delivery
    round: int = 1
    begun: bool = False  # looked at once; then again when it may go out, and not before


@lru_cache(maxsize=100)
def case_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


@dataclass
class Case:
    account: str
    invoice: str
    number: int
    failures: list[Fact]
    policy: Policy
    zone: ZoneInfo
    country: str | None
    closed: str | None = None

    retry_stage: str = "none"
    requests: list[Request] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    plan: Plan | None = None
    answered_at: datetime | None = None  # when the last request ended; none while one is open
    owed_since: datetime | None = None  # a charge at once that a pause revoked was asked for then
    rest_seen: datetime | None = None  # when a timer last looked at a rest that begins
    given_up: str | None = None  # why a charge that was due cannot be made any more
    spent_order: datetime | None = None  # orders up to here were carried out
    spent_update: datetime | None = None  # new methods up to here were charged
    used_after: int = 0
    used_technical: int = 0

    notice_stage: str = "none"
    entered: list[str] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    rounds: dict[str, int] = field(default_factory=dict)

    account_stage: str = "active"
    stage_since: datetime | None = None
    happened: dict[str, datetime] = field(default_factory=dict)
    walked_by: set[str] = field(default_factory=set)  # notices with conditions that the account's track left behind
    shift: tuple[str, datetime] | None = None
    terminated_at: datetime | None = None

    sequences: dict[str, int] = field(default_factory=dict)
    owed: int | None = None  # when it was paid while it was terminated, which an earlier closing undoes (0003, rule 37)
    ordered: tuple[list[Fact], list[Fact]] | None = None  # the failures, and they by their times

    @property
    def id(self) -> str:
        """Rule 8."""
        return case_id(f"{self.account}/{self.invoice}/{self.number}")

    @property
    def first(self) -> Fact:
        return self.in_order()[0]

    def in_order(self) -> list[Fact]:
        """By their own times; at one instant the lower attempt comes first."""
        if self.ordered is None or self.ordered[0] is not self.failures:
            self.ordered = self.failures, sorted(self.failures, key=failure_order)
        return self.ordered[1]

    @property
    def currency(self) -> str:
        return str(self.first.data["currency"])

    @property
    def open_request(self) -> Request | None:
        return next((one for one in self.requests if one.state == "open"), None)

    def anchor(self) -> datetime:
        """Rule 11: without `due_at` the first failure."""
        due = [one.data["invoice"]["due_at"] for one in self.in_order() if one.data["invoice"].get("due_at")]
        if self.policy.anchor == "due_date" and due:
            return datetime.fromisoformat(due[0])
        return self.first.own_at
