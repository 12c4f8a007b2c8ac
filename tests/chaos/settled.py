"""Waiting until every service has read all there is: the verifier asks for that of a run that has settled."""

import asyncio
import time

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from dunning.contracts.topics import SERVICES

_PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.2
_STORED = " union all ".join(f"select '{each}', topic, partition, next_offset from {each}.offsets" for each in SERVICES)


async def everything_is_read(kafka: str, database_url: str) -> None:
    """Until the databases say so."""
    connection = await asyncpg.connect(database_url)
    try:
        async with AIOKafkaConsumer(bootstrap_servers=kafka) as log:
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while unread := await _unread(log, connection):
                assert time.monotonic() < deadline, f"waited in vain until these are read: {unread}"
                await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await connection.close()


async def _unread(log: AIOKafkaConsumer, connection: "asyncpg.Connection[asyncpg.Record]") -> list[str]:
    stored = [tuple(row) for row in await connection.fetch(_STORED)]
    ends = await log.end_offsets([TopicPartition(topic, partition) for _, topic, partition, _ in stored])
    return [
        f"{service}: {topic}[{partition}] to {next_offset}"
        for service, topic, partition, next_offset in stored
        if (next_offset or 0) < ends[TopicPartition(topic, partition)]
    ]
