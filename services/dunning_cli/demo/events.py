"""What the payment platform would say, in the shapes of the public contracts, and the three forms to say it in."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED
from dunning.domain.calendar import rfc3339
from dunning.domain.ids import id_named
from dunning_cli.demo.decline_mix import OVERDUE, failure
from dunning_cli.demo.people import Account

SOURCE = "/demo/payment-platform"
Headers = tuple[tuple[str, bytes], ...]


class Form(StrEnum):
    """How a message is wrapped."""

    PLAIN = "plain"
    BINARY = "binary"
    STRUCTURED = "structured"


@dataclass(frozen=True, slots=True)
class Invoice:
    """What somebody owes."""

    id: str
    account: Account
    amount_minor: int
    issued_at: datetime
    due_at: datetime

    @property
    def payment_id(self) -> str:
        """The payment by which we tried to collect it."""
        return f"pay_{self.id}"


def payment_failed(
    invoice: Invoice, at: datetime, code: str, *, payment_id: str | None = None, attempt_number: int = 1
) -> dict[str, Any]:
    """`payment.failed` as a whole: everything that a platform knows."""
    account = invoice.account
    payment_id = payment_id or invoice.payment_id
    data: dict[str, Any] = {
        "payment_id": payment_id,
        "attempt_id": f"{payment_id}_{attempt_number}",
        "attempt_number": attempt_number,
        "account_id": account.id,
        "subscription_id": f"sub_{account.id}",
        "invoice": {
            "id": invoice.id,
            "number": invoice.id.upper().replace("_", "-"),
            "amount_due_minor": invoice.amount_minor,
            "issued_at": rfc3339(invoice.issued_at),
            "due_at": rfc3339(invoice.due_at),
        },
        "amount_minor": invoice.amount_minor,
        "currency": account.place.currency,
        "failed_at": rfc3339(at),
        "failure": failure(code, account.method),
        "customer": account.customer,
        "payment_method": account.method,
        "initiated_by": "merchant",
        "update_payment_url": account.update_url,
        "segment": account.segment,
    }
    if code != OVERDUE:
        data["processor"] = {"name": "examplepay", "merchant_id": f"mer_{account.place.currency.lower()}"}
    return data


def payment_succeeded(
    invoice: Invoice, at: datetime, amount_minor: int, remaining_minor: int, payment_id: str
) -> dict[str, Any]:
    """`payment.succeeded`: the customer paid by themselves."""
    return {
        "payment_id": payment_id,
        "account_id": invoice.account.id,
        "invoice": {"id": invoice.id, "amount_remaining_minor": remaining_minor},
        "amount_minor": amount_minor,
        "currency": invoice.account.place.currency,
        "succeeded_at": rfc3339(at),
        "initiated_by": "customer",
        "receipt_url": f"https://pay.example.com/receipts/{payment_id}",
    }


def signal(kind: str, account: Account, at: datetime, **said: Any) -> dict[str, Any]:
    """`dunning.signals` of any kind."""
    return {"kind": kind, "account_id": account.id, "at": rfc3339(at), **said}


def wrap(topic: str, data: Mapping[str, Any], form: Form) -> tuple[bytes, Headers]:
    """The message's body and headers in one of the readable forms."""
    if form is Form.PLAIN:
        return _json(data), ()
    attributes = _attributes(topic, data)
    if form is Form.STRUCTURED:
        return _json({**attributes, "data": data}), (("content-type", b"application/cloudevents+json"),)
    binary = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items() if name != "datacontenttype")
    return _json(data), (*binary, ("content-type", b"application/json"))


def _attributes(topic: str, data: Mapping[str, Any]) -> dict[str, str]:
    body = _json(data).decode()
    times = {PAYMENT_FAILED: "failed_at", PAYMENT_SUCCEEDED: "succeeded_at"}
    return {
        "specversion": "1.0",
        "id": id_named(f"{topic}/{body}"),
        "source": SOURCE,
        "type": f"{topic}.v1",
        "time": str(data[times.get(topic, "at")]),
        "datacontenttype": "application/json",
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
