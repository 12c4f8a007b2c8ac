"""Notice orders for tests: one that says everything, to be changed where a test cares."""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from dunning.domain.decision import Errand
from dunning.domain.words import AccountStage, Channel, DeclineClass
from notification_dispatcher.channels.payload import NextConsequence, NoticeOrder, PaidWith

ORDERED_AT = datetime(2026, 10, 1, 10, 0, tzinfo=UTC)

_ORDER = NoticeOrder(
    notice_id="5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11",
    case_id="0b1f7c52-7a61-5b8e-8f7e-6f2d5c3b2a10",
    account_id="acct_1",
    invoice_id="in_1",
    rung="payment_failed",
    template="payment_failed",
    channel=Channel.EMAIL,
    address="jane@example.com",
    amount_minor=123450,
    currency="EUR",
    decline_class=DeclineClass.SOFT,
    failure_code="insufficient_funds",
    zone="Europe/Berlin",
    at=ORDERED_AT,
    invoice_number="2026-0017",
    customer_name="Jane Doe",
    locale="en-GB",
    payment_method=PaidWith("visa", "4242"),
    update_payment_url="https://pay.example.com/update?case=17&from=mail",
    next=NextConsequence(AccountStage.SUSPENDED, datetime(2026, 10, 14, 22, 30, tzinfo=UTC)),  # the 15th in Berlin
)


def an_order(**changes: Any) -> NoticeOrder:
    """A complete notice order with these fields changed."""
    return replace(_ORDER, **changes)


def an_errand(errand_id: str = "5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11", **changes: Any) -> Errand:
    """The errand that carries such an order."""
    order = an_order(**changes)
    return Errand(errand_id, order.account_id, order.invoice_id, "email", order.at, order.to_payload())
