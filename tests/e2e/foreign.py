"""A payment platform written by somebody else: it knows Kafka and the public contracts, and uses none of our code.

Bodies are written by hand, in the loose ways that other languages' libraries have: spaces, escapes, offsets instead of
`Z`, members that nobody knows. What is sent is bytes, keys and headers, and nothing in between.
"""

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from aiokafka import AIOKafkaProducer

FAILED = "payment.failed"
SUCCEEDED = "payment.succeeded"
SIGNALS = "dunning.signals"
STAGE_CHANGED = "dunning.stage.changed"
NOTICE_RESULT = "dunning.notice.result"
RETRY_REQUESTED = "dunning.retry.requested"
ACCOUNT_STATUS = "dunning.account.status"

MINOR = 4900
_TOKYO = timezone(timedelta(hours=9))
_REQUEST_BYTES_MAX = 4 * 1024 * 1024


class Form(StrEnum):
    """The three forms in which an event may come."""

    PLAIN = "plain"
    STRUCTURED = "structured"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Message:
    """What a record holds beside its key."""

    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """What somebody owes, by default 49 euros."""

    name: str
    segment: str = "self_serve"

    @property
    def id(self) -> str:
        """The invoice's id."""
        return f"in_{self.name}"

    @property
    def account_id(self) -> str:
        """Who owes; every invoice has an account of its own."""
        return f"acc_{self.name}"

    @property
    def email(self) -> str:
        """Where the customer is written to."""
        return f"{self.name}@customers.example"


def now() -> str:
    """This instant, as somebody in Tokyo writes it."""
    return datetime.now(_TOKYO).isoformat(timespec="milliseconds")


def failed(
    invoice: Invoice, *, at: str | None = None, attempt: int = 1, retry_id: str | None = None, amount: str = str(MINOR)
) -> bytes:
    """The body of a failed payment."""
    answers = f', "retry_id": "{retry_id}"' if retry_id else ""
    return f"""{{
  "account_id" : "{invoice.account_id}",
  "invoice"    : {{ "amount_due_minor" : {MINOR}, "id" : "{invoice.id}", "number" : "2026\\u002d0017" }},
  "payment_id" : "pay_{invoice.name}", "attempt_number" : {attempt}{answers},
  "amount_minor" : {amount}, "currency" : "EUR",
  "failed_at"  : "{at or now()}",
  "failure"    : {{ "code" : "insufficient_funds", "message" : "Konto nicht gedeckt \\ud83d\\ude15" }},
  "customer"   : {{ "name" : "Zo\\u00eb Example", "email" : "{invoice.email}", "locale" : "en-GB" }},
  "segment"    : "{invoice.segment}",
  "update_payment_url" : "https://pay.example.com/update?invoice={invoice.id}",
  "shop_internal" : {{ "nobody knows" : [ "this", null, 1.5 ] }}
}}""".encode()


def succeeded(invoice: Invoice, *, at: str | None = None, attempt: int = 1, retry_id: str | None = None) -> bytes:
    """The body of a payment in full."""
    answers = f', "retry_id": "{retry_id}"' if retry_id else ""
    return (
        f'{{"payment_id":"pay_{invoice.name}","attempt_number":{attempt},"account_id":"{invoice.account_id}",'
        f'"invoice":{{"id":"{invoice.id}","amount_remaining_minor":0}},"amount_minor":{MINOR},"currency":"EUR",'
        f'"succeeded_at":"{at or now()}"{answers}}}\r\n'
    ).encode()


def voided(invoice: Invoice, *, at: str | None = None) -> bytes:
    """The body of a signal that nothing is owed any more."""
    return (
        f'{{"kind":"invoice.voided","account_id":"{invoice.account_id}","at":"{at or now()}",'
        f'"invoice_id":"{invoice.id}"}}'
    ).encode()


def wrapped(form: Form, topic: str, body: bytes, version: int = 1) -> Message:
    """A body in one of the three forms, written as the specification of CloudEvents has it."""
    event_id = str(uuid.uuid4())
    if form is Form.PLAIN:
        return Message(body)
    if form is Form.STRUCTURED:
        envelope = (
            f'{{"data": {body.decode().strip()},\n "datacontenttype": "application/json", "id": "{event_id}",'
            f' "source": "https://shop.example/billing", "specversion": "1.0", "type": "{topic}.v{version}"}}'
        )
        return Message(envelope.encode(), (("content-type", b"application/cloudevents+json; charset=UTF-8"),), event_id)
    attributes = {
        "ce_specversion": "1.0",
        "ce_type": f"{topic}.v{version}",
        "ce_source": "https://shop.example/billing",
        "ce_id": event_id,
        "content-type": "application/json",
    }
    return Message(body, tuple((name, text.encode()) for name, text in attributes.items()), event_id)


def minutes_ahead(minutes: int) -> str:
    """A time that is still to come."""
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


class ForeignClient:
    """Writes records, each acknowledged before the next."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str) -> None:
        self._producer = producer
        self._prefix = prefix

    async def write(self, topic: str, message: Message, key: str | None, partition: int | None = None) -> int:
        """One record; returns its offset."""
        sent = await self._producer.send_and_wait(
            self._prefix + topic,
            message.value,
            key=key.encode() if key is not None else None,
            partition=partition,
            headers=list(message.headers),
        )
        offset: int = sent.offset
        return offset

    async def fails(self, invoice: Invoice, form: Form = Form.PLAIN, **said: str | int) -> Message:
        """A failed payment of this invoice, in its account's own partition."""
        message = wrapped(form, FAILED, failed(invoice, **said))  # type: ignore[arg-type]
        await self.write(FAILED, message, invoice.account_id)
        return message

    async def pays(self, invoice: Invoice, form: Form = Form.PLAIN, **said: str | int) -> Message:
        """A payment in full."""
        message = wrapped(form, SUCCEEDED, succeeded(invoice, **said))  # type: ignore[arg-type]
        await self.write(SUCCEEDED, message, invoice.account_id)
        return message

    async def all_fail(self, invoices: Iterable[Invoice]) -> None:
        """Many at once, as fast as Kafka takes them."""
        sending = [
            await self._producer.send(self._prefix + FAILED, failed(invoice), key=invoice.account_id.encode())
            for invoice in invoices
        ]
        for each in sending:
            await each


@asynccontextmanager
async def a_foreign_client(
    kafka: str, prefix: str = "", compression: str | None = None
) -> AsyncIterator[ForeignClient]:
    """A client with an ordinary producer that takes bodies of any size."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", max_request_size=_REQUEST_BYTES_MAX, compression_type=compression
    ) as producer:
        yield ForeignClient(producer, prefix)
