"""What the retry scheduler keeps: a case's plan and open request, an account's barred methods."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dunning.domain.case import Account, Case
from dunning.domain.events import PaymentMethod
from dunning.domain.facts import Known
from dunning.domain.turn import Turn
from dunning.domain.words import DeclineClass, RetryStage


class RetryKind(StrEnum):
    """What a retry uses up (rules 16 and 18)."""

    PLANNED = "planned"  # one of `after`
    TECHNICAL = "technical"  # one of `technical_after`
    EXTRA = "extra"  # nothing: a new payment method, or an operator's order


@dataclass(slots=True)
class Plan:
    """A retry to come."""

    at: datetime
    kind: RetryKind
    waits_for: str = ""  # the network's limit that put it off, in words; empty: none did


@dataclass(slots=True)
class Request:
    """A charge that was asked for and is not answered yet; void from `not_after` on (rule 14)."""

    retry_id: str
    attempt_number: int
    payment_id: str
    not_before: datetime
    not_after: datetime
    method: PaymentMethod | None
    kind: RetryKind
    revoked: bool = False  # by a pause or a dispute; kept, for the charge may have been made before that was read

    @property
    def method_key(self) -> str:
        """Identity of what is to be charged; empty where that is not known."""
        return self.method.key if self.method else ""


@dataclass(slots=True)
class Mark:
    """What counts like an attempt without being a failure: a time-out, or a part of the money (rules 14 and 15)."""

    at: datetime
    decline_class: DeclineClass
    retry_id: str  # of a time-out, whose answer may come after its time; empty: that of a part of the money was in time
    method_key: str


@dataclass(slots=True)
class Tried:
    """A payment method and as of when it is known: charged, or entered by the customer."""

    method: PaymentMethod
    at: datetime


@dataclass(slots=True)
class Asked:
    """What an answer to a request of ours may be known by, also after its time."""

    retry_id: str
    payment_id: str
    attempt_number: int
    at: datetime
    method_key: str
    gave_back: RetryKind | None = None  # what it had used up, when it was revoked; until it turns out to be charged
    void_from: datetime | None = None  # where it was revoked, when it would have run out
    answered_until: datetime | None = None  # where it was answered: up to when another answer is in time as well
    method_at: datetime | None = None  # as of when the method was known that we asked to charge
    echoed_at: list[datetime] = field(default_factory=list)  # when failures of just this method answered: no news of it
    echoed_as: Tried | None = None  # what the newest of them calls it: news to the next case, if that has it


@dataclass(slots=True)
class RetryCase(Case):
    """A case on the retry track."""

    plan: Plan | None = None
    request: Request | None = None
    planned_used: int = 0
    technical_used: int = 0
    requests: int = 0  # how many were published: `sequence` of `dunning.retry.requested`
    charged_for: str = ""  # class of the decline that the newest request is to get over
    requested: list[Asked] = field(default_factory=list)
    mark: Mark | None = None
    tried: list[Tried] = field(default_factory=list)  # newest first
    merchant: Known | None = None  # who charges, as failures said last; networks count per merchant and card
    processor: Known | None = None
    processors: list[Known] = field(default_factory=list)  # all that were said, each from its first word on
    others_tried_at: datetime | None = None  # when somebody else tried to charge last: no answer to a request of ours
    answered_at: datetime | None = None  # when the last request ended: answered, in part too, or timed out; none open
    given_up: bool = False  # a charge that was due found no time or no budget left; finished until urged on
    given_up_for: str = ""  # the reason of that
    ordered_at: datetime | None = None  # the newest `retry.now`, also where its failure was not read yet
    orders: list[datetime] = field(default_factory=list)  # those before it, oldest first: what was known as of a time
    order_spent: datetime | None = None  # orders up to here were carried out
    update_spent: datetime | None = None  # new methods up to here were charged
    owed_since: datetime | None = None  # when a charge at once was asked for that a pause revoked

    @property
    def open_request(self) -> Request | None:
        """The request that may still be charged."""
        return self.request if self.request is not None and not self.request.revoked else None

    @property
    def answer_by(self) -> datetime | None:
        """When the open request runs out."""
        return self.open_request.not_after if self.open and self.open_request else None

    @property
    def is_finished(self) -> bool:
        """Nothing more is planned on this track by itself."""
        return self.stage in (RetryStage.RECOVERED, RetryStage.EXHAUSTED, RetryStage.CANCELLED)


@dataclass(slots=True)
class RetryAccount(Account[RetryCase]):
    """An account on the retry track."""

    barred: list[str] = field(default_factory=list)  # methods that were declined hard (rule 18)
    barred_at: dict[str, datetime] = field(default_factory=dict)  # the first of these declines, by method
    updates: list[Tried] = field(default_factory=list)  # what `payment_method.updated` said, as it was read
    new_method: PaymentMethod | None = None  # of the newest of them that counts
    new_method_at: datetime | None = None
    countries: dict[str, list[Known]] = field(default_factory=dict)  # where cards were issued, by method


RetryTurn = Turn[RetryAccount]
