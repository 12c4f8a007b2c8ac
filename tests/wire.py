"""Messages for contract tests: bodies as they are on the wire, with only what matters spelled out at the call site."""

import json
from datetime import UTC, datetime
from typing import Any

from dunning.contracts.decode import decode
from dunning.contracts.decoded import Decoded, Readable, Unreadable

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]

FAILED: dict[str, Any] = {
    "payment_id": "pay_1",
    "attempt_number": 1,
    "account_id": "acc_1",
    "invoice": {"id": "in_1", "amount_due_minor": 4900},
    "amount_minor": 4900,
    "currency": "EUR",
    "failed_at": "2026-03-02T10:00:00Z",
    "failure": {"code": "insufficient_funds"},
}
SUCCEEDED: dict[str, Any] = {
    "payment_id": "pay_1",
    "account_id": "acc_1",
    "invoice": {"id": "in_1", "amount_remaining_minor": 0},
    "amount_minor": 4900,
    "currency": "EUR",
    "succeeded_at": "2026-03-02T11:00:00Z",
}
BOUNCED: dict[str, Any] = {
    "kind": "notice.bounced",
    "account_id": "acc_1",
    "at": "2026-03-02T11:00:00Z",
    "invoice_id": "in_1",
    "rung": "suspension_warning",
    "channel": "email",
}


def attributes(topic: str, event_id: str = "evt_1", source: str = "/platform", **more: str) -> list[tuple[str, bytes]]:
    """The headers of the binary mode."""
    named = {"specversion": "1.0", "id": event_id, "source": source, "type": f"{topic}.v1", **more}
    return [("content-type", b"application/json"), *((f"ce_{name}", text.encode()) for name, text in named.items())]


def envelope(topic: str, data: dict[str, Any], event_id: str = "evt_1") -> bytes:
    """The value of the structured mode."""
    attributes = {"specversion": "1.0", "id": event_id, "source": "/platform", "type": f"{topic}.v1"}
    return json.dumps({**attributes, "data": data}).encode()


def plain(topic: str, value: bytes | dict[str, Any] | None, key: bytes | None = b"acc_1") -> Decoded:
    """What a message without any headers comes to, at noon of 2 March 2026."""
    body = json.dumps(value).encode() if isinstance(value, dict) else value
    return decode(topic, key, body, (), NOW)


def failed(**changes: Any) -> dict[str, Any]:
    """A `payment.failed` with some fields changed."""
    return {**FAILED, **changes}


def read(topic: str, value: bytes | dict[str, Any], headers: Any = ()) -> Readable:
    """A message that must be readable."""
    body = json.dumps(value).encode() if isinstance(value, dict) else value
    decoded = decode(topic, b"acc_1", body, headers, NOW)
    assert isinstance(decoded, Readable), decoded
    return decoded


def refused(topic: str, value: bytes | dict[str, Any] | None, headers: Any = ()) -> Unreadable:
    """A message that must be a dead letter."""
    body = json.dumps(value).encode() if isinstance(value, dict) else value
    decoded = decode(topic, b"acc_1", body, headers, NOW)
    assert isinstance(decoded, Unreadable), decoded
    return decoded
