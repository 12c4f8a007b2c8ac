"""A simulated payment processor: charges what it is asked to charge, at most once per `retry_id`, and answers.

What it decides is `odds`, what it did is `ledger`; here is what lies between a request and its answer.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, RETRY_REQUESTED, kafka_name
from dunning.domain.calendar import rfc3339
from dunning.domain.rfc3339 import instant
from dunning_cli.demo.books import Books
from dunning_cli.demo.events import Form, wrap
from dunning_cli.demo.ledger import Charge, Ledger
from dunning_cli.demo.odds import Fate, answer_seconds, verdict

GROUP = "simulated-payment-processor"
_CHARGES_UNDER_WAY_MAX = 5000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the platform says about a charge."""

    topic: str
    data: dict[str, Any]


class Processor:
    """Decides and charges. `books` says what is still owed; without them everything that is asked for is."""

    def __init__(self, ledger: Ledger, seed: int, books: Books | None = None) -> None:
        self._ledger = ledger
        self._seed = seed
        self._books = books

    def delay_seconds(self, request: Mapping[str, Any]) -> float:
        """How long this charge takes."""
        return answer_seconds(self._seed, request["retry_id"])

    def charge(self, request: Mapping[str, Any], now: datetime) -> Answer | None:
        """Charge, or do nothing where that is out of time, paid, or will never be answered.

        Asked once more for what it charged before, it only repeats its answer: the same words, the same time.
        """
        made = self._ledger.find(request["retry_id"])
        if made is None:
            made = self._charge_now(request, now)
        return self._answer(request, made) if made else None

    def _charge_now(self, request: Mapping[str, Any], now: datetime) -> Charge | None:
        decided = verdict(self._seed, request["retry_id"], request["decline_class"], request["attempt_number"])
        if decided.fate is Fate.SILENT or not self._may_charge(request, now):
            return None
        made = Charge(
            retry_id=request["retry_id"],
            invoice_id=request["invoice_id"],
            at=rfc3339(now),
            outcome=str(decided.fate),
            amount_minor=request["amount_minor"],
            currency=request["currency"],
        )
        self._ledger.enter(made)
        return made

    def _may_charge(self, request: Mapping[str, Any], now: datetime) -> bool:
        """Only before `not_after`, and only while the whole amount is still owed (rule 14)."""
        if now >= instant(request["not_after"]):
            return False
        owed_minor = self._books.owed_minor(request["invoice_id"]) if self._books else None
        return owed_minor is None or owed_minor >= request["amount_minor"]

    def _answer(self, request: Mapping[str, Any], made: Charge) -> Answer:
        succeeded = made.outcome == Fate.SUCCEEDED
        answer = _success(request, made) if succeeded else _failure(request, made, self._seed)
        if self._books:
            self._books.read(answer.topic, answer.data)
        return answer


def _common(request: Mapping[str, Any], made: Charge) -> dict[str, Any]:
    return {
        "payment_id": request["payment_id"],
        "attempt_number": request["attempt_number"],
        "account_id": request["account_id"],
        "amount_minor": made.amount_minor,
        "currency": made.currency,
        "initiated_by": "merchant",
        "retry_id": made.retry_id,
    }


def _success(request: Mapping[str, Any], made: Charge) -> Answer:
    invoice = {"id": made.invoice_id, "amount_remaining_minor": 0}
    return Answer(PAYMENT_SUCCEEDED, {**_common(request, made), "invoice": invoice, "succeeded_at": made.at})


def _failure(request: Mapping[str, Any], made: Charge, seed: int) -> Answer:
    code = verdict(seed, made.retry_id, request["decline_class"], request["attempt_number"]).code
    invoice = {"id": made.invoice_id, "amount_due_minor": made.amount_minor}
    data = {**_common(request, made), "invoice": invoice, "failed_at": made.at, "failure": {"code": code}}
    return Answer(PAYMENT_FAILED, data)


@dataclass(slots=True)
class Running:
    """Charges under way, one task each, so that a slow one holds up nobody."""

    processor: Processor
    send: Callable[[Answer], Awaitable[None]]
    now: Callable[[], datetime]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    charged: int = 0

    def take(self, request: Mapping[str, Any]) -> None:
        """Begin a charge."""
        task = asyncio.create_task(self._handle(request))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _handle(self, request: Mapping[str, Any]) -> None:
        await asyncio.sleep(self.processor.delay_seconds(request))
        answer = self.processor.charge(request, self.now())
        if answer is not None:
            self.charged += 1
            await self.send(answer)

    async def room(self) -> None:
        """Wait while too many are under way."""
        while len(self.tasks) >= _CHARGES_UNDER_WAY_MAX:
            await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)


async def run_processor(
    processor: Processor, bootstrap_servers: str, stopping: asyncio.Event, *, prefix: str = ""
) -> None:
    """Consume requests and answer them until asked to stop; what is under way then is finished."""
    consumer = AIOKafkaConsumer(
        kafka_name(RETRY_REQUESTED, prefix),
        bootstrap_servers=bootstrap_servers,
        group_id=f"{prefix}{GROUP}",
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=True,
    )
    async with consumer, AIOKafkaProducer(bootstrap_servers=bootstrap_servers, enable_idempotence=True) as producer:

        async def send(answer: Answer) -> None:
            value, headers = wrap(answer.topic, answer.data, Form.BINARY)
            key = answer.data["account_id"].encode()
            await producer.send_and_wait(kafka_name(answer.topic, prefix), value, key=key, headers=list(headers))

        running = Running(processor, send, lambda: datetime.now(UTC))
        while not stopping.is_set():
            await running.room()
            batches = await consumer.getmany(timeout_ms=200, max_records=500)
            for record in (record for records in batches.values() for record in records):
                running.take(json.loads(record.value))
        if running.tasks:
            await asyncio.wait(running.tasks)
