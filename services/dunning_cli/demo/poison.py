"""Messages that nobody can read, one of each kind that happens in real topics."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.calendar import rfc3339

TEST_CARD_NUMBER = "4242 4242 4242 4242"  # the number that processors publish for tests


@dataclass(frozen=True, slots=True)
class Poison:
    """A message, and why it belongs to the dead letters."""

    topic: str
    value: bytes | None
    why: str
    headers: tuple[tuple[str, bytes], ...] = ()


def poisons(account_id: str, at: datetime) -> Iterator[Poison]:
    """One of each kind, under the key of an account, so that what follows it must not be held up."""
    broken: tuple[tuple[str, Callable[[dict[str, Any]], object]], ...] = (
        ("a missing field", lambda data: data.pop("payment_id")),
        ("an amount in a string", lambda data: data.update(amount_minor="4900")),
        ("a negative amount", lambda data: data.update(amount_minor=-1)),
        ("a currency that does not exist", lambda data: data.update(currency="EUX")),
        ("a time without an offset", lambda data: data.update(failed_at="2026-03-02T10:00:00")),
        ("a time two hours ahead", lambda data: data.update(failed_at=rfc3339(at + timedelta(hours=2)))),
        ("a card number", lambda data: data["failure"].update(message=f"Card {TEST_CARD_NUMBER} was declined.")),
    )
    for why, damage in broken:
        data = _failure(account_id, at)
        damage(data)
        yield Poison(PAYMENT_FAILED, json.dumps(data).encode(), why)
    yield Poison(PAYMENT_FAILED, json.dumps(_failure(account_id, at)).encode()[:-20], "JSON that ends too early")
    yield Poison(PAYMENT_FAILED, None, "no value at all")
    yield Poison(PAYMENT_SUCCEEDED, b'{"payment_id":"pay_\xff"}', "bytes that are not UTF-8")
    yield Poison(PAYMENT_SUCCEEDED, b'{"amount_minor":NaN}', "a number that is none")
    yield Poison(PAYMENT_SUCCEEDED, b"[" * 10_000 + b"]" * 10_000, "nesting ten thousand deep")
    yield Poison(SIGNALS, b'"invoice.voided"', "text where an object belongs")
    yield Poison(SIGNALS, *_future_version(account_id, at))


def _failure(account_id: str, at: datetime) -> dict[str, Any]:
    return {
        "payment_id": f"pay_poison_{account_id}",
        "attempt_number": 1,
        "account_id": account_id,
        "invoice": {"id": f"in_poison_{account_id}", "amount_due_minor": 4900},
        "amount_minor": 4900,
        "currency": "EUR",
        "failed_at": rfc3339(at),
        "failure": {"code": "insufficient_funds"},
    }


def _future_version(account_id: str, at: datetime) -> tuple[bytes, str, tuple[tuple[str, bytes], ...]]:
    headers = {
        "ce_specversion": "1.0",
        "ce_id": f"future-{account_id}",
        "ce_source": "/demo/from-the-future",
        "ce_type": f"{SIGNALS}.v2",
        "content-type": "application/json",
    }
    body = json.dumps({"kind": "invoice.voided", "account_id": account_id, "at": rfc3339(at)}).encode()
    return body, "a version that does not exist yet", tuple((name, text.encode()) for name, text in headers.items())
