"""Inputs of `dunning simulate` for measuring it, with the outcome that they imply."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.calendar import rfc3339
from dunning.domain.rfc3339 import instant
from dunning.domain.words import DeclineClass
from dunning_cli.demo.odds import Fate, verdict
from dunning_cli.demo.traffic import Plan, Shares, schedule

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY_SECONDS = 86_400
FAILING_FOR_DAYS = 30  # first failures come within this time
UNTIL = START + timedelta(days=FAILING_FOR_DAYS + 60)  # the ladder of the standard policy has 45 days
ATTEMPTS_TOLD = range(2, 8)
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
_CODES = ("insufficient_funds",) * 6 + ("do_not_honor", "expired_card", "stolen_card", "processing_error")

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """Events, who answers charges, and what must come out: cases that open, and cases that people pay by themselves."""

    name: str
    lines: Sequence[Line]
    told: Sequence[Line] | None  # a charges file; None: every charge fails
    cases: int
    paid_by_people: int


def realistic(invoices: int) -> History:
    """The demo's traffic with days of 24 hours: the published decline mix, people who pay, void, bring a new card.

    Charges are answered with the demo's odds, but fail where somebody is going to pay or void by hand.
    """
    plan = Plan(START, 1, round(invoices / Shares().fails), FAILING_FOR_DAYS * DAY_SECONDS, DAY_SECONDS)
    sent = [sending for sending in schedule(plan) if sending.data is not None]
    lines = [_line(START + timedelta(seconds=each.offset_seconds), each.topic, each.data or {}) for each in sent]
    new_cards = {each.needs.invoice_id for each in sent if each.needs and "payment_method" in (each.data or {})}
    paid = {line["data"]["invoice"]["id"] for line in lines if line["topic"] == PAYMENT_SUCCEEDED}  # returned ones too
    by_hand = {each.needs.invoice_id for each in sent if each.needs} - new_cards | paid
    failing = dict.fromkeys(line["data"]["invoice"]["id"] for line in lines if line["topic"] == PAYMENT_FAILED)
    told = [
        _told(invoice_id, number, DeclineClass.HARD if invoice_id in new_cards else DeclineClass.SOFT)
        for invoice_id in failing
        if invoice_id not in by_hand
        for number in ATTEMPTS_TOLD
    ]
    return History("realistic", lines, told, *_implied(lines))


def nothing_works(accounts: int) -> History:
    """The longest lives: no charge ever succeeds, six of ten pay by hand within thirty days, the others never do."""
    random = Random(7)
    lines: list[Line] = []
    for number in range(accounts):
        at = START + timedelta(days=FAILING_FOR_DAYS) * (number / accounts)
        at = at.replace(microsecond=0)
        lines.append(_line(at, PAYMENT_FAILED, _failure(number, at, random)))
        if random.random() < 0.6:
            paid_at = at + timedelta(hours=random.randrange(1, 30 * 24))
            lines.append(_line(paid_at, PAYMENT_SUCCEEDED, _payment(number, paid_at)))
    return History("nothing works", lines, None, *_implied(lines))


def _implied(lines: Iterable[Line]) -> tuple[int, int]:
    """Cases that open, and those of them that a payment by hand closes: looked up in the lines, in reading order."""
    opened = paid = 0
    is_open: set[str] = set()
    voided: set[str] = set()
    settled_until: dict[str, datetime] = {}
    for line in sorted(lines, key=lambda line: instant(line["at"])):
        data = line["data"]
        if line["topic"] == PAYMENT_FAILED:
            invoice_id, failed_at = data["invoice"]["id"], instant(data["failed_at"])
            settled = invoice_id in voided or failed_at <= settled_until.get(invoice_id, START - timedelta(days=1))
            if not settled and invoice_id not in is_open:
                opened += 1
                is_open.add(invoice_id)
        elif line["topic"] == PAYMENT_SUCCEEDED and data["invoice"]["amount_remaining_minor"] == 0:
            invoice_id = data["invoice"]["id"]
            paid += invoice_id in is_open
            is_open.discard(invoice_id)
            settled_until[invoice_id] = instant(data["succeeded_at"])
        elif line["topic"] == SIGNALS and data["kind"] == "invoice.voided":
            voided.add(data["invoice_id"])
            is_open.discard(data["invoice_id"])
    return opened, paid


def _told(invoice_id: str, number: int, decline_class: DeclineClass) -> Line:
    decided = verdict(1, f"{invoice_id}/{number}", decline_class, number)
    if decided.fate is Fate.SUCCEEDED:
        return {"invoice_id": invoice_id, "attempt_number": number, "answer": "succeed"}
    failure = {"code": decided.code or "insufficient_funds"}
    return {"invoice_id": invoice_id, "attempt_number": number, "answer": "fail", "failure": failure}


def _line(at: datetime, topic: str, data: Mapping[str, Any]) -> Line:
    return {"at": rfc3339(at), "topic": topic, "data": data}


def _failure(number: int, at: datetime, random: Random) -> dict[str, Any]:
    return {
        "payment_id": f"pay_{number}",
        "attempt_number": 1,
        "account_id": f"acc_{number}",
        "invoice": {"id": f"in_{number}", "amount_due_minor": 4900},
        "amount_minor": 4900,
        "currency": "EUR",
        "failed_at": rfc3339(at),
        "failure": {"code": random.choice(_CODES)},
        "payment_method": {"id": f"pm_{number}", "type": "card", "brand": "visa", "fingerprint": f"fp_{number}"},
        "customer": {
            "id": f"cus_{number}",
            "name": "Ada",
            "email": f"ada{number}@example.com",
            "phone": "+4915112345678",
            "timezone": random.choice(_ZONES),
            "country": "DE",
        },
    }


def _payment(number: int, at: datetime) -> dict[str, Any]:
    return {
        "payment_id": f"pay_{number}_self",
        "account_id": f"acc_{number}",
        "invoice": {"id": f"in_{number}", "amount_remaining_minor": 0},
        "amount_minor": 4900,
        "currency": "EUR",
        "succeeded_at": rfc3339(at),
        "initiated_by": "customer",
    }


def text(lines: Iterable[Line]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)
