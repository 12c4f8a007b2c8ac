"""The input of a measurement: failures of many accounts, written before the services start."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaProducer

from dunning.contracts.encode_inputs import payment_failed_message
from dunning.domain.events import Customer, Failure, PaymentFailed, PaymentMethod

BATCH_BYTES = 256 * 1024


def failures(count: int) -> Iterator[PaymentFailed]:
    """First failures of as many invoices, three of each account, of the last hour."""
    began = datetime.now(UTC) - timedelta(hours=1)
    for number in range(count):
        account = f"acc_{number // 3}"
        yield PaymentFailed(
            event_id=f"evt_{number}",
            account_id=account,
            invoice_id=f"in_{number}",
            payment_id=f"pay_{number}",
            attempt_number=1,
            amount_due_minor=4900,
            amount_minor=4900,
            currency="EUR",
            failed_at=began + timedelta(milliseconds=number % 3_600_000),
            failure=Failure("insufficient_funds", network="visa", network_decline_code="51"),
            customer=Customer(email=f"{account}@example.com", timezone="Europe/Berlin", country="DE"),
            payment_method=PaymentMethod(id=f"pm_{account}", type="card", brand="visa", fingerprint=f"fp_{account}"),
        )


async def write(bootstrap: str, prefix: str, count: int) -> None:
    """Put the failures into the topic, batch by batch, keyed by account."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES, linger_ms=20) as producer:
        sent = []
        for event in failures(count):
            message = payment_failed_message(event, prefix=prefix)
            sent.append(
                await producer.send(message.topic, message.value, key=message.key, headers=list(message.headers))
            )
        for acknowledged in sent:
            await acknowledged
