"""Kafka: whether it answers, and whether each topic is there with the settings of the registry."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from dunning.contracts.topics import TOPICS, Cleanup, Topic, kafka_name
from dunning.runtime.broker_log import WHERE_IS_IT
from dunning.runtime.settings import Settings
from dunning_cli.asking import require_broker
from dunning_cli.health.findings import Finding, ok, problem, warning

KAFKA, TOPIC = "kafka", "topics"


async def look_at_topics(settings: Settings) -> list[Finding]:
    """Raises what a client raises when nobody answers."""
    require_broker(settings)
    admin = AIOKafkaAdminClient(**settings.kafka_connection(), client_id="dunning-doctor")
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        brokers = len(cluster.get("brokers", ()))
        partitions = await _partitions(admin, settings)
        there = [topic for topic in TOPICS.values() if partitions.get(_name(topic, settings))]
        configs = await _configs(admin, [_name(topic, settings) for topic in there])
    finally:
        await admin.close()
    answers = f"{brokers} broker{'s' if brokers != 1 else ''} at {settings.kafka_bootstrap_servers}"
    return [ok(KAFKA, answers), *compare(settings, partitions, configs)]


def compare(
    settings: Settings, partitions: Mapping[str, int], configs: Mapping[str, Mapping[str, str]]
) -> list[Finding]:
    """What exists against the registry: how many partitions, and the settings, by the topics' names in Kafka."""
    findings: list[Finding] = []
    for topic in TOPICS.values():
        name = _name(topic, settings)
        if not partitions.get(name):
            findings.append(problem(TOPIC, f"{name} does not exist", WHERE_IS_IT))
            continue
        findings += _partition_count(topic, name, partitions[name])
        findings += _settings(topic, name, configs.get(name, {}))
        findings += _outlives(topic, name, configs.get(name, {}), timedelta(days=settings.first_sightings_kept_days))
    return findings or [ok(TOPIC, f"all {len(TOPICS)} are there with the settings of schemas/topics.yaml")]


def _partition_count(topic: Topic, name: str, count: int) -> Iterator[Finding]:
    if count < topic.partitions:
        yield warning(
            TOPIC,
            f"{name} has {count} partitions, {topic.partitions} are usual",
            "no more instances of a service than that can share the work",
        )


def _settings(topic: Topic, name: str, config: Mapping[str, str]) -> Iterator[Finding]:
    """What loses events is a problem; another retention is the owner's choice, so one is told."""
    for setting, wanted in topic.config().items():
        found = config.get(setting, wanted)
        if found == wanted:
            continue
        change = f"kafka-configs --alter --entity-type topics --entity-name {name} --add-config {setting}={wanted}"
        said = f"{name}: {setting} is {found}, should be {wanted}"
        if _loses_events(topic, setting, found):
            yield problem(TOPIC, said, change)
        elif setting != "max.message.bytes":  # more than is needed does no harm
            yield warning(TOPIC, said, change)


def _outlives(topic: Topic, name: str, config: Mapping[str, str], remembered: timedelta) -> Iterator[Finding]:
    """What a topic still holds must be known again if it is read again (rule 9)."""
    kept = int(config.get("retention.ms", 0))
    if topic.read_by and topic.dead_letters_of is None and (kept < 0 or timedelta(milliseconds=kept) > remembered):
        how_long = "for ever" if kept < 0 else f"for {timedelta(milliseconds=kept).days} days"
        yield warning(
            TOPIC,
            f"{name} keeps records {how_long}; that an event came is remembered for {remembered.days} days only",
            "sent or read once more after that it acts again: keep records for less, or set "
            "DUNNING_FIRST_SIGHTINGS_KEPT_DAYS of all services higher",
        )


def _loses_events(topic: Topic, setting: str, found: str) -> bool:
    if setting == "cleanup.policy":
        return (topic.cleanup is Cleanup.COMPACT) != (found == "compact")
    return setting == "max.message.bytes" and int(found) < topic.message_bytes_max


def _name(topic: Topic, settings: Settings) -> str:
    return kafka_name(topic.name, settings.topic_prefix)


async def _partitions(admin: AIOKafkaAdminClient, settings: Settings) -> dict[str, int]:
    """How many partitions each topic has; 0 where it does not exist."""
    described: Sequence[Any] = await admin.describe_topics([_name(topic, settings) for topic in TOPICS.values()])
    return {each["topic"]: len(each["partitions"]) for each in described}


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names]):
        for _, _, _, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
