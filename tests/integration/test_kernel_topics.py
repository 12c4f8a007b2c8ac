"""Topics are created once, and those that exist are looked at, not touched."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dunning.contracts.topics import PAYMENT_FAILED, TOPICS
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.topics import Difference, create_topics


async def test_what_is_missing_is_created_and_what_differs_is_told(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = load_settings(
        Settings, kafka_bootstrap_servers=kafka_bootstrap, database_url="postgresql://db", topic_prefix=topic_prefix
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic_prefix + PAYMENT_FAILED, 1, 1, topic_configs={"retention.ms": "1000"})])
    await admin.close()

    first = await create_topics(settings)
    second = await create_topics(settings)

    observed = 4  # of what we publish, for the mode `observe`
    assert len(first.created) == len(TOPICS) - 1 + observed
    assert second.created == ()
    retention = Difference(topic_prefix + PAYMENT_FAILED, "retention.ms", "1000", "1209600000")
    assert first.differences == second.differences
    assert retention in second.differences
    assert {each.topic for each in second.differences} == {topic_prefix + PAYMENT_FAILED}
    assert str(retention) == f"{topic_prefix}payment.failed: retention.ms is 1000, should be 1209600000"
