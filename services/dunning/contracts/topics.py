"""The registry of topics: keys, partitions, retention, sizes, and who reads and writes what.

`schemas/topics.yaml`, the AsyncAPI document and the topics that `dunning up` creates all come from here.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from dunning.contracts.fields import Wire
from dunning.contracts.payments import PaymentFailedData, PaymentSucceededData
from dunning.contracts.published import AccountStatusData, NoticeResultData, RetryRequestedData, StageChangedData

PAYMENT_FAILED = "payment.failed"
PAYMENT_SUCCEEDED = "payment.succeeded"
SIGNALS = "dunning.signals"
STAGE_CHANGED = "dunning.stage.changed"
RETRY_REQUESTED = "dunning.retry.requested"
NOTICE_RESULT = "dunning.notice.result"
ACCOUNT_STATUS = "dunning.account.status"

RETRY_SCHEDULER = "retry_scheduler"
NOTIFICATION_DISPATCHER = "notification_dispatcher"
ACCOUNT_ENFORCEMENT = "account_enforcement"
SERVICES = (RETRY_SCHEDULER, NOTIFICATION_DISPATCHER, ACCOUNT_ENFORCEMENT)
PAYMENT_PLATFORM = "payment platform"
OPERATORS = "operators"

MESSAGE_BYTES_MAX = 1024 * 1024
DEAD_LETTER_BYTES_MAX = MESSAGE_BYTES_MAX + 64 * 1024  # rule 5: the original and why it was set aside
PARTITIONS = 6
DEAD_LETTER_PARTITIONS = 1
RETENTION = timedelta(days=14)  # shorter than the 30 days for which first sightings are remembered (rule 9)
DEAD_LETTER_RETENTION = timedelta(days=28)
KEY = "account_id"


class Cleanup(StrEnum):
    """What Kafka does with old records."""

    DELETE = "delete"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic without its prefix. `retention` is None where compaction decides."""

    name: str
    description: str
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    data: type[Wire] | None = None  # None: signals, one model per kind, and dead letters, which hold anything
    key: str = KEY
    partitions: int = PARTITIONS
    cleanup: Cleanup = Cleanup.DELETE
    retention: timedelta | None = RETENTION
    message_bytes_max: int = MESSAGE_BYTES_MAX
    dead_letters_of: str | None = None

    def config(self) -> dict[str, str]:
        """Kafka's settings of the topic, as its admin interface takes them."""
        settings = {"cleanup.policy": str(self.cleanup), "max.message.bytes": str(self.message_bytes_max)}
        if self.retention is not None:
            settings["retention.ms"] = str(self.retention // timedelta(milliseconds=1))
        return settings

    @property
    def event_type(self) -> str:
        """The CloudEvents type that is written to it."""
        return f"{self.name}.v1"

    @property
    def dataschema(self) -> str:
        """The URI of its JSON Schema: a name, since where an installation serves its schemas is its own affair."""
        return f"urn:dunning:events:{self.name}:v1"


EVENT_TOPICS = (
    Topic(
        PAYMENT_FAILED,
        "A charge attempt or a due payment failed.",
        written_by=(PAYMENT_PLATFORM,),
        read_by=SERVICES,
        data=PaymentFailedData,
    ),
    Topic(
        PAYMENT_SUCCEEDED,
        "Money arrived for an invoice, in full or in part.",
        written_by=(PAYMENT_PLATFORM,),
        read_by=SERVICES,
        data=PaymentSucceededData,
    ),
    Topic(
        SIGNALS,
        "Facts and orders from outside, told apart by their kind.",
        written_by=(PAYMENT_PLATFORM, OPERATORS),
        read_by=SERVICES,
    ),
    Topic(
        STAGE_CHANGED,
        "Every transition of a case, each service its own track.",
        written_by=SERVICES,
        read_by=(RETRY_SCHEDULER, NOTIFICATION_DISPATCHER),
        data=StageChangedData,
    ),
    Topic(
        RETRY_REQUESTED,
        "Please charge again.",
        written_by=(RETRY_SCHEDULER,),
        read_by=(PAYMENT_PLATFORM,),
        data=RetryRequestedData,
    ),
    Topic(
        NOTICE_RESULT,
        "The outcome of every notice.",
        written_by=(NOTIFICATION_DISPATCHER,),
        read_by=(ACCOUNT_ENFORCEMENT,),
        data=NoticeResultData,
    ),
    Topic(
        ACCOUNT_STATUS,
        "The latest status per account; a new reader reads it from the beginning and knows them all.",
        written_by=(ACCOUNT_ENFORCEMENT,),
        read_by=(),
        data=AccountStatusData,
        cleanup=Cleanup.COMPACT,
        retention=None,
    ),
)


def dead_letter_topic(topic: str, service: str) -> str:
    """Where a service sets aside what it cannot use from a topic: `<topic>.<service>.dlq`. A prefix stays in front."""
    return f"{topic}.{service}.dlq"


def _dead_letters(topic: Topic, service: str) -> Topic:
    return Topic(
        dead_letter_topic(topic.name, service),
        f"What {service} could not use from {topic.name}, as it came, with its reason in `dlq-*` headers.",
        written_by=(service,),
        read_by=(service,),
        partitions=DEAD_LETTER_PARTITIONS,
        retention=DEAD_LETTER_RETENTION,
        message_bytes_max=DEAD_LETTER_BYTES_MAX,
        dead_letters_of=topic.name,
    )


DEAD_LETTER_TOPICS = tuple(
    _dead_letters(topic, service) for topic in EVENT_TOPICS for service in SERVICES if service in topic.read_by
)
TOPICS = {topic.name: topic for topic in (*EVENT_TOPICS, *DEAD_LETTER_TOPICS)}
"""Every topic by its name without the prefix, in the order of the contracts."""

OBSERVED = "observed."  # behind the prefix of all topics: `<prefix>observed.<topic>` (rule 42)


def observed_topic(name: str) -> str:
    """Where a service that observes publishes what it would have published to a topic; without the prefix of all."""
    return OBSERVED + name


def outputs_of_services() -> tuple[str, ...]:
    """The topics that our services publish to, without the prefix and without dead letters."""
    return tuple(topic.name for topic in EVENT_TOPICS if set(topic.written_by) & set(SERVICES))


OBSERVED_TOPICS = tuple(
    replace(topic, name=observed_topic(topic.name)) for topic in EVENT_TOPICS if topic.name in outputs_of_services()
)
"""What is only observed has the same shapes and settings."""

_EVENT_TOPIC_NAMES = frozenset(topic.name for topic in EVENT_TOPICS)


def inputs_of(service: str) -> tuple[str, ...]:
    """The topics that a service reads, without the prefix (rules.md, "Who reads what")."""
    return tuple(topic.name for topic in EVENT_TOPICS if service in topic.read_by)


def outputs_of(service: str) -> tuple[str, ...]:
    """The topics that a service publishes to, without the prefix and without its dead letters."""
    return tuple(topic.name for topic in EVENT_TOPICS if service in topic.written_by)


def is_event_topic(name: str) -> bool:
    """Whether the name, without a prefix, is one of the topics that carry events."""
    return name in _EVENT_TOPIC_NAMES


def kafka_name(name: str, prefix: str = "") -> str:
    """The name in Kafka of a topic of the registry."""
    return prefix + name


def registry_name(topic: str, prefix: str = "") -> str:
    """The name in the registry of a topic in Kafka; a topic without the prefix keeps its name."""
    return topic.removeprefix(prefix)
