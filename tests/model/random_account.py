"""What one account's platform says at random: payments, signals, and what a happening is made of."""

import random
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.model.dates import written
from tests.model.history import Data
from tests.model.random_policies import ZONES
from tests.model.run import Charges

CODES: tuple[Data, ...] = (
    {"code": "insufficient_funds"},
    {"code": "insufficient_funds"},
    {"code": "do_not_honor"},
    {"code": "never_heard_of"},
    {"code": "never_heard_of", "class": "hard"},
    {"code": "processing_error"},
    {"code": "processing_error"},
    {"code": "expired_card"},
    {"code": "lost_card"},
    {"code": "card_declined", "network": "visa", "network_decline_code": "43"},
    {"code": "card_declined", "network": "visa", "network_decline_code": "91"},
    {"code": "card_declined", "network": "visa", "network_decline_code": "54"},
    {"code": "insufficient_funds", "network": "visa", "network_decline_code": "N7"},
    {"code": "card_declined", "network": "mastercard", "network_advice_code": "28"},
    {"code": "card_declined", "network": "mastercard", "network_advice_code": "24"},
    {"code": "card_declined", "network": "mastercard", "network_advice_code": "03"},
)
METHODS: tuple[Data, ...] = (
    {"id": "pm_1", "type": "card", "fingerprint": "fp_1"},
    {"id": "pm_1b", "type": "card", "fingerprint": "fp_1", "country": "IN"},  # the same card, of which one says more
    {"id": "pm_2", "type": "card", "fingerprint": "fp_2"},
    {"id": "pm_3", "type": "sepa_debit"},
)
BRANDED: tuple[Data, ...] = (
    {"id": "pm_4", "type": "card", "fingerprint": "fp_4", "brand": "visa", "country": "IN"},
    {"id": "pm_5", "type": "card", "fingerprint": "fp_5", "brand": "visa", "country": "DE", "last4": "4242"},
    {"id": "pm_6", "type": "card", "fingerprint": "fp_6", "brand": "mastercard", "exp_month": 5, "exp_year": 2027},
)
PROCESSORS: tuple[Data, ...] = (
    {"name": "stripe", "merchant_id": "m_1"},
    {"name": "Stripe"},
    {"name": "adyen", "merchant_id": "m_2", "transaction_id": "tx_1"},
    {"merchant_id": "m_1"},
)
UNREAD: Data = {
    "attempt_id": "att_1",
    "subscription_id": "sub_1",
    "update_payment_url": "https://pay.example.com/1",
    "value_minor": 120_000,
    "metadata": {"order": "7"},
}
NO_NOTICE: Data = {"rung": "none", "notice": {"channels": ["email"]}}
CARD = "4111 1111 1111 1111"


