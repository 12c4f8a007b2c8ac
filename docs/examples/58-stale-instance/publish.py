"""Two owners of one shard of the outbox, one after the other, as two instances of account enforcement would be."""

import asyncio
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer

from dunning.contracts.topics import ACCOUNT_STATUS, PAYMENT_FAILED
from dunning.runtime.publisher import FENCED, Publisher
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.store import OutboxRow, PendingRow


async def main() -> None:
    # The client tells of the refusal once more, by futures that nobody asks.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    settings = load_settings(Settings)
    topic = settings.topic_prefix + ACCOUNT_STATUS

    def owner() -> Publisher:
        return Publisher(settings, "account_enforcement", 0, settings.topic_prefix + PAYMENT_FAILED)

    def status(number: int, word: str) -> list[PendingRow]:
        row = OutboxRow(topic, "acc_1", word.encode(), (), None, "acc_1")
        return [PendingRow(number, row, datetime.now(UTC))]

    async with owner() as old:
        print("old: publishes past_due")
        await old.publish(status(1, "past_due"))
        print("new: takes the old one's place")
        async with owner() as new:
            try:
                await old.publish(status(2, "suspended"))
            except FENCED:
                print("old: wakes up, publishes suspended, and is refused")
            print("new: publishes active")
            await new.publish(status(3, "active"))
    print("whoever reads what is committed:", ", ".join(await committed(settings, topic, 2)))


async def committed(settings: Settings, topic: str, number: int) -> list[str]:
    connection = settings.kafka_connection()
    reader = AIOKafkaConsumer(topic, **connection, isolation_level="read_committed", auto_offset_reset="earliest")
    async with reader:
        return [(await anext(reader)).value.decode() for _ in range(number)]


asyncio.run(main())
