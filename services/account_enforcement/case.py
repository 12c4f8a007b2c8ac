"""What account enforcement keeps: the deliveries of a case's warnings, and the status that was published last."""

from dataclasses import dataclass, field
from datetime import datetime

from account_enforcement.noted import Noted
from dunning.domain.case import Account, Case
from dunning.domain.events import OpenCase, Owed
from dunning.domain.words import AccountStage

DELIVERIES_MAX = 64  # per invoice
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

    @property
    def stands(self) -> bool:
        """Delivered and not bounced since (rule 25)."""
        return self.delivered_at is not None and (self.bounced_at is None or self.bounced_at < self.delivered_at)


@dataclass(slots=True)
class AccountCase(Case):
    """A case on the account track."""

    deliveries: list[Delivery] = field(default_factory=list)
    stage_since: datetime | None = None
    held_since: datetime | None = None  # the next rung is due and waits for the brake (rule 45)
    stage_left: str = ""  # where it stood when it closed, for the case that replaces it (rule 7)
    noted: dict[str, Noted] = field(default_factory=dict)  # by kind: promises and plans of the invoice


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
