"""The verifier reads a real log: committed records only, of every partition, with their keys, times and headers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dunning_verifier import History, verify
from dunning_verifier.evidence import CannotRead
from dunning_verifier.policy_file import Policies
from dunning_verifier.reader import read_all
from dunning_verifier.records import record_of
from dunning_verifier.values import Record
from tests.unit.verifier.story import STANDARD, Story, a_recovered_case


async def test_a_run_is_read_to_its_end_and_what_was_taken_back_is_not(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    story = a_recovered_case().record("payment.failed", "2026-03-03T12:00:00Z", value=b"{", key="acc_1")
    story.dead_lettered("2026-03-03T12:00:01Z", "payment.failed", 4)  # every transaction's end takes an offset too
    await _create_topics(kafka_bootstrap, topic_prefix, story)
    taken_back = Story("acc_2").moved("account", "2026-03-02T10:00:00Z", "active", "suspended")

    await _publish(kafka_bootstrap, topic_prefix, taken_back, commit=False)
    await _publish(kafka_bootstrap, topic_prefix, story, commit=True)
    run = await read_all(kafka_bootstrap, topic_prefix, tmp_path)

    assert len(run.log.records) == len(story.events)
    assert run.mails == []
    assert run.tables is None
    history = History.of(run.log.records, policies=Policies.of([STANDARD]), settled=True)
    assert [str(violation) for violation in verify(history)] == []
    assert len(history.unreadable) == 1


async def test_a_broker_that_is_not_there_is_an_error_that_says_where() -> None:
    with pytest.raises(CannotRead, match=r"cannot reach Kafka at 127\.0\.0\.1:1"):
        await read_all("127.0.0.1:1", "", None)


def _records(story: Story) -> Iterator[Record]:
    for event in story.events:
        yield record_of(event, event["offset"])


async def _create_topics(bootstrap: str, prefix: str, story: Story) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = {event["topic"] for event in story.events}
    try:
        await admin.create_topics([NewTopic(prefix + name, num_partitions=2, replication_factor=1) for name in names])
    finally:
        await admin.close()


async def _publish(bootstrap: str, prefix: str, story: Story, *, commit: bool) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{prefix}relay")
    await producer.start()
    try:
        for record in _records(story):
            await producer.begin_transaction()
            await producer.send_and_wait(
                prefix + record.where.topic,
                record.value,
                key=record.key.encode() if record.key else None,
                partition=0,
                timestamp_ms=int(record.logged_at.timestamp() * 1000),
                headers=list(record.headers),
            )
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()
