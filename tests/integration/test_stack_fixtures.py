"""The servers that tests get are real, and each test is alone in its database."""

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


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
