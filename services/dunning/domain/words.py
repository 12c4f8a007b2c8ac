"""The closed vocabularies of the platform, as they stand on the wire.

Values are what `docs/events.md` says; an unknown value read from outside becomes `OTHER` where the enum has one.
"""

from enum import StrEnum


class Track(StrEnum):
    """The three sides of a case; each is owned by exactly one service."""

    RETRY = "retry"
    NOTICE = "notice"
    ACCOUNT = "account"


class RetryStage(StrEnum):
    """Where charging again stands."""

    NONE = "none"
    SCHEDULED = "scheduled"
    REQUESTED = "requested"
    WAITING_FOR_CUSTOMER = "waiting_for_customer"
    PAUSED = "paused"
    RECOVERED = "recovered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


class AccountStage(StrEnum):
    """What an account may still do; also the values of an account's status. Ordered from best to worst."""

    ACTIVE = "active"
    PAST_DUE = "past_due"
    RESTRICTED = "restricted"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"

    @property
    def severity(self) -> int:
        """0 for active, rising to 4 for terminated."""
        return _SEVERITY[self]

    @property
    def restricts(self) -> bool:
        """Whether entering this stage takes something away (rules 23, 24 and 33 speak of these)."""
        return self in RESTRICTING


_SEVERITY = {stage: number for number, stage in enumerate(AccountStage)}
RESTRICTING = frozenset({AccountStage.RESTRICTED, AccountStage.SUSPENDED, AccountStage.TERMINATED})

NOTICE_NONE = "none"
NOTICE_RECOVERED = "recovered"
NOTICE_CLOSED = "closed"


class Channel(StrEnum):
    """Ways to reach a customer."""

    EMAIL = "email"
    SMS = "sms"
    IN_APP = "in_app"
    PUSH = "push"
    LETTER = "letter"
    CALL = "call"
    WEBHOOK = "webhook"


class Outcome(StrEnum):
    """How a notice ended on one channel. A bounce may follow a delivery."""

    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SUPPRESSED = "suppressed"
    SUPERSEDED = "superseded"
    OTHER = "other"


class DeclineClass(StrEnum):
    """What a refusal means for the next attempt (docs/concepts.md)."""

    SOFT = "soft"
    HARD = "hard"
    NEEDS_CUSTOMER = "needs_customer"
    TECHNICAL = "technical"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Reason words that the rules name; free-text reasons appear only where a signal brings its own."""

    PAYMENT_FAILED = "payment_failed"
    GRACE_PERIOD_EXPIRED = "grace_period_expired"
    RETRIES_EXHAUSTED = "retries_exhausted"
    HARD_DECLINED = "hard_declined"
    BUDGET_EXHAUSTED = "budget_exhausted"
    PAID = "paid"
    PAID_ELSEWHERE = "paid_elsewhere"
    VOIDED = "voided"
    REINSTATED = "reinstated"
    TERMINATED = "terminated"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    DISPUTED = "disputed"
    PROMISE_BROKEN = "promise_broken"
    CUSTOMER_UNREACHABLE = "customer_unreachable"
    NO_ADDRESS = "no_address"
    ADDRESS_BOUNCED = "address_bounced"
    ADDRESS_TRIED = "address_tried"
    CHANNEL_NOT_CONFIGURED = "channel_not_configured"
    CHANNEL_SHUT = "channel_shut"
    NO_CONSENT = "no_consent"
    ERASED = "erased"
    NO_RECEIPT = "no_receipt"
