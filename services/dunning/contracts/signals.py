"""`dunning.signals`: facts and orders from outside, one model per kind."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from dunning.contracts.fields import Id, Instant, Known, Line, Live, Metadata, Minor, Permanent, Text, Wire
from dunning.contracts.payments import Customer, PaymentMethod
from dunning.domain.calendar import DURATION_DAYS_MAX, Duration
from dunning.domain.words import Channel

INSTALLMENTS_MAX = 1000
SignalChannel = Annotated[str, Known(word.value for word in Channel)]


def _bounded(text: str) -> str:
    try:
        Duration.parse(text)
    except ValueError:
        raise PydanticCustomError("too_long", f"Input should be at most {DURATION_DAYS_MAX}d") from None
    return text


DurationText = Annotated[
    str,
    Field(max_length=50, pattern=r"^([0-9]+[wdhms])+$", examples=["3d", "1d12h"]),
    AfterValidator(_bounded),
]


class _Signal(Wire):
    """What every signal carries. It acts at its `at`."""

    account_id: Id = Field(description="The account that it is about. Also the message key.")
    at: Instant = Field(description="When it became true or was ordered, by the sender's clock.")
    livemode: Live = Field(True, description="False for test data: acts only where DUNNING_TEST_MODE is set.")
    metadata: Metadata | None = Field(None, description="The sender's own notes; read by nobody here.")


class _InvoiceSignal(_Signal):
    invoice_id: Id = Field(description="The invoice that it is about.")


class PaymentMethodUpdated(_Signal):
    """The account has a new payment method. Open cases that wait for one are charged at once."""

    kind: Literal["payment_method.updated"]
    payment_method: PaymentMethod = Field(description="The method that charges use from now on.")


class PaymentMethodExpiring(_Signal):
    """The account's payment method expires soon. Kept and shown with its cases, and without effect so far."""

    kind: Literal["payment_method.expiring"]
    payment_method: PaymentMethod = Field(description="The method that expires.")


class CustomerUpdated(_Signal):
    """Name, address, language or zone changed. Fields that are left out stay as they are."""

    kind: Literal["customer.updated"]
    customer: Customer = Field(description="What is new about the customer.")


class ConsentChanged(_Signal):
    """The customer allowed or forbade a channel."""

    kind: Literal["consent.changed"]
    channel: SignalChannel = Field(description="The channel.")
    allowed: bool = Field(description="Whether it may be used from now on.")


class _NoticeSignal(_Signal):
    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["notice_id"]}, {"required": ["invoice_id", "rung"]}]}
    )

    notice_id: Id | None = Field(None, description="The notice; or else `invoice_id` and `rung`.")
    invoice_id: Id | None = Field(None, description="The invoice whose notice it was.")
    rung: Line | None = Field(None, description="The rung whose notice it was.")
    channel: SignalChannel = Field(description="The channel that it went through.")

    @model_validator(mode="after")
    def _names_a_notice(self) -> Self:
        if self.notice_id is None and (self.invoice_id is None or self.rung is None):
            raise PydanticCustomError("missing", "notice_id, or invoice_id and rung, are required")
        return self


class NoticeDelivered(_NoticeSignal):
    """A notice reached its receiver."""

    kind: Literal["notice.delivered"]


class NoticeBounced(_NoticeSignal):
    """A notice did not reach its receiver, perhaps after it had seemed to."""

    kind: Literal["notice.bounced"]
    permanent: Permanent = Field(False, description="True marks the address as dead until it changes.")


class AdjustedInvoice(Wire):
    """An invoice and what is owed on it now."""

    id: Id = Field(description="The invoice's id.")
    amount_remaining_minor: Minor = Field(description="What is owed now, in the currency's minor unit; 0 closes.")


class InvoiceAdjusted(_Signal):
    """The amount owed changed other than by a payment, for example by a credit note."""

    kind: Literal["invoice.adjusted"]
    invoice: AdjustedInvoice = Field(description="The invoice with its new amount.")


class InvoiceVoided(_InvoiceSignal):
    """The invoice is owed no longer. Its case closes and later failures change nothing."""

    kind: Literal["invoice.voided"]


