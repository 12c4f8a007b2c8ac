"""The log under contract: each test runs on the one in memory and on a real Kafka, with the same literal expectations.

It is about what the kernel rests on: atomicity, fencing, what is noted together with records, redelivery,
acknowledgements that are lost, and what a reader may and may not see. Time-outs of transactions are
the broker's own affair, and slow.
"""

from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import IllegalStateError, OffsetOutOfRangeError

from dunning.runtime.clients import AIOKAFKA
from dunning.runtime.publisher import FENCED
from dunning.runtime.settings import Settings, load_settings
from dunning.testing.memory_clients import DirectLink, MemoryBroker
from dunning.testing.memory_log import MemoryLog
from tests.contract.log_kit import PARTITIONS, Log


@pytest.fixture(params=["memory", "kafka"])
def log_servers(request: pytest.FixtureRequest) -> str | None:
    """The broker of the log; None for the one in memory."""
    servers: str | None = request.getfixturevalue("kafka_bootstrap") if request.param == "kafka" else None
    return servers


@pytest.fixture
async def log(log_servers: str | None, topic_prefix: str) -> AsyncIterator[Log]:
    """An empty topic."""
    if log_servers is None:
        broker = MemoryBroker(MemoryLog({f"{topic_prefix}topic": PARTITIONS}, lambda: 0))
        yield Log(broker.clients(DirectLink()), {}, topic_prefix)
        return
    settings = load_settings(Settings, kafka_bootstrap_servers=log_servers, database_url="postgresql://nobody")
    log = Log(AIOKAFKA, settings.kafka_connection(), topic_prefix)
    admin = AIOKafkaAdminClient(bootstrap_servers=log_servers)
    await admin.start()
    await admin.create_topics([NewTopic(log.topic, PARTITIONS, 1)])
    await admin.close()
    yield log


async def test_of_a_transaction_readers_see_nothing_or_all(log: Log) -> None:
    async with log.writer() as writer, log.reader() as reader:
        await reader.place(log.at(0), 0)
        await reader.place(log.at(1), 0)
        await writer.begin()
        await writer.send(0, b"a", b"b")
        await writer.send(1, b"c")

        before = await reader.look(log.at(0)), await reader.look(log.at(1))
        await writer.commit()

        assert before == ([], [])
        assert await reader.read(log.at(0), 2) == [b"a", b"b"]
        assert await reader.read(log.at(1), 1) == [b"c"]


async def test_the_end_of_a_log_counts_what_is_open_and_the_markers(log: Log) -> None:
    async with log.writer() as writer:
        await writer.begin()
        await writer.send(0, b"a", b"b")
        open_ends = await log.ends()
        await writer.commit()

    assert open_ends == [2, 0]
    assert await log.ends() == [3, 0]


async def test_a_committed_record_behind_an_open_transaction_waits_for_it(log: Log) -> None:
    async with log.writer("slow") as slow, log.writer("quick") as quick, log.reader() as reader:
        await reader.place(log.at(0), 0)
        await slow.begin()
        await slow.send(0, b"first")
        await quick.write(0, b"second")

        before = await reader.look(log.at(0))
        await slow.commit()

        assert before == []
        assert await reader.read(log.at(0), 2) == [b"first", b"second"]


async def test_a_newer_producer_takes_back_what_the_older_had_open_and_fences_it(log: Log) -> None:
    async with log.writer() as old, log.reader() as reader:
        await reader.place(log.at(0), 0)
        await old.begin()
        await old.send(0, b"lost")
        async with log.writer() as new:
            with pytest.raises(FENCED):
                await old.commit()
            await new.write(0, b"kept")

            assert await reader.read(log.at(0), 1) == [b"kept"]


async def test_whoever_was_fenced_begins_nothing_new(log: Log) -> None:
    async with log.writer() as old:
        await old.write(0, b"in time")
        async with log.writer():
            with pytest.raises(FENCED):
                await old.write(0, b"too late")
    async with log.reader() as reader:
        await reader.place(log.at(0), 0)
        assert await reader.read(log.at(0), 1) == [b"in time"]
        assert await reader.look(log.at(0)) == []


async def test_a_note_is_in_force_with_the_records_it_came_with(log: Log) -> None:
    async with log.writer() as writer:
        await writer.begin()
        await writer.send(0, b"a")
        await writer.note(7, "rows 1 to 7")
        open_note = await log.noted()
        await writer.commit()

    assert open_note is None
    assert await log.noted() == (7, "rows 1 to 7")


async def test_a_note_is_taken_back_with_the_records_it_came_with(log: Log) -> None:
    async with log.writer() as old:
        await old.begin()
        await old.send(0, b"a")
        await old.note(7, "rows 1 to 7")
        async with log.writer():
            assert await log.noted() is None


async def test_when_the_answer_to_a_commit_is_lost_the_next_producer_finds_what_was_noted(log: Log) -> None:
    async with log.writer() as writer:
        await writer.begin()
        await writer.send(0, b"a")
        await writer.note(7, "rows 1 to 7")
        await writer.commit()  # and nobody hears of it
        async with log.writer() as successor:
            assert await log.noted() == (7, "rows 1 to 7")
            await successor.write(0, b"b")
    async with log.reader() as reader:
        await reader.place(log.at(0), 0)
        assert await reader.read(log.at(0), 2) == [b"a", b"b"]


async def test_what_was_read_is_delivered_again_from_wherever_a_reader_is_placed(log: Log) -> None:
    async with log.writer() as writer:
        await writer.write(0, b"a", b"b", b"c")
    async with log.reader() as reader:
        await reader.place(log.at(0), 0)
        first = await reader.read(log.at(0), 3)
        await reader.place(log.at(0), 1)

        assert first == [b"a", b"b", b"c"]
        assert await reader.read(log.at(0), 2) == [b"b", b"c"]


async def test_a_reader_stands_behind_the_marker_once_it_looked_for_more(log: Log) -> None:
    async with log.writer() as writer:
        await writer.write(0, b"a")
    async with log.reader() as reader:
        await reader.place(log.at(0), 0)
        await reader.read(log.at(0), 1)
        await reader.look(log.at(0))

        assert await reader.client.position(log.at(0)) == 2


async def test_an_offset_that_the_log_does_not_hold_is_an_error_and_no_reset(log: Log) -> None:
    async with log.reader() as reader:
        await reader.place(log.at(0), 5)

        with pytest.raises(OffsetOutOfRangeError) as raised:
            await reader.read(log.at(0), 1)

        assert raised.value.args[0] == {log.at(0): 5}


async def test_a_partition_belongs_to_one_member_of_a_group(log: Log) -> None:
    async with log.reader(name="one") as one:
        alone = one.assigned.given
        one.assigned.told.clear()
        async with log.reader(name="two") as two:
            await one.assigned.told.wait()

            assert alone == {log.at(0), log.at(1)}
            assert len(one.assigned.given) == len(two.assigned.given) == 1
            assert one.assigned.given | two.assigned.given == {log.at(0), log.at(1)}
            (others,) = two.assigned.given
            with pytest.raises(IllegalStateError):
                one.client.seek(others, 0)


async def test_a_member_that_comes_back_under_its_name_gets_what_it_had(log: Log) -> None:
    async with log.reader(name="one") as first:
        before = first.assigned.given
    async with log.reader(name="one") as again:
        assert again.assigned.given == before == {log.at(0), log.at(1)}
