"""The input of a measurement: failures of many accounts, written before the services start."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from aiokafka import AIOKafkaProducer

from dunning.contracts.encode import Message
from dunning.contracts.encode_inputs import payment_failed_message
from dunning.domain.events import Customer, Failure, PaymentFailed, PaymentMethod

BATCH_BYTES = 256 * 1024
AT_ONCE = 10_000  # records on their way to the broker: what waits for its acknowledgement takes memory
INVOICES_OF_ACCOUNT = 3
AMOUNT_MINOR = 4900


def first_failure(account_id: str, invoice_id: str, failed_at: datetime) -> PaymentFailed:
    """An invoice's first failure, as everywhere here."""
    return PaymentFailed(
        event_id=f"evt_{invoice_id}",
        account_id=account_id,
        invoice_id=invoice_id,
        payment_id=f"pay_{invoice_id}",
        attempt_number=1,
        amount_due_minor=AMOUNT_MINOR,
        amount_minor=AMOUNT_MINOR,
        currency="EUR",
        failed_at=failed_at,
        failure=Failure("insufficient_funds", network="visa", network_decline_code="51"),
        customer=Customer(email=f"{account_id}@example.com", timezone="Europe/Berlin", country="DE"),
        payment_method=PaymentMethod(id=f"pm_{account_id}", type="card", brand="visa", fingerprint=f"fp_{account_id}"),
    )


def failures(count: int) -> Iterator[PaymentFailed]:
    """First failures of as many invoices, three of each account, of the last hour."""
    began = datetime.now(UTC) - timedelta(hours=1)
    for number in range(count):
        failed_at = began + timedelta(milliseconds=number % 3_600_000)
        yield first_failure(f"acc_{number // INVOICES_OF_ACCOUNT}", f"in_{number}", failed_at)


async def write(bootstrap: str, prefix: str, count: int) -> None:
    """Put so many failures into the topic, batch by batch, keyed by account."""
    await write_messages(bootstrap, (payment_failed_message(event, prefix=prefix) for event in failures(count)))


async def write_messages(bootstrap: str, messages: Iterable[Message]) -> None:
    """Put messages into their topics, each acknowledged at the end."""
    rest = iter(messages)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES, linger_ms=20) as producer:
        while some := list(islice(rest, AT_ONCE)):
            sent = [
                await producer.send(message.topic, message.value, key=message.key, headers=list(message.headers))
                for message in some
            ]
            for acknowledged in sent:
                await acknowledged
