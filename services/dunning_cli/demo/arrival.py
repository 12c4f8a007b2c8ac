"""Has the log date what it takes in: the verifier judges by its timestamps what a service could have read (rule 40).

A sender dates a record when it is written. On a busy machine it reaches the log later, and nobody can have read it
before.
"""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from dunning.contracts.topics import PAYMENT_PLATFORM, TOPICS


async def stamp_on_arrival(bootstrap_servers: str, prefix: str = "") -> None:
    """For the topics that the payment platform writes. Raises KafkaError where they cannot be changed."""
    stamped = [
        ConfigResource(
            ConfigResourceType.TOPIC, prefix + topic.name, {**topic.config(), "message.timestamp.type": "LogAppendTime"}
        )
        for topic in TOPICS.values()
        if PAYMENT_PLATFORM in topic.written_by
    ]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        answers = await admin.alter_configs(stamped)
    finally:
        await admin.close()
    refused = [resource for answer in answers for resource in answer.resources if resource[0] != 0]
    if refused:
        raise KafkaError(f"the topics cannot be stamped on arrival: {refused}")
