"""Failures, successes and signals out of their events, with the fields and types of docs/events.md read anew."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from dunning_verifier.clock import Span
from dunning_verifier.envelope import Unwanted
from dunning_verifier.fields import Fields
from dunning_verifier.values import FAILED, SIGNALS, SUCCEEDED, Card, Envelope, Failure, Signal, Success, Where

_AHEAD = timedelta(hours=1)
_LONGEST_DAYS = 3660
_OF_AN_INVOICE = {
    "invoice.voided", "case.closed", "retry.now", "dispute.opened", "dispute.closed", "case.extended",
}  # fmt: skip
_OPTIONAL = {
    "metadata": dict,
    "processor": dict,
    "payment_method": dict,
    "subscription_id": str,
    "segment": str,
    "update_payment_url": str,
    "receipt_url": str,
    "initiated_by": str,
    "retry_id": str,
    "value_minor": int,
    "livemode": bool,
}
_OPTIONAL_OF_METHOD = {"id": str, "type": str, "brand": str, "last4": str, "fingerprint": str, "country": str}
_OPTIONAL_OF_FAILURE = {"message": str, "network": str, "network_decline_code": str, "network_advice_code": str}


class _InputParts(TypedDict):
    where: Where
    logged_at: datetime
    account_id: str
    identity: tuple[Any, ...]
    content: tuple[Any, ...]
    event: tuple[str, str] | None
    livemode: bool
    doubtful: str | None
    customer: Mapping[str, Any]
    time: datetime


def _input_parts(
    envelope: Envelope, fields: Fields, time: datetime, identity: tuple[Any, ...], content: tuple[Any, ...]
) -> _InputParts:
    customer = fields.optional_part("customer")
    for name in ("id", "name", "email", "phone", "locale", "timezone", "country"):
        customer.text_or_none(name)
    fields.of_types(_OPTIONAL)
    fields.optional_part("payment_method").of_types(_OPTIONAL_OF_METHOD)
    fields.optional_part("failure").of_types(_OPTIONAL_OF_FAILURE)
    fields.doubts.extend(envelope.doubts)
    if time > envelope.logged_at + _AHEAD:
        fields.doubts.append("its time is more than an hour ahead")
    return _InputParts(
        where=envelope.where,
        logged_at=envelope.logged_at,
        account_id=fields.text("account_id"),
        identity=identity,
        content=content,
        event=(envelope.source, envelope.id) if envelope.source and envelope.id else None,
        livemode=fields.data.get("livemode") is not False,
        doubtful="; ".join(fields.doubts) or None,
        customer=customer.data,
        time=time,
    )


def failure(envelope: Envelope) -> Failure:
    fields = Fields(envelope.data)
    invoice, failure = fields.part("invoice"), fields.part("failure")
    method = fields.optional_part("payment_method")
    account_id, invoice_id = fields.text("account_id"), invoice.text("id")
    payment_id, attempt = fields.text("payment_id"), fields.number("attempt_number", 1)
    retry_id, failed_at = fields.text_or_none("retry_id"), fields.time("failed_at")
    due, amount = invoice.number("amount_due_minor", 0), fields.number("amount_minor", 0)
    currency, code = fields.currency(), failure.text("code")
    due_at, initiated_by = invoice.time_or_none("due_at"), fields.text_or_none("initiated_by")
    segment, payment_type = fields.text_or_none("segment"), method.text_or_none("type")
    identity = (FAILED, account_id, invoice_id, payment_id, attempt, retry_id)
    return Failure(
        **_input_parts(envelope, fields, failed_at, identity, (due, amount, currency, failed_at, code)),
        invoice_id=invoice_id,
        payment_id=payment_id,
        attempt_number=attempt,
        retry_id=retry_id,
        amount_due_minor=due,
        currency=currency,
        code=code,
        network_code=str(failure.data.get("network_decline_code") or "").strip().upper(),
        card=Card.of(envelope.data),
        plain_code=not (failure.data.keys() & {"network_decline_code", "network_advice_code", "class"}),
        initiated_by=initiated_by,
        segment=segment,
        payment_type=payment_type,
        due_at=due_at,
    )


def success(envelope: Envelope) -> Success:
    fields = Fields(envelope.data)
    invoice = fields.part("invoice")
    account_id, invoice_id = fields.text("account_id"), invoice.text("id")
    payment_id, succeeded_at = fields.text("payment_id"), fields.time("succeeded_at")
    remaining, amount = invoice.number("amount_remaining_minor", 0), fields.number("amount_minor", 0)
    currency, retry_id = fields.currency(), fields.text_or_none("retry_id")
    attempt = None if fields.data.get("attempt_number") is None else fields.number("attempt_number", 1)
    identity = (SUCCEEDED, account_id, invoice_id, payment_id, succeeded_at, amount, remaining)
    return Success(
        **_input_parts(envelope, fields, succeeded_at, identity, (currency,)),
        invoice_id=invoice_id,
        payment_id=payment_id,
        attempt_number=attempt,
        retry_id=retry_id,
        amount_remaining_minor=remaining,
        currency=currency,
        initiated_by=fields.text_or_none("initiated_by"),
        card=Card.of(envelope.data),
    )


def _check_extension(fields: Fields) -> None:
    try:
        span = Span.parse(fields.text("by"))
    except ValueError:
        raise Unwanted("by is not a duration") from None
    if span.days + span.seconds / 86400 > _LONGEST_DAYS:
        raise Unwanted("by is too long")


def signal(envelope: Envelope) -> Signal:
    fields = Fields(envelope.data)
    kind, at = fields.text("kind"), fields.time("at")
    invoice_id = fields.text_or_none("invoice_id") or fields.optional_part("invoice").text_or_none("id")
    if kind == "invoice.adjusted":
        invoice = fields.part("invoice")
        invoice_id = invoice.text("id")
        invoice.number("amount_remaining_minor", 0)
    elif kind in _OF_AN_INVOICE:
        fields.text("invoice_id")
    if kind == "case.paused":
        fields.time_or_none("until")
    if kind == "case.extended":
        _check_extension(fields)
    canonical = json.dumps(envelope.data, sort_keys=True)
    return Signal(
        **_input_parts(envelope, fields, at, (SIGNALS, canonical), ()),
        kind=kind,
        invoice_id=invoice_id,
        data=envelope.data,
    )
