"""What the services read and what they publish, as plain values.

Everything here is independent of the wire: `dunning.contracts` turns bytes into these and these into bytes. Times are
aware datetimes in UTC, money is an integer in the currency's minor unit beside an ISO 4217 code.
"""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from dunning.domain.words import Channel


class Customer(Struct, frozen=True):
    """The person written to. A field that is None was not said, which is different from empty."""

    id: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    timezone: str | None = None
    country: str | None = None
    postal_address: str | None = None  # JSON text in canonical form when the event had an object


class PaymentMethod(Struct, frozen=True):
    """What a charge was, or would be, made with."""

    id: str | None = None
    type: str | None = None
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    fingerprint: str | None = None
    country: str | None = None

    @property
    def key(self) -> str:
        """Identity for bars and budgets: the fingerprint, else the id (rule 18); empty when neither is known."""
        return self.fingerprint or self.id or ""


class Failure(Struct, frozen=True):
    """Why a charge failed, as reported; `dunning.domain.declines` says what it means."""

    code: str
    message: str | None = None
    network: str | None = None
    network_decline_code: str | None = None
    network_advice_code: str | None = None
    decline_class: str | None = None  # `failure.class` on the wire


class PaymentFailed(Struct, frozen=True):
    """A charge attempt failed, or a due payment never came (`failure.code` is `payment_overdue`)."""

    event_id: str
    account_id: str
    invoice_id: str
    payment_id: str
    attempt_number: int
    amount_due_minor: int
    amount_minor: int
    currency: str
    failed_at: datetime
    failure: Failure
    customer: Customer | None = None
    payment_method: PaymentMethod | None = None
    invoice_number: str | None = None
    issued_at: datetime | None = None
    due_at: datetime | None = None
    subscription_id: str | None = None
    initiated_by: str | None = None
    retry_id: str | None = None
    update_payment_url: str | None = None
    segment: str | None = None
    value_minor: int | None = None
    merchant_id: str | None = None
    processor: str | None = None
    livemode: bool = True
    traceparent: str | None = None


class PaymentSucceeded(Struct, frozen=True):
    """Money arrived for an invoice: in full when `amount_remaining_minor` is 0, else in part."""

    event_id: str
    account_id: str
    invoice_id: str
    payment_id: str
    amount_remaining_minor: int
    amount_minor: int
    currency: str
    succeeded_at: datetime
    attempt_number: int | None = None
    customer: Customer | None = None
    payment_method: PaymentMethod | None = None
    initiated_by: str | None = None
    retry_id: str | None = None
    update_payment_url: str | None = None
    merchant_id: str | None = None
    processor: str | None = None
    livemode: bool = True
    traceparent: str | None = None


class Signal(Struct, frozen=True):
    """A fact or an order from outside. `kind` is one of docs/events.md, or `other`; what is not said is None."""

    event_id: str
    account_id: str
    kind: str
    at: datetime
    invoice_id: str | None = None
    customer: Customer | None = None
    payment_method: PaymentMethod | None = None
    channel: Channel | None = None
    notice_id: str | None = None
    rung: str | None = None
    permanent: bool = False
    allowed: bool | None = None
    amount_remaining_minor: int | None = None
    reason: str | None = None
    until: datetime | None = None
    by: str | None = None
    tag: str | None = None
    livemode: bool = True
    details: dict[str, Any] = field(default_factory=dict)  # the whole data, for kinds that only later act
    traceparent: str | None = None


class PolicyRef(Struct, frozen=True):
    """Which policy version a case pinned when it opened (rule 13)."""

    id: str
    version: int


class NextStep(Struct, frozen=True):
    """What comes next on a track, as far as it is known now."""

    stage: str
    due_at: datetime


class StageChanged(Struct, frozen=True):
    """A transition of one track of a case: `dunning.stage.changed`. `sequence` counts per case and track from 1."""

    event_id: str
    sequence: int
    causation_id: str
    case_id: str
    account_id: str
    invoice_id: str
    track: str
    from_stage: str
    to_stage: str
    reason: str
    effective_at: datetime
    policy: PolicyRef
    next: NextStep | None
    amount_minor: int
    currency: str
    details: dict[str, Any] = field(default_factory=dict)
    traceparent: str | None = None


class RetryRequested(Struct, frozen=True):
    """Please charge again: `dunning.retry.requested`. Valid in `not_before` <= t < `not_after`."""

    event_id: str
    sequence: int
    causation_id: str
    retry_id: str
    case_id: str
    account_id: str
    invoice_id: str
    payment_id: str
    amount_minor: int
    currency: str
    payment_method_id: str | None
    attempt_number: int
    not_before: datetime
    not_after: datetime
    reason: str
    decline_class: str
    traceparent: str | None = None


class NoticeResult(Struct, frozen=True):
    """Outcome of a notice on one channel: `dunning.notice.result`. `sequence` counts per case."""

    event_id: str
    sequence: int
    causation_id: str
    notice_id: str
    case_ids: tuple[str, ...]
    account_id: str
    invoice_id: str  # the CloudEvent's subject
    rung: str
    channel: str
    template: str
    locale: str
    outcome: str
    reason: str | None
    provider: str | None
    provider_message_id: str | None
    at: datetime
    traceparent: str | None = None


class OpenCase(Struct, frozen=True):
    """One line of `open_cases` in an account's status. `days_overdue` is in local days since the case's anchor."""

    case_id: str
    invoice_id: str
    amount_minor: int
    currency: str
    days_overdue: int


class Owed(Struct, frozen=True):
    """An amount per currency; amounts of different currencies are never added."""

    currency: str
    amount_minor: int


class AccountStatus(Struct, frozen=True):
    """The latest status of an account: `dunning.account.status`. `sequence` counts per account."""

    event_id: str
    sequence: int
    causation_id: str
    account_id: str
    status: str
    previous_status: str
    since: datetime
    reason: str
    effective_at: datetime
    open_cases: tuple[OpenCase, ...]
    to_reinstate: tuple[Owed, ...]
    policy: PolicyRef | None
    open_cases_total: int | None = None  # where there are more open cases than an event may list
    case_id: str | None = None  # the case that changed
    traceparent: str | None = None


class TimerDue(Struct, frozen=True):
    """A case's wake-up: something of this invoice was due at `due_at`."""

    event_id: str
    account_id: str
    invoice_id: str
    due_at: datetime
    released: bool = False  # it waited for the brake since `due_at`, without a time of its own (rule 45)
    news_until: datetime | None = None  # up to when all inputs were read (rule 40); None: up to now


class ErrandReport(Struct, frozen=True):
    """What became of an errand (work on the outside world, such as a mail), told back to the service that gave it.

    `outcome` is `accepted`, `bounced`, `failed`, `unknown`, `withdrawn`, or `too_late` (not done, for the
    time in which it may be done is over); `at` is when the outside world answered.
    """

    event_id: str
    account_id: str
    invoice_id: str
    errand_id: str
    outcome: str
    at: datetime
    reason: str | None = None
    permanent: bool = False
    provider: str | None = None
    provider_message_id: str | None = None


Input = PaymentFailed | PaymentSucceeded | Signal | StageChanged | NoticeResult | TimerDue | ErrandReport
Output = StageChanged | RetryRequested | NoticeResult | AccountStatus
