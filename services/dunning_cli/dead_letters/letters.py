"""A dead letter as a value: where it lies, what its service said about it, and what came."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord

from dunning.contracts.decoded import UnreadableReason
from dunning.contracts.topics import DEAD_LETTER_TOPICS, Topic
from dunning.runtime.dead_letters import HEADER_PREFIX, MASKED
from dunning.runtime.letter_orders import LetterPlace


@dataclass(frozen=True, slots=True)
class Place:
    """Where a dead letter lies, written `SERVICE:TOPIC:PARTITION:OFFSET`; the topic is that of the message."""

    service: str
    topic: str
    partition: int
    offset: int

    @property
    def in_service(self) -> LetterPlace:
        """As the service's own tables name it."""
        return LetterPlace(self.topic, self.partition, self.offset)

    def __str__(self) -> str:
        return f"{self.service}:{self.topic}:{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was set aside. `told` is what the service said about it, `headers` are the message's own."""

    place: Place
    set_aside_at: datetime
    key: bytes | None
    told: dict[str, str]
    headers: tuple[tuple[str, bytes], ...]
    body: bytes | None

    @property
    def reason(self) -> str:
        """One word."""
        return self.told.get("reason", "")

    @property
    def detail(self) -> str:
        """What to correct."""
        return self.told.get("detail", "")

    @property
    def came_from(self) -> tuple[str, str, str]:
        """Topic, partition and offset of the message, the same for all services that set it aside."""
        return self.told.get("topic", ""), self.told.get("partition", ""), self.told.get("offset", "")

    @property
    def is_masked(self) -> bool:
        """Whether the body is not as it came, because a card number in it was masked (rule 5)."""
        return MASKED in self.told or self.reason == UnreadableReason.CARD_NUMBER


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters to list; None: whatever it is."""

    service: str | None = None
    topic: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def topics(self) -> list[Topic]:
        """The topics to look into."""
        return [
            topic
            for topic in DEAD_LETTER_TOPICS
            if self.service in (None, *topic.written_by) and self.topic in (None, topic.dead_letters_of)
        ]

    def accepts(self, letter: DeadLetter) -> bool:
        """Whether one is wanted."""
        return (
            self.reason in (None, letter.reason)
            and (self.since is None or letter.set_aside_at >= self.since)
            and (self.until is None or letter.set_aside_at < self.until)
        )


def letter_of(topic: Topic, record: ConsumerRecord, *, with_body: bool = True) -> DeadLetter:
    """The record of a dead letter topic, read."""
    headers: list[tuple[str, bytes]] = [(name, value or b"") for name, value in record.headers]
    told = {
        name.removeprefix(HEADER_PREFIX): value.decode(errors="replace")
        for name, value in headers
        if name.startswith(HEADER_PREFIX)
    }
    return DeadLetter(
        place=Place(topic.written_by[0], str(topic.dead_letters_of), record.partition, record.offset),
        set_aside_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        key=record.key,
        told=told,
        headers=tuple(each for each in headers if not each[0].startswith(HEADER_PREFIX)),
        body=record.value if with_body else None,
    )


def parse_place(text: str) -> Place | None:
    """The place that a text names; None when it names none."""
    parts: list[Any] = text.split(":")
    if len(parts) != 4 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts[2:]):
        return None
    return Place(parts[0], parts[1], int(parts[2]), int(parts[3]))