class DisputeOpened(_InvoiceSignal):
    """The customer disputes the invoice; its case rests."""

    kind: Literal["dispute.opened"]


class DisputeClosed(_InvoiceSignal):
    """The dispute is over; open dates moved by its length."""

    kind: Literal["dispute.closed"]


class CasePaused(_Signal):
    """An operator pauses one case, or all of the account's."""

    kind: Literal["case.paused"]
    invoice_id: Id | None = Field(None, description="The invoice; left out, all of the account.")
    until: Instant | None = Field(None, description="When it resumes by itself; left out, at `case.resumed`.")
    reason: Text = Field(description="Why, in words.")


class CaseResumed(_Signal):
    """A pause ends."""

    kind: Literal["case.resumed"]
    invoice_id: Id | None = Field(None, description="The invoice; left out, all of the account.")


class CaseExtended(_InvoiceSignal):
    """The open dates of a case move."""

    kind: Literal["case.extended"]
    by: DurationText = Field(description="How far: `3d`, `1d12h`. Days are calendar days.")


class CaseClosed(_InvoiceSignal):
    """An operator ends the case: write-off, cancelled."""

    kind: Literal["case.closed"]
    reason: Text = Field(description="Why, in words; it becomes the closing's reason.")


class RetryNow(_InvoiceSignal):
    """Charge the invoice at once with the present method."""

    kind: Literal["retry.now"]


class PromiseMade(_InvoiceSignal):
    """The customer promised to pay. Kept and shown with the case, and without effect so far: retries, notices and rungs
    go on. `case.paused` with `until`, or `case.extended`, gives the time that was asked for.
    """

    kind: Literal["promise.made"]
    pay_by: Instant = Field(description="By when.")


class Installment(Wire):
    """One part of an agreed plan."""

    due_at: Instant = Field(description="When it is due.")
    amount_minor: Minor = Field(description="How much, in the invoice's currency's minor unit.")


class PlanAgreed(_InvoiceSignal):
    """The invoice is paid in installments. Kept and shown with the case, and without effect so far, as `promise.made`:
    what is due is still all that remains, until a payment or `invoice.adjusted` says otherwise.
    """

    kind: Literal["plan.agreed"]
    installments: list[Installment] = Field(min_length=1, max_length=INSTALLMENTS_MAX, description="The parts.")


class AccountTagged(_Signal):
    """The account carries a tag that policies may ask for."""

    kind: Literal["account.tagged"]
    tag: Id = Field(description="The tag: `vip`.")


class AccountUntagged(_Signal):
    """The account carries a tag no longer."""

    kind: Literal["account.untagged"]
    tag: Id = Field(description="The tag.")


class AccountReinstated(_Signal):
    """An operator brings the account back, a terminated one included."""

    kind: Literal["account.reinstated"]
    reason: Text = Field(description="Why, in words.")


class AccountErased(_Signal):
    """The account's personal data is removed."""

    kind: Literal["account.erased"]


class OtherSignal(_Signal):
    """A kind that this version does not know. It is kept and counted, and changes nothing."""

    kind: Id = Field(description="Any other kind; reads as `other`.")


SignalData = (
    PaymentMethodUpdated
    | PaymentMethodExpiring
    | CustomerUpdated
    | ConsentChanged
    | NoticeDelivered
    | NoticeBounced
    | InvoiceAdjusted
    | InvoiceVoided
    | DisputeOpened
    | DisputeClosed
    | CasePaused
    | CaseResumed
    | CaseExtended
    | CaseClosed
    | RetryNow
    | PromiseMade
    | PlanAgreed
    | AccountTagged
    | AccountUntagged
    | AccountReinstated
    | AccountErased
)
KINDS: dict[str, type[SignalData]] = {
    model.model_fields["kind"].annotation.__args__[0]: model for model in SignalData.__args__
}
"""The model of every kind, by its word on the wire."""


def model_of(kind: Any) -> type[SignalData] | type[OtherSignal]:
    """The model that reads a signal of this kind, which may be anything that JSON can hold."""
    return KINDS.get(kind, OtherSignal) if isinstance(kind, str) else OtherSignal
