"""`dunning offsets`, on a real broker and a real database."""

import asyncio
import getpass
from collections.abc import Mapping

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer

from tests.cli import dunning


@pytest.fixture
def settings(kafka_bootstrap: str, database_url: str, topic_prefix: str) -> Mapping[str, str]:
    return {
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "DUNNING_DATABASE_URL": database_url,
        "DUNNING_TOPIC_PREFIX": topic_prefix,
    }


def test_offsets_are_shown_and_moved_on_record(settings: Mapping[str, str]) -> None:
    topic = f"{settings['DUNNING_TOPIC_PREFIX']}payment.failed"
    dunning("migrate", settings=settings)
    asyncio.run(_two_records(settings["DUNNING_KAFKA_BOOTSTRAP_SERVERS"], topic))
    asyncio.run(_stored(settings["DUNNING_DATABASE_URL"], topic, 7))
    where = ("offsets", "set", "retry_scheduler", topic)

    before = dunning("offsets", "show", "--service", "retry_scheduler", "--format", "json", settings=settings).json
    beyond = dunning(*where, "0", "3", "--reason", "a drill", settings=settings)
    unknown = dunning(*where, "99", "end", "--reason", "a drill", settings=settings)
    silent = dunning(*where, "0", "end", "--reason", " ", settings=settings)
    doctor = dunning("doctor", settings=settings)
    moved = dunning(*where, "0", "earliest", "--reason", "the log was made anew", "--by", "ada", settings=settings)
    again = dunning(*where, "1", "end", "--reason", "nothing there matters", settings=settings)
    after = dunning("offsets", "show", "--format", "json", settings=settings).json
    shown = dunning("offsets", "show", "--service", "retry_scheduler", settings=settings)

    assert _at(before, topic, 0) == ("behind the end", 7, 0, 2, 0)
    assert _at(before, topic, 1) == ("not read yet", None, 0, 0, 0)
    assert (beyond.exit_code, unknown.exit_code, silent.exit_code) == (2, 2, 2)
    assert '"3" is no place to go on from: its log holds 0 to 2, or say earliest or end [DUN-C041]' in beyond.text
    assert "DUN-C040" in unknown.text
    assert "DUN-C041" in silent.text
    assert f"records that it has not read are gone in {topic}[0]" in doctor.text
    assert moved.lines == [f"retry_scheduler: {topic}[0] is read from 0 on, was 7"]
    assert again.lines == [f"retry_scheduler: {topic}[1] is read from 0 on, never read"]
    assert _at(after, topic, 0) == ("ok", 0, 0, 2, 2)
    assert [(each["service"], each["from"], each["to"], each["by"], each["reason"]) for each in after["moves"]] == [
        ("retry_scheduler", None, 0, getpass.getuser(), "nothing there matters"),
        ("retry_scheduler", 7, 0, "ada", "the log was made anew"),
    ]
    assert shown.lines[-1].endswith(f"retry_scheduler {topic}[0]: 7 -> 0, by ada: the log was made anew")


def _at(shown: Mapping[str, list[Mapping[str, object]]], topic: str, partition: int) -> tuple[object, ...]:
    (found,) = [
        each
        for each in shown["partitions"]
        if (each["service"], each["topic"], each["partition"]) == ("retry_scheduler", topic, partition)
    ]
    return tuple(found[name] for name in ("state", "reads_from", "log_begins", "log_ends", "waiting"))


async def _two_records(bootstrap: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for _ in range(2):
            await producer.send_and_wait(topic, b"{}", partition=0)


async def _stored(database_url: str, topic: str, offset: int) -> None:
    """As if a broker had lost its newest records since."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "insert into retry_scheduler.offsets (topic, partition, epoch, next_offset) values ($1, 0, 1, $2)",
            topic,
            offset,
        )
    finally:
        await connection.close()
