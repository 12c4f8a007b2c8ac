"""The servers that tests get are real, and each test is alone in its database."""

import subprocess
import sys

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dunning_cli.stack.env_file import read_env_file
from dunning_cli.stack.processes import Process
from tests.stack import folder_for_servers, without_named_servers


async def test_a_database_is_empty_and_reads_every_script(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
        assert await connection.fetchval(tables) == 0
        await connection.execute("create table names (name text)")
        await connection.execute("insert into names values ($1)", "Żółć 支払い")
        assert await connection.fetchval("select length(name) from names") == 8
        assert await connection.fetchval("show server_encoding") == "UTF8"
    finally:
        await connection.close()


async def test_what_a_transaction_wrote_is_read_committed(kafka_bootstrap: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}payment.failed"
    await create_topic(kafka_bootstrap, topic)
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap, transactional_id=f"{topic_prefix}relay-0")
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"taken back", key=b"acc_1")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", key=b"acc_1")
    finally:
        await producer.stop()

    assert await first_committed_value(kafka_bootstrap, topic) == b"committed"


def test_the_servers_of_a_killed_test_run_stop_by_themselves(kafka_bootstrap: str) -> None:
    arguments = [sys.executable, "-m", "dunning_cli.stack.keep", "--while-stdin-open", "--data-dir"]
    environment = {**without_named_servers(), "DUNNING_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}
    with folder_for_servers() as folder:
        keeper = subprocess.Popen(
            [*arguments, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        assert "ready\n" in iter(keeper.stdout.readline, "")
        pids = [value for name, value in read_env_file(folder / "env").items() if name.startswith("DUNNING_PIDS_")]
        kept = [Process.of_pid(int(pid)) for pid in pids]

        keeper.stdout.close()  # What the death of its reader looks like from there.
        keeper.stdin.close()
        keeper.wait(60)

        assert len(kept) == 3
        assert not any(process is None or process.is_alive() for process in kept)


async def create_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def first_committed_value(bootstrap: str, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        value: bytes | None = (await consumer.getone()).value
        return value
    finally:
        await consumer.stop()