@dataclass
class Account:
    """Where the lines of one account come from."""

    rng: random.Random
    policy: Data
    starts_at: datetime
    charges: Charges
    lines: list[Data] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    failures: list[Data] = field(default_factory=list)
    told: set[tuple[str, str, int]] = field(default_factory=set)
    customers: int = 0
    overdue: bool = False
    processor: Data | None = None

    def moment(self) -> datetime:
        """Often on a date of the ladder or of a retry, sometimes anywhere."""
        rng = self.rng
        base = self.starts_at
        if rng.random() < 0.5:
            return base + timedelta(
                hours=rng.choice([0, 1, 6, 12, 24, 25, 30, 48, 72, 96, 100, 120, 168, 240, 336, 400])
            )
        if rng.random() < 0.7:
            return base + timedelta(hours=rng.randint(0, 24 * 40))
        return base + timedelta(minutes=rng.randint(0, 60 * 24 * 80))

    def read_at(self, own_at: datetime) -> datetime:
        rng = self.rng
        if rng.random() < 0.75:
            return own_at
        return (
            own_at
            + rng.choice([timedelta(minutes=-30), timedelta(minutes=7), timedelta(hours=5), timedelta(days=1)])
            + timedelta(days=rng.choice([0, 0, 1, 3, 9]))
        )

    def add(self, topic: str, data: Data, own_at: datetime) -> None:
        """A method that is charged before its own time would be older than its own decline: not of this world."""
        read_at = self.read_at(own_at)
        if data.get("kind") == "payment_method.updated":
            read_at = max(read_at, own_at)
        self.lines.append({"at": written(read_at), "topic": topic, "data": data})

    def customer(self) -> Data:
        rng = self.rng
        self.customers += 1
        found: Data = {"id": "cus_1"}
        if rng.random() < 0.1:
            found |= {"name": "Ada", "locale": "de-AT"}
        if rng.random() < 0.03:
            found["email"] = ""
        elif rng.random() < 0.9:
            found["email"] = f"ada{rng.randint(1, 2)}@example.com"
        if rng.random() < 0.6:
            found["phone"] = f"+491511234567{rng.randint(1, 2)}"
        if rng.random() < 0.6:
            found["timezone"] = rng.choice([ZONES[1], ZONES[2], *ZONES, "Nowhere/Land"])
        if rng.random() < 0.6:
            found["country"] = rng.choice(["DE", "US", "IN"])
        if rng.random() < 0.3:
            found["postal_address"] = f"Street {rng.randint(1, 2)}, Berlin"
        return found

    def method(self) -> Data:
        """A card that is also known by another id, another card, an account without a fingerprint, seldom others."""
        return self.rng.choice(METHODS if self.rng.random() < 0.85 else BRANDED)

    def failure(self, invoice: str, own_at: datetime) -> None:
        rng = self.rng
        number = self.attempts.get(invoice, 0) + rng.choice([1, 1, 1, 0, 2])
        self.attempts[invoice] = number = max(number, 1)
        data: Data = {
            "payment_id": f"pay_{invoice}",
            "attempt_number": number,
            "account_id": "acc_1",
            "invoice": {"id": invoice, "amount_due_minor": rng.choice([4900, 4900, 4900, 700])},
            "amount_minor": 4900,
            "currency": "USD" if invoice == "in_3" else "EUR",
            "failed_at": written(own_at),
            "failure": {"code": "payment_overdue"} if self.overdue else rng.choice(CODES),
        }
        if rng.random() < 0.85:
            data["payment_method"] = self.method()
        if rng.random() < 0.6:
            data["customer"] = self.customer()
        if rng.random() < 0.3:
            data["invoice"]["due_at"] = written(self.starts_at + timedelta(days=rng.choice([-10, -2, 0, 1, 5])))
        if rng.random() < 0.25:
            data["payment_id"] = f"pay_{rng.randint(1, 3)}"
            data["initiated_by"] = "customer"
        elif self.charges is None and rng.random() < 0.4:
            data["retry_id"] = self.retry_id(invoice)
        if rng.random() < 0.3:
            data["segment"] = "self_serve"
        self.dress(data)
        told = (data["failed_at"], data["payment_id"], data["attempt_number"])
        if told in self.told:  # two words on one attempt are the platform's mistake; of no rule's concern
            return
        self.told.add(told)
        self.failures.append(data)
        self.add("payment.failed", data, own_at)

    def dress(self, data: Data) -> None:
        """What an event may say besides, mostly read by nobody."""
        rng = self.rng
        if self.processor is not None:
            data["processor"] = self.processor
        if rng.random() < 0.02:
            data["livemode"] = rng.random() < 0.3
        if rng.random() < 0.05:
            data |= UNREAD
            data["invoice"] |= {"number": "R-7", "issued_at": "2026-01-01T00:00:00Z"}
            if "failure" in data:
                data["failure"] = {**data["failure"], "message": "No luck."}

    def retry_id(self, invoice: str) -> str:
        """What our request might be called."""
        number = self.rng.choice([1, 1, 1, 2])
        case = uuid.uuid5(uuid.NAMESPACE_URL, f"acc_1/{invoice}/{number}")
        return f"{case}:{self.rng.randint(2, 5)}"

    def again(self) -> None:
        """The same failure once more, in another form or with another content."""
        if not self.failures:
            return
        first = self.rng.choice(self.failures)
        data: Data = {**first, "metadata": {"again": True}}
        if self.rng.random() < 0.3:
            data["amount_minor"] = 4901
        self.add("payment.failed", data, datetime.fromisoformat(first["failed_at"]))

    def success(self, invoice: str, own_at: datetime, remaining: int) -> None:
        data: Data = {
            "payment_id": self.rng.choice([f"pay_{invoice}", "pay_9"]),
            "account_id": "acc_1",
            "invoice": {"id": invoice, "amount_remaining_minor": remaining},
            "amount_minor": 4900 - remaining if remaining < 4900 else 100,
            "currency": "USD" if invoice == "in_3" else "EUR",
            "succeeded_at": written(own_at),
        }
        if self.charges is None and self.rng.random() < 0.4:
            data["retry_id"] = self.retry_id(invoice)
        if self.rng.random() < 0.2:
            data["payment_method"] = self.method()
        if self.rng.random() < 0.1:
            data["customer"] = self.customer()
        self.dress(data)
        if self.rng.random() < 0.05:
            data |= {"receipt_url": "https://pay.example.com/r", "segment": "self_serve", "initiated_by": "customer"}
            data["attempt_number"] = self.rng.randint(1, 5)
            data["invoice"]["due_at"] = written(self.starts_at)
        self.add("payment.succeeded", data, own_at)
        if self.rng.random() < 0.15:
            self.add("payment.succeeded", {**data, "metadata": {"again": "yes"}}, own_at)

    def signal(self, kind: str, own_at: datetime, **more: Any) -> None:
        data = {"kind": kind, "account_id": "acc_1", "at": written(own_at), **more}
        if self.rng.random() < 0.02:
            data |= {"livemode": self.rng.random() < 0.3, "metadata": {"by": "ops"}}
        self.add("dunning.signals", data, own_at)

    def notice_news(self, kind: str, invoice: str, own_at: datetime) -> None:
        """What became of a notice that perhaps went out; now and then of one that nobody knows."""
        rng = self.rng
        rung: Data = rng.choice([one for one in self.policy["ladder"] if "notice" in one] or [NO_NOTICE])
        channel = rng.choice([*rung["notice"]["channels"], *rung["notice"].get("fallback", [])])
        more: Data = {"permanent": True} if kind == "notice.bounced" and rng.random() < 0.4 else {}
        named: Data = {"invoice_id": invoice, "rung": rung["rung"]}
        if rng.random() < 0.08:
            named = {"notice_id": "ntc_of_nobody", **(named if rng.random() < 0.5 else {})}
        self.signal(kind, own_at, **named, channel=channel, **more)
