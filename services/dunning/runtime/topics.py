"""Creating the topics of the registry, and comparing those that exist with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from dunning.contracts.topics import OBSERVED_TOPICS, TOPICS, Topic, kafka_name
from dunning.runtime.broker_log import KAFKA_TROUBLES, kafka_unreachable
from dunning.runtime.problem import TOPIC_MISSING, Problem
from dunning.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting of an existing topic that is not what the registry says."""

    topic: str
    setting: str
    is_now: str
    should_be: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.is_now}, should be {self.should_be}"


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What `create_topics` did and found."""

    created: tuple[str, ...]
    differences: tuple[Difference, ...]


async def create_topics(
    settings: Settings, topics: Sequence[Topic] = (*TOPICS.values(), *OBSERVED_TOPICS)
) -> TopicsReport:
    """Create what is missing, and look at what is there. Existing topics are never changed: how many partitions they
    have and how long they keep their records is their owner's to decide, so differences are told, not mended."""
    admin = AIOKafkaAdminClient(**settings.kafka_connection(), client_id="dunning-topics")
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if kafka_name(topic.name, settings.topic_prefix) not in existing]
        created = await _create(admin, settings, missing) if missing else ()
        there = [topic for topic in topics if topic not in missing]
        return TopicsReport(created, await _differences(admin, settings, there) if there else ())
    except KAFKA_TROUBLES as error:
        raise kafka_unreachable(settings, error) from error
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, settings: Settings, missing: Sequence[Topic]) -> tuple[str, ...]:
    new = [
        NewTopic(
            kafka_name(topic.name, settings.topic_prefix),
            num_partitions=topic.partitions,
            replication_factor=settings.topic_replication_factor,
            topic_configs=topic.config(),
        )
        for topic in missing
    ]
    answer = await admin.create_topics(new)
    created = []
    for name, code, *told in answer.topic_errors:
        error = for_code(code)
        if error is NoError:
            created.append(name)
        elif error is not TopicAlreadyExistsError:  # by somebody else, a moment ago
            why = told[0] if told and told[0] else error.__name__
            raise Problem(TOPIC_MISSING, f'the topic "{name}" cannot be created: {why}')
    return tuple(created)


async def _differences(
    admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[Topic]
) -> tuple[Difference, ...]:
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, kafka_name(topic.name, settings.topic_prefix)) for topic in topics
    ]
    in_force: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for _, _, _, name, entries in response.resources:
            in_force[name] = {entry[0]: entry[1] for entry in entries}
    return tuple(
        Difference(name, setting, is_now, wanted)
        for topic in topics
        for name in (kafka_name(topic.name, settings.topic_prefix),)
        for setting, wanted in topic.config().items()
        if (is_now := in_force.get(name, {}).get(setting, wanted)) != wanted
    )
