"""What the notification dispatcher keeps: a case's notices and what became of them, an account's marked addresses."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from dunning.domain.case import Account, Case
from dunning.domain.words import Channel

_KEY_LENGTH = 16


def address_key(address: str | None) -> str:
    """What tells one address from another without holding it; empty for none."""
    return sha256(address.encode("utf-8", "replace")).hexdigest()[:_KEY_LENGTH] if address else ""


class NoticeState(StrEnum):
    """Where one notice on one channel stands. The words after `ORDERED` are outcomes."""

    WAITING = "waiting"  # for quiet hours to end, or for a cap to allow it
    ORDERED = "ordered"  # an errand is out
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    SUPERSEDED = "superseded"


WENT_OUT = frozenset({NoticeState.SENT, NoticeState.DELIVERED, NoticeState.BOUNCED, NoticeState.UNKNOWN})
ON_ITS_WAY = frozenset({NoticeState.WAITING, NoticeState.ORDERED, NoticeState.SENT, NoticeState.DELIVERED})


@dataclass(slots=True)
class EarlyBounce:
    """A bounce that was read before the report that its notice went out."""

    at: datetime
    permanent: bool


@dataclass(slots=True)
class Notice:
    """One notice of a rung on one channel, to one address (rule 31)."""

    id: str
    rung: str
    channel: Channel
    round: int  # 2: a warning that had grown too old and was sent once more (rule 25)
    state: NoticeState = NoticeState.WAITING
    address_key: str = ""  # a digest, to tell one address from another: the address itself stands with the facts alone
    due: datetime | None = None  # while it waits
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    withdrawn_as: NoticeState | None = None  # what to publish when the errand comes back undone
    withdrawn_reason: str = ""
    outcomes: list[str] = field(default_factory=list)  # already published: each goes out once
    early_bounce: EarlyBounce | None = None
    early_delivery: datetime | None = None  # a receipt that was read before that report
    address: str = ""  # in rows from before there was a digest; gone when such a row is written again

    def __post_init__(self) -> None:
        """A notice of a former version knows its address all the same, or it would go there again (rule 31)."""
        self.address_key, self.address = self.address_key or address_key(self.address), ""


@dataclass(slots=True)
class Happened:
    """A restricting rung that account enforcement entered, of a case that is not open here yet."""

    case_id: str
    to_stage: str
    rung: str
    at: datetime


EARLY_NEWS_MAX = 16  # per invoice


@dataclass(slots=True)
class NoticeCase(Case):
    """A case on the notice track."""

    notices: list[Notice] = field(default_factory=list)
    happened: dict[str, datetime] = field(default_factory=dict)  # restricting rungs, as account enforcement said
    early: list[Happened] = field(default_factory=list)  # heard before the failure that opens the case was read
    results: int = 0  # `sequence` of `dunning.notice.result`
    decline_class: str = "unknown"  # of the latest failure, for the words of a notice
    failure_code: str = ""
    invoice_number: str | None = None

    before: list["NoticeCase"] = field(default_factory=list)  # former cases whose errands have not come back yet

    @property
    def has_errands_out(self) -> bool:
        """Whether something that was ordered is not reported yet."""
        return any(notice.state is NoticeState.ORDERED for notice in self.notices)

    def of_rung(self, rung: str) -> list[Notice]:
        """The notices of a rung's latest round."""
        own = [notice for notice in self.notices if notice.rung == rung]
        latest = max([notice.round for notice in own], default=1)
        return own if latest == 1 else [notice for notice in own if notice.round == latest]


@dataclass(slots=True)
class Contact:
    """A notice that really went out, or is on its way: what caps count, over all invoices (rule 32)."""

    notice_id: str
    channel: Channel
    at: datetime | None = None  # None: on its way, so it may go out at any moment


@dataclass(slots=True)
class Consent:
    """Whether a channel may be used, as the customer said last."""

    allowed: bool
    at: datetime


@dataclass(slots=True)
class NoticeAccount(Account[NoticeCase]):
    """An account on the notice track."""

    contacts: list[Contact] = field(default_factory=list)  # as far back as any cap on file counts
    consent: dict[str, Consent] = field(default_factory=dict)  # by channel; what is not named is allowed

    bounced: dict[str, str] = field(default_factory=dict)  # address by channel that bounced for good, until it changes
