"""Writes what the payment platform would send: for the demo's simulated processor, for tests and for tools."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec.structs import fields

from dunning.contracts.encode import Message, binary_headers, to_json
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, TOPICS, kafka_name
from dunning.domain.calendar import rfc3339
from dunning.domain.events import Customer, PaymentFailed, PaymentMethod, PaymentSucceeded, Signal

PLATFORM = "/payment-platform"


class Form(StrEnum):
    """The three ways in which an event may be written."""

    BINARY = "binary"
    STRUCTURED = "structured"
    PLAIN = "plain"


def payment_failed_message(
    event: PaymentFailed, *, source: str = PLATFORM, form: Form = Form.BINARY, prefix: str = ""
) -> Message:
    """A `payment.failed` as the platform sends it."""
    attributes = _attributes(
        PAYMENT_FAILED, event.event_id, source, event.invoice_id, event.failed_at, event.traceparent
    )
    return _message(PAYMENT_FAILED, event.account_id, payment_failed_data(event), attributes, form, prefix)


def payment_succeeded_message(
    event: PaymentSucceeded, *, source: str = PLATFORM, form: Form = Form.BINARY, prefix: str = ""
) -> Message:
    """A `payment.succeeded` as the platform sends it."""
    attributes = _attributes(
        PAYMENT_SUCCEEDED, event.event_id, source, event.invoice_id, event.succeeded_at, event.traceparent
    )
    return _message(PAYMENT_SUCCEEDED, event.account_id, payment_succeeded_data(event), attributes, form, prefix)


def signal_message(event: Signal, *, source: str = PLATFORM, form: Form = Form.BINARY, prefix: str = "") -> Message:
    """A `dunning.signals` as the platform or an operator sends it."""
    attributes = _attributes(SIGNALS, event.event_id, source, event.invoice_id, event.at, event.traceparent)
    return _message(SIGNALS, event.account_id, signal_data(event), attributes, form, prefix)


def payment_failed_data(event: PaymentFailed) -> dict[str, Any]:
    """The data of a failure; what is not known is left out."""
    failure = event.failure
    return _said(
        payment_id=event.payment_id,
        attempt_number=event.attempt_number,
        account_id=event.account_id,
        invoice=_said(
            id=event.invoice_id,
            amount_due_minor=event.amount_due_minor,
            number=event.invoice_number,
            issued_at=event.issued_at,
            due_at=event.due_at,
        ),
        amount_minor=event.amount_minor,
        currency=event.currency,
        failed_at=event.failed_at,
        failure={
            **_said(
                code=failure.code,
                message=failure.message,
                network=failure.network,
                network_decline_code=failure.network_decline_code,
                network_advice_code=failure.network_advice_code,
            ),
            **({"class": failure.decline_class} if failure.decline_class else {}),
        },
        **_common(event),
        subscription_id=event.subscription_id,
        segment=event.segment,
        value_minor=event.value_minor,
    )


def payment_succeeded_data(event: PaymentSucceeded) -> dict[str, Any]:
    """The data of a success; what is not known is left out."""
    return _said(
        payment_id=event.payment_id,
        account_id=event.account_id,
        invoice={"id": event.invoice_id, "amount_remaining_minor": event.amount_remaining_minor},
        amount_minor=event.amount_minor,
        currency=event.currency,
        succeeded_at=event.succeeded_at,
        attempt_number=event.attempt_number,
        **_common(event),
    )


def signal_data(event: Signal) -> dict[str, Any]:
    """The data of a signal: its details, with what the event says in fields of its own laid over them."""
    invoice: dict[str, Any] = {"invoice_id": event.invoice_id}
    if event.amount_remaining_minor is not None:
        invoice = {"invoice": {"id": event.invoice_id, "amount_remaining_minor": event.amount_remaining_minor}}
    said = _said(
        kind=event.kind,
        account_id=event.account_id,
        at=event.at,
        **invoice,
        customer=_member(event.customer),
        payment_method=_member(event.payment_method),
        channel=event.channel,
        notice_id=event.notice_id,
        rung=event.rung,
        permanent=event.permanent or None,
        allowed=event.allowed,
        reason=event.reason,
        until=event.until,
        by=event.by,
        tag=event.tag,
        livemode=None if event.livemode else False,
    )
    return {**said, **event.details}


def _common(event: PaymentFailed | PaymentSucceeded) -> dict[str, Any]:
    return {
        "customer": _member(event.customer),
        "payment_method": _member(event.payment_method),
        "processor": _said(name=event.processor, merchant_id=event.merchant_id) or None,
        "initiated_by": event.initiated_by,
        "retry_id": event.retry_id,
        "update_payment_url": event.update_payment_url,
        "livemode": None if event.livemode else False,
    }


def _member(value: Customer | PaymentMethod | None) -> dict[str, Any] | None:
    return None if value is None else _said(**{field.name: getattr(value, field.name) for field in fields(value)})


def _said(**members: Any) -> dict[str, Any]:
    """What has a value, with instants as text."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in members.items()
        if value is not None
    }


def _attributes(
    topic: str, event_id: str, source: str, subject: str | None, at: datetime, traceparent: str | None
) -> dict[str, str | None]:
    return {
        "id": event_id,
        "source": source,
        "type": TOPICS[topic].event_type,
        "subject": subject,
        "time": rfc3339(at),
        "traceparent": traceparent,
    }


def _message(
    topic: str, account_id: str, data: dict[str, Any], attributes: dict[str, str | None], form: Form, prefix: str
) -> Message:
    named, key = kafka_name(topic, prefix), account_id.encode()
    match form:
        case Form.BINARY:
            return Message(named, key, to_json(data), binary_headers(attributes))
        case Form.STRUCTURED:
            envelope = {
                "specversion": "1.0",
                **_said(**attributes),
                "datacontenttype": "application/json",
                "data": data,
            }
            return Message(named, key, to_json(envelope), (("content-type", b"application/cloudevents+json"),))
        case Form.PLAIN:
            return Message(named, key, to_json(data), (("content-type", b"application/json"),))
