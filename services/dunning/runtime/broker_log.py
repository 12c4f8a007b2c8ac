"""What the broker says of the input topics: which partitions there are, and where their logs begin and end.

The ends are high watermarks, not last stable offsets: a success that was acknowledged may lie behind another sender's
open transaction, where a reader of committed records cannot see it yet. Who reads up to the high watermark has read it.
So this is a client of its own, beside the consumer that reads committed records only.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition as KafkaPartition

from dunning.runtime.clients import AIOKAFKA, Clients
from dunning.runtime.problem import DATABASE_UNREACHABLE, KAFKA_UNREACHABLE, TOPIC_MISSING, Problem
from dunning.runtime.settings import Settings
from dunning.runtime.store import TopicPartition

WHERE_IS_IT = "`dunning migrate` creates it; where it is there, this user may not see it"
"""What to say of a topic that does not exist: of one that rights hide, Kafka says the same."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The log of a partition holds offsets from `begin` on, and `end` is the next one to be written."""

    begin: int
    end: int


class BrokerLog:
    """Asks the broker, and remembers the partitions for a while."""

    def __init__(self, settings: Settings, topics: Collection[str], clients: Clients = AIOKAFKA) -> None:
        connection = settings.kafka_connection()
        self._topics = sorted(topics)
        self._age_seconds_max = settings.kafka_metadata_max_age_seconds
        self._reader = clients.consumer(
            **connection, isolation_level="read_uncommitted", enable_auto_commit=False, client_id="dunning-broker-log"
        )
        self._admin = clients.admin(**connection, client_id="dunning-broker-log-admin")
        self._partitions: frozenset[TopicPartition] = frozenset()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            await self._reader.start()
            await self._admin.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._reader.stop()
        await self._admin.close()

    async def partitions(self) -> frozenset[TopicPartition]:
        """All partitions of all topics. Raises Problem when a topic does not exist."""
        async with self._asking:
            if monotonic() - self._asked_at > self._age_seconds_max:
                self._partitions = await self._ask_for_partitions()
                self._asked_at = monotonic()
            return self._partitions

    async def _ask_for_partitions(self) -> frozenset[TopicPartition]:
        found: set[TopicPartition] = set()
        described = {each["topic"]: each for each in await self._admin.describe_topics(self._topics)}
        for topic in self._topics:
            partitions = described.get(topic, {}).get("partitions", [])
            if not partitions:
                raise Problem(TOPIC_MISSING, f'the topic "{topic}" does not exist: {WHERE_IS_IT}')
            found |= {TopicPartition(topic, each["partition"]) for each in partitions}
        return frozenset(found)

    async def ends(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset behind the last record of each, committed or not, at some time after this was asked."""
        found = await self._reader.end_offsets([KafkaPartition(*each) for each in partitions])
        return {TopicPartition(*each): end for each, end in found.items()}

    async def bounds(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Where each log begins and ends."""
        begins = await self._reader.beginning_offsets([KafkaPartition(*each) for each in partitions])
        ends = await self.ends(partitions)
        return {TopicPartition(*each): Bounds(begin, ends[TopicPartition(*each)]) for each, begin in begins.items()}


KAFKA_TROUBLES = (KafkaError, OSError)
"""What a client raises while the broker is away; OSError holds the time-outs too."""


def kafka_unreachable(settings: Settings, error: BaseException) -> Problem:
    """For whoever waits for it, or ends."""
    at, hint = settings.kafka_bootstrap_servers, "is it running? `dunning up --only infra` starts one"
    return Problem(KAFKA_UNREACHABLE, f"cannot reach Kafka at {at} ({error}): {hint}")


def code_of(error: Exception) -> str:
    """Who has to be looked after when work that needs both Kafka and the database waits."""
    if isinstance(error, Problem):
        return error.code
    return KAFKA_UNREACHABLE if isinstance(error, KAFKA_TROUBLES) else DATABASE_UNREACHABLE
