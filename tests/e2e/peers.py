"""What the other services would publish, written by hand."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from tests.e2e.foreign import MINOR, NOTICE_RESULT, STAGE_CHANGED, ForeignClient, Invoice, Message


async def enforcement_moves(
    world: ForeignClient, invoice: Invoice, case_id: str, stages: tuple[str, str], rung: str, sequence: int
) -> None:
    """Account enforcement says that the account's stage changed."""
    data = {
        "case_id": case_id,
        "account_id": invoice.account_id,
        "invoice_id": invoice.id,
        "track": "account",
        "from_stage": stages[0],
        "to_stage": stages[1],
        "reason": "grace_period_expired",
        "effective_at": datetime.now(UTC).isoformat(),
        "policy": {"id": "quick", "version": 1},
        "next": None,
        "amount_minor": MINOR,
        "currency": "EUR",
        "details": {"rung": rung},
    }
    await _publish(world, STAGE_CHANGED, "account_enforcement", data, sequence)


async def dispatcher_reports(
    world: ForeignClient, invoice: Invoice, case_id: str, rung: str, outcome: str, sequence: int
) -> datetime:
    """The dispatcher says what became of a mail, at an instant that is given back."""
    at = datetime.now(UTC)
    data = {
        "notice_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{case_id}/{rung}")),
        "case_ids": [case_id],
        "account_id": invoice.account_id,
        "rung": rung,
        "channel": "email",
        "template": rung,
        "locale": "en",
        "outcome": outcome,
        "at": at.isoformat(),
    }
    await _publish(world, NOTICE_RESULT, "notification_dispatcher", data, sequence, subject=invoice.id)
    return at


async def _publish(
    world: ForeignClient, topic: str, service: str, data: dict[str, Any], sequence: int, subject: str = ""
) -> None:
    attributes = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": f"/dunning/{service}",
        "type": f"{topic}.v1",
        "subject": subject or str(data.get("invoice_id")),
        "sequence": str(sequence),
    }
    headers = [
        ("content-type", b"application/json"),
        *((f"ce_{name}", text.encode()) for name, text in attributes.items()),
    ]
    await world.write(topic, Message(json.dumps(data).encode(), tuple(headers)), data["account_id"])
