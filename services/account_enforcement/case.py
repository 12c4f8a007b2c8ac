"""What account enforcement keeps: the deliveries of a case's warnings, and the status that was published last."""

from dataclasses import dataclass, field
from datetime import datetime

from account_enforcement.noted import Noted
from dunning.domain.case import Account, Case
from dunning.domain.events import OpenCase, Owed
from dunning.domain.turn import Turn
from dunning.domain.words import AccountStage, Outcome

DELIVERIES_MAX = 64  # per invoice
UNDELIVERED = frozenset({Outcome.FAILED, Outcome.UNKNOWN, Outcome.SUPPRESSED})
HEARD = frozenset({Outcome.DELIVERED, Outcome.BOUNCED, *UNDELIVERED})  # of notices; others end no warning
OPEN_CASES_LISTED_MAX = 1000  # in a status: with the longest ids they stay below what the topic takes, 1 MiB


@dataclass(slots=True)
class Delivery:
    """A notice that reached the customer, as the notification dispatcher said; a bounce takes it back."""

    case_id: str
    rung: str
    notice_id: str
    channel: str
    delivered_at: datetime | None = None
    bounced_at: datetime | None = None
    failed_at: datetime | None = None  # ended otherwise without a delivery: not sent at all, failed, or unknown

    @property
    def told_at(self) -> datetime | None:
        """When it came to an end, first of all by its delivery."""
        return self.delivered_at or self.failed_at or self.bounced_at

    @property
    def stands(self) -> bool:
        """Delivered and not bounced since (rule 25)."""
        return self.delivered_at is not None and (self.bounced_at is None or self.bounced_at < self.delivered_at)

    @property
    def ended_at(self) -> datetime | None:
        """When this notice ended without reaching the customer; None where it may have, or may still."""
        if self.stands:
            return None
        return max((at for at in (self.bounced_at, self.failed_at) if at is not None), default=None)


@dataclass(slots=True)
class Addressed:
    """The notices that a customer's present address gets of a warning, by round; none where the address was removed."""

    at: datetime
    notice_ids: list[str]


@dataclass(slots=True)
class AccountCase(Case):
    """A case on the account track."""

    deliveries: list[Delivery] = field(default_factory=list)
    addressed: dict[str, Addressed] = field(default_factory=dict)  # by warning and channel, where `unreachable` is set
    stage_since: datetime | None = None
    waited_for: int = 0  # index into the ladder: what comes behind need not wait for those before it any more (rule 23)
    held_since: datetime | None = None  # the next rung is due and waits for the brake (rule 45)
    stage_left: str = ""  # where it stood when it closed, and since when, for the case that replaces it (rule 7)
    stage_left_since: datetime | None = None
    noted: dict[str, Noted] = field(default_factory=dict)  # by kind: promises and plans of the invoice

    def deliveries_of(self, rung: str | None) -> list[Delivery]:
        """What became of the notices of a rung, as far as they are this case's."""
        own = (known for known in self.deliveries if known.rung == rung)
        return [known for known in own if self.is_told_of(known.case_id, known.told_at)]


@dataclass(slots=True)
class Published:
    """What the last `dunning.account.status` said."""

    status: AccountStage = AccountStage.ACTIVE
    since: datetime | None = None
    open_cases: list[OpenCase] = field(default_factory=list)
    open_cases_total: int | None = None  # where they are more than are listed
    to_reinstate: list[Owed] = field(default_factory=list)


@dataclass(slots=True)
class EnforcedAccount(Account[AccountCase]):
    """An account on the account track. `sequence` counts its published statuses."""

    sequence: int = 0
    published: Published = field(default_factory=Published)
    noted: dict[str, Noted] = field(default_factory=dict)  # by kind: an expiring payment method
    addresses_at: dict[str, datetime] = field(default_factory=dict)  # by field: when it was said last, not what


AccountTurn = Turn[EnforcedAccount]
