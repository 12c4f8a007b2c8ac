"""The order to send one notice through one channel, as it lies in an errand's payload. Pure.

The dispatcher's `decide` writes it with `NoticeOrder(...).to_payload()`, a channel reads it with `from_payload`.
It is complete, so that a channel needs no state but this, and the same order always makes the same bytes.
"""

from datetime import datetime
from typing import Any

import msgspec

from dunning.domain.words import AccountStage, Channel, DeclineClass


class PayloadError(ValueError):
    """The payload is not a notice order; the message says which field is wrong, never what it holds."""


class PaidWith(msgspec.Struct, frozen=True):
    """What the failed charge was made with, as far as a person recognises it."""

    brand: str | None = None
    last4: str | None = None


class NextConsequence(msgspec.Struct, frozen=True):
    """What happens to the account next when nothing is paid."""

    stage: AccountStage
    at: datetime


class NoticeOrder(msgspec.Struct, frozen=True):
    """One notice to one address. `at` is the time of the order (the mail's Date), `zone` the customer's IANA zone,
    `closes_at` the instant from which it may not go out any more, for quiet hours begin (rule 32) or the day is over on
    which it says that something happens."""

    notice_id: str
    case_id: str
    account_id: str
    invoice_id: str
    rung: str
    template: str
    channel: Channel
    address: str
    amount_minor: int
    currency: str
    decline_class: DeclineClass
    failure_code: str
    zone: str
    at: datetime
    invoice_number: str | None = None
    customer_name: str | None = None
    locale: str | None = None
    payment_method: PaidWith | None = None
    update_payment_url: str | None = None
    next: NextConsequence | None = None
    closes_at: datetime | None = None

    def to_payload(self) -> dict[str, Any]:
        """As plain JSON values; times in ISO 8601."""
        payload: dict[str, Any] = msgspec.to_builtins(self)
        return payload

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> "NoticeOrder":
        """Read it back; fields that are not known are ignored. Raises PayloadError."""
        try:
            order = msgspec.convert(payload, cls)
        except msgspec.ValidationError as error:
            raise PayloadError(f"not a notice order: {_where(str(error))}") from None
        times = (order.at, order.closes_at, order.next.at if order.next is not None else None)
        if any(time is not None and time.tzinfo is None for time in times):
            raise PayloadError("not a notice order: a time without its offset")
        return order


def _where(problem: str) -> str:
    """The problem without the value: an enum's complaint would quote it, and payloads hold personal data."""
    kind, _, path = problem.partition(" - at ")
    return f"{'value not allowed' if kind.startswith('Invalid enum value') else kind}{f' at {path}' if path else ''}"
