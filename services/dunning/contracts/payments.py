"""`payment.failed` and `payment.succeeded`: what the payment platform reports about charges and money."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from dunning.contracts.fields import (
    Currency,
    Id,
    Instant,
    Known,
    Line,
    Lines,
    Live,
    Metadata,
    Minor,
    Number,
    SmallObject,
    Text,
    Url,
    Wire,
)
from dunning.domain.words import DeclineClass

FailureClass = Annotated[str, Known(word.value for word in DeclineClass)]
PostalAddress = Annotated[
    Annotated[Text, Tag("text")] | Annotated[Lines, Tag("lines")] | Annotated[SmallObject, Tag("object")],
    Discriminator(lambda value: {dict: "object", list: "lines"}.get(type(value), "text")),
]
InitiatedBy = Annotated[str, Known(("customer", "merchant", "platform"))]


class Customer(Wire):
    """The person written to. What is left out was not said and changes nothing that was said before."""

    id: Id | None = Field(None, description="The customer's id on the payment platform.")
    name: Line | None = Field(None, description="Name as it should be addressed.")
    email: Line | None = Field(None, description="Email address; an empty one says that there is none.")
    phone: Line | None = Field(
        None, description="Phone number, best in E.164: `+4915112345678`; an empty one says that there is none."
    )
    locale: Line | None = Field(None, description="BCP 47 language tag: `de`, `de-AT`, `en-GB`.")
    timezone: Line | None = Field(None, description="IANA zone: `Europe/Berlin`. Quiet hours and dates follow it.")
    country: Line | None = Field(None, description="ISO 3166-1 alpha-2 code: `DE`.")
    postal_address: PostalAddress | None = Field(
        None,
        description="Postal address: a text, a list of lines, or an object of the platform's own shape; an empty one "
        "says that there is none.",
    )


class PaymentMethod(Wire):
    """What a charge was, or would be, made with. Never a card number: `last4` and `fingerprint` tell cards apart."""

    id: Id | None = Field(None, description="The method's id on the payment platform.")
    type: Line | None = Field(None, description="`card`, `sepa_debit`, `bank_transfer`, … Policies match on it.")
    brand: Line | None = Field(None, description="`visa`, `mastercard`, …")
    last4: str | None = Field(None, max_length=4, description="The last four digits.")
    exp_month: int | None = Field(None, ge=1, le=12, description="Month of expiry, 1 to 12.")
    exp_year: int | None = Field(None, ge=0, le=9999, description="Year of expiry, four digits.")
    fingerprint: Id | None = Field(None, description="The same for the same card under different ids.")
    country: Line | None = Field(None, description="ISO 3166-1 alpha-2 code of the issuer's country.")


class Processor(Wire):
    """Who processed the charge."""

    name: Line | None = Field(None, description="`stripe`, `adyen`, …")
    transaction_id: Id | None = Field(None, description="The processor's id of the charge.")
    merchant_id: Id | None = Field(None, description="The merchant account; networks count per merchant and card.")


class Failure(Wire):
    """Why the charge failed, as the processor said it."""

    code: Id = Field(
        description="The processor's or the generic code: `insufficient_funds`. `payment_overdue` is a due payment that"
        " never came (bank transfer, invoice): no charge is possible, the ladder runs all the same."
    )
    message: Text | None = Field(None, description="The processor's words. Never shown to customers.")
    network: Line | None = Field(None, description="Card network whose codes follow: `visa`, `mastercard`, …")
    network_decline_code: Line | None = Field(None, description="The network's response code: `51`.")
    network_advice_code: Line | None = Field(None, description="The network's advice, e.g. Mastercard's MAC: `24`.")
    decline_class: FailureClass | None = Field(
        None,
        alias="class",
        description="The platform's own classification; counts only where no code is known.",
    )


class FailedInvoice(Wire):
    """The invoice that was to be paid."""

    id: Id = Field(description="The invoice's id. One invoice has at most one open case.")
    amount_due_minor: Minor = Field(description="What is owed on the invoice, in the currency's minor unit.")
    number: Line | None = Field(None, description="The number printed on the invoice.")
    issued_at: Instant | None = Field(None, description="When the invoice was issued.")
    due_at: Instant | None = Field(None, description="When it was due; the anchor of policies with `due_date`.")


class PaidInvoice(Wire):
    """The invoice that money arrived for."""

    id: Id = Field(description="The invoice's id.")
    amount_remaining_minor: Minor = Field(
        description="What is still owed after this payment, in the currency's minor unit. 0 closes the case; above 0 it"
        " is a partial payment and the case goes on with what remains."
    )
    number: Line | None = Field(None, description="The number printed on the invoice.")
    issued_at: Instant | None = Field(None, description="When the invoice was issued.")
    due_at: Instant | None = Field(None, description="When it was due.")


class _Payment(Wire):
    """What both payment events may carry."""

    payment_id: Id = Field(description="The payment's id; several attempts share it.")
    account_id: Id = Field(description="Who owes. Also the message key.")
    amount_minor: Minor = Field(description="Amount of this charge or payment, in the currency's minor unit.")
    currency: Currency = Field(description="ISO 4217 code of every amount in this event.")
    attempt_id: Id | None = Field(None, description="The platform's id of this attempt.")
    customer: Customer | None = Field(None, description="Who is written to.")
    subscription_id: Id | None = Field(None, description="The subscription that the invoice belongs to.")
    payment_method: PaymentMethod | None = Field(None, description="What was charged.")
    processor: Processor | None = Field(None, description="Who processed it.")
    initiated_by: InitiatedBy | None = Field(
        None, description="Whose act it was. A charge by the `customer` never counts as the answer to our request."
    )
    retry_id: Id | None = Field(None, description="Set when this answers a `dunning.retry.requested`.")
    update_payment_url: Url | None = Field(None, description="Where the customer can enter a new payment method.")
    segment: Line | None = Field(None, description="Kind of customer: `self_serve`, … Policies match on it.")
    value_minor: Minor | None = Field(None, description="What the account is worth a year, in minor units.")
    livemode: Live = Field(True, description="False for test data: acts only where DUNNING_TEST_MODE is set.")
    metadata: Metadata | None = Field(None, description="The sender's own notes; read by nobody here.")


class PaymentFailedData(_Payment):
    """A charge attempt failed, or a due payment never came."""

    attempt_number: Number = Field(description="Which attempt at this payment it was; 1 is the original charge.")
    invoice: FailedInvoice = Field(description="What was to be paid.")
    failed_at: Instant = Field(description="When it failed, by the platform's clock.")
    failure: Failure = Field(description="Why it failed.")


class PaymentSucceededData(_Payment):
    """Money arrived for an invoice, in full or in part."""

    invoice: PaidInvoice = Field(description="What was paid.")
    succeeded_at: Instant = Field(description="When the money arrived, by the platform's clock.")
    attempt_number: Number | None = Field(None, description="Which attempt succeeded.")
    receipt_url: Url | None = Field(None, description="Where the customer finds the receipt.")
