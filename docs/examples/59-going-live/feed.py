"""Plays the payment platform.

`feed.py history [N]` writes a year of failures, half of them never paid; `feed.py fail NAME N` lets so many accounts
fail now; `feed.py pay NAME N` pays for them. It finds the stack whose data are in `data`, beside it.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiokafka import AIOKafkaProducer

NOW = datetime.now(UTC)
SETTINGS = dict(line.split("=", 1) for line in (Path(__file__).parent / "data" / "env").read_text().splitlines())
PREFIX = SETTINGS.get("DUNNING_TOPIC_PREFIX", "")


def failed(name: str, at: datetime) -> tuple[str, dict]:
    return "payment.failed", {
        "payment_id": f"pay_{name}", "attempt_number": 1, "account_id": f"acc_{name}",
        "invoice": {"id": f"in_{name}", "amount_due_minor": 4900}, "amount_minor": 4900, "currency": "EUR",
        "failed_at": at.isoformat(), "failure": {"code": "insufficient_funds"},
        "customer": {"email": f"{name}@customers.example", "locale": "en-GB"},
    }  # fmt: skip


def paid(name: str, at: datetime) -> tuple[str, dict]:
    return "payment.succeeded", {
        "payment_id": f"pay_{name}", "account_id": f"acc_{name}", "amount_minor": 4900, "currency": "EUR",
        "invoice": {"id": f"in_{name}", "amount_remaining_minor": 0}, "succeeded_at": at.isoformat(),
    }  # fmt: skip


def history(number: int) -> list[tuple[str, dict]]:
    days = [NOW - timedelta(days=365 * n / number + 1) for n in range(number, 0, -1)]
    found = [failed(f"old{n}", at) for n, at in enumerate(days)]
    return found + [paid(f"old{n}", at + timedelta(hours=3)) for n, at in enumerate(days) if n % 2]


def events(what: str, *more: str) -> list[tuple[str, dict]]:
    if what == "history":
        return history(int(more[0]) if more else 10_000)
    name, number = more
    return [(failed if what == "fail" else paid)(f"{name}{n}", NOW) for n in range(int(number))]


async def main() -> None:
    async with AIOKafkaProducer(bootstrap_servers=SETTINGS["DUNNING_KAFKA_BOOTSTRAP_SERVERS"]) as producer:
        for topic, event in events(*sys.argv[1:]):
            await producer.send(PREFIX + topic, json.dumps(event).encode(), key=event["account_id"].encode())


asyncio.run(main())
