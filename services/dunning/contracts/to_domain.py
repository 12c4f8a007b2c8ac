"""From the models of the wire to the domain's own values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dunning.contracts import payments, published, signals
from dunning.contracts.canonical import canonical_text, normalised
from dunning.contracts.fields import OTHER
from dunning.domain import events
from dunning.domain.words import Channel


@dataclass(frozen=True, slots=True)
class Attributes:
    """The envelope of an event that one of our services published."""

    event_id: str
    source: str
    subject: str
    sequence: int
    causation_id: str
    correlation_id: str | None
    traceparent: str | None


def payment_failed(data: payments.PaymentFailedData, event_id: str, traceparent: str | None) -> events.PaymentFailed:
    """A failure."""
    invoice = data.invoice
    return events.PaymentFailed(
        event_id=event_id,
        account_id=data.account_id,
        invoice_id=invoice.id,
        payment_id=data.payment_id,
        attempt_number=data.attempt_number,
        amount_due_minor=invoice.amount_due_minor,
        amount_minor=data.amount_minor,
        currency=data.currency,
        failed_at=data.failed_at,
        failure=events.Failure(**data.failure.__dict__),
        customer=_customer(data.customer),
        payment_method=_payment_method(data.payment_method),
        invoice_number=invoice.number,
        issued_at=invoice.issued_at,
        due_at=invoice.due_at,
        subscription_id=data.subscription_id,
        initiated_by=data.initiated_by,
        retry_id=data.retry_id,
        update_payment_url=data.update_payment_url,
        segment=data.segment,
        value_minor=data.value_minor,
        merchant_id=data.processor.merchant_id if data.processor else None,
        processor=data.processor.name if data.processor else None,
        livemode=data.livemode,
        traceparent=traceparent,
    )


def payment_succeeded(
    data: payments.PaymentSucceededData, event_id: str, traceparent: str | None
) -> events.PaymentSucceeded:
    """A success."""
    return events.PaymentSucceeded(
        event_id=event_id,
        account_id=data.account_id,
        invoice_id=data.invoice.id,
        payment_id=data.payment_id,
        amount_remaining_minor=data.invoice.amount_remaining_minor,
        amount_minor=data.amount_minor,
        currency=data.currency,
        succeeded_at=data.succeeded_at,
        attempt_number=data.attempt_number,
        customer=_customer(data.customer),
        payment_method=_payment_method(data.payment_method),
        initiated_by=data.initiated_by,
        retry_id=data.retry_id,
        update_payment_url=data.update_payment_url,
        merchant_id=data.processor.merchant_id if data.processor else None,
        processor=data.processor.name if data.processor else None,
        livemode=data.livemode,
        traceparent=traceparent,
    )


def signal(
    data: signals.SignalData | signals.OtherSignal, details: dict[str, Any], event_id: str, traceparent: str | None
) -> events.Signal:
    """A signal of a known kind, or `other`. What a kind does not have is None.

    A channel that we do not know makes the whole signal `other`: a bounce on it must not be read as one on any.
    """
    given = dict(data)
    invoice = given.get("invoice")
    channel = given.get("channel")
    known = not isinstance(data, signals.OtherSignal) and channel != OTHER
    return events.Signal(
        event_id=event_id,
        account_id=data.account_id,
        kind=data.kind if known else OTHER,
        at=data.at,
        invoice_id=invoice.id if invoice else given.get("invoice_id"),
        customer=_customer(given.get("customer")),
        payment_method=_payment_method(given.get("payment_method")),
        channel=Channel(channel) if channel and known else None,
        notice_id=given.get("notice_id"),
        rung=given.get("rung"),
        permanent=given.get("permanent", False),
        allowed=given.get("allowed"),
        amount_remaining_minor=invoice.amount_remaining_minor if invoice else None,
        reason=given.get("reason"),
        until=given.get("until"),
        by=given.get("by"),
        tag=given.get("tag"),
        livemode=data.livemode,
        details=details,
        traceparent=traceparent,
    )


def stage_changed(data: published.StageChangedData, attributes: Attributes) -> events.StageChanged:
    """A transition that another service published."""
    return events.StageChanged(
        event_id=attributes.event_id,
        sequence=attributes.sequence,
        causation_id=attributes.causation_id,
        case_id=data.case_id,
        account_id=data.account_id,
        invoice_id=data.invoice_id,
        track=data.track,
        from_stage=data.from_stage,
        to_stage=data.to_stage,
        reason=data.reason,
        effective_at=data.effective_at,
        policy=events.PolicyRef(data.policy.id, data.policy.version),
        next=events.NextStep(data.next.stage, data.next.due_at) if data.next else None,
        amount_minor=data.amount_minor,
        currency=data.currency,
        details=data.details,
        traceparent=attributes.traceparent,
    )


def notice_result(data: published.NoticeResultData, attributes: Attributes) -> events.NoticeResult:
    """A notice's outcome. The invoice is the envelope's subject; the data names cases only."""
    return events.NoticeResult(
        event_id=attributes.event_id,
        sequence=attributes.sequence,
        causation_id=attributes.causation_id,
        notice_id=data.notice_id,
        case_ids=tuple(data.case_ids),
        account_id=data.account_id,
        invoice_id=attributes.subject,
        rung=data.rung,
        channel=data.channel,
        template=data.template,
        locale=data.locale,
        outcome=data.outcome,
        reason=data.reason,
        provider=data.provider,
        provider_message_id=data.provider_message_id,
        at=data.at,
        traceparent=attributes.traceparent,
    )


def retry_requested(data: published.RetryRequestedData, attributes: Attributes) -> events.RetryRequested:
    """A charge request, as the payment platform reads it."""
    return events.RetryRequested(
        event_id=attributes.event_id,
        sequence=attributes.sequence,
        causation_id=attributes.causation_id,
        retry_id=data.retry_id,
        case_id=data.case_id,
        account_id=data.account_id,
        invoice_id=data.invoice_id,
        payment_id=data.payment_id,
        amount_minor=data.amount_minor,
        currency=data.currency,
        payment_method_id=data.payment_method_id,
        attempt_number=data.attempt_number,
        not_before=data.not_before,
        not_after=data.not_after,
        reason=data.reason,
        decline_class=data.decline_class,
        traceparent=attributes.traceparent,
    )


def account_status(
    data: published.AccountStatusData, attributes: Attributes, effective_at: datetime
) -> events.AccountStatus:
    """An account's status, as everybody reads it who acts on accounts."""
    return events.AccountStatus(
        event_id=attributes.event_id,
        sequence=attributes.sequence,
        causation_id=attributes.causation_id,
        account_id=data.account_id,
        status=data.status,
        previous_status=data.previous_status,
        since=data.since,
        reason=data.reason,
        effective_at=effective_at,
        open_cases=tuple(
            events.OpenCase(case.case_id, case.invoice_id, case.amount_minor, case.currency, case.days_overdue)
            for case in data.open_cases
        ),
        open_cases_total=data.open_cases_total,
        to_reinstate=tuple(events.Owed(owed.currency, owed.amount_minor) for owed in data.to_reinstate),
        policy=events.PolicyRef(data.policy.id, data.policy.version) if data.policy else None,
        case_id=attributes.correlation_id,
        traceparent=attributes.traceparent,
    )


def _customer(data: payments.Customer | None) -> events.Customer | None:
    if data is None:
        return None
    members = data.__dict__  # the same names on both sides
    email, phone, postal_address = map(_address, (data.email, data.phone, data.postal_address))
    return events.Customer(**{**members, "email": email, "phone": phone, "postal_address": postal_address})


def _address(said: str | list[str] | dict[str, Any] | None) -> str | None:
    """An address as one text. Where nothing is said in it there is none: nobody is reached there."""
    if said is None:
        return None
    if _is_blank(said):
        return ""
    match said:
        case dict():
            return canonical_text(normalised(said))
        case list():
            return "\n".join(said)
    return said


def _is_blank(said: Any) -> bool:
    match said:
        case dict():
            return all(_is_blank(part) for part in said.values())
        case list():
            return all(_is_blank(part) for part in said)
        case str():
            return not said.strip()
    return said is None


def _payment_method(data: payments.PaymentMethod | None) -> events.PaymentMethod | None:
    return None if data is None else events.PaymentMethod(**data.__dict__)
