"""Seeing what the platform does, from outside: its topics as they grow, and the mails that arrive.

A test waits for what must come true, with a limit that only something broken reaches, and never for time to pass.
"""

import asyncio
import email
import email.policy
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.beside import beside
from tests.e2e.foreign import ACCOUNT_STATUS, NOTICE_RESULT, RETRY_REQUESTED, STAGE_CHANGED

PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.05
_OUTPUTS = (STAGE_CHANGED, RETRY_REQUESTED, NOTICE_RESULT, ACCOUNT_STATUS)
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """A committed record of one of the platform's topics."""

    topic: str  # without the prefix
    offset: int
    key: str | None
    value: bytes | None
    headers: dict[str, str]

    @cached_property
    def data(self) -> dict[str, Any]:
        """The body of an event."""
        found = json.loads(self.value or b"{}")
        assert isinstance(found, dict)
        return found

    @property
    def attributes(self) -> dict[str, str]:
        """What the envelope says."""
        return {name[3:]: text for name, text in self.headers.items() if name.startswith("ce_")}

    def is_stage(self, track: str, to_stage: str) -> bool:
        """Whether a track came to this stage."""
        return self.topic == STAGE_CHANGED and self.data["track"] == track and (self.data["to_stage"] == to_stage)

    def is_result(self, rung: str, outcome: str) -> bool:
        """Whether this is what became of a rung's notice."""
        return self.topic == NOTICE_RESULT and self.data["rung"] == rung and self.data["outcome"] == outcome


class Watch:
    """Everything that was published so far, by account and in the order of each topic."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._by_account: defaultdict[str, list[Event]] = defaultdict(list)

    def add(self, event: Event) -> None:
        """One more."""
        self.events.append(event)
        if not event.topic.endswith(".dlq"):
            self._by_account[event.key or ""].append(event)

    def of(self, account_id: str) -> list[Event]:
        """What was said about an account."""
        return self._by_account[account_id]

    def stages(self, account_id: str, track: str) -> list[str]:
        """The stages that a track went to."""
        moves = [event for event in self.of(account_id) if event.topic == STAGE_CHANGED]
        return [event.data["to_stage"] for event in moves if event.data["track"] == track]

    def statuses(self, account_id: str) -> list[str]:
        """What the account's status was, word after word."""
        return [event.data["status"] for event in self.of(account_id) if event.topic == ACCOUNT_STATUS]

    async def stage(self, account_id: str, track: str, to_stage: str) -> Event:
        """Wait until a track of this account comes to a stage."""
        return await self.first(account_id, lambda event: event.is_stage(track, to_stage), f"{track} {to_stage}")

    async def result(self, account_id: str, rung: str, outcome: str) -> Event:
        """Wait until a notice came to this outcome."""
        return await self.first(account_id, lambda event: event.is_result(rung, outcome), f"{rung} {outcome}")

    async def request(self, account_id: str, attempt: int) -> Event:
        """Wait until this attempt is asked for."""
        return await self.first(
            account_id,
            lambda event: event.topic == RETRY_REQUESTED and event.data["attempt_number"] == attempt,
            f"a request for attempt {attempt}",
        )

    async def status(self, account_id: str, status: str, reason: str | None = None) -> Event:
        """Wait until the account has this status, for this reason if one is given."""
        return await self.first(
            account_id,
            lambda event: (
                event.topic == ACCOUNT_STATUS
                and event.data["status"] == status
                and reason in (None, event.data["reason"])
            ),
            f"status {status}",
        )

    async def first(self, account_id: str, wanted: Callable[[Event], bool], what: str) -> Event:
        """Wait for the first event of an account that is wanted."""

        def look() -> Event | None:
            return next((event for event in self.of(account_id) if wanted(event)), None)

        return await eventually(look, lambda: f"{account_id}: {what}, but there is only {self.story(account_id)}")

    def story(self, account_id: str) -> list[str]:
        """What happened to an account, in short, for people who read a failed test."""
        return [_in_short(event) for event in self.of(account_id)]


def _in_short(event: Event) -> str:
    data = event.data
    words = [data[name] for name in ("track", "to_stage", "status", "rung", "outcome", "retry_id") if name in data]
    return f"{event.topic.rpartition('.')[2]} {' '.join(words)}"


async def eventually(look: Callable[[], T | None], what: Callable[[], str] | str, *, for_ever: bool = False) -> T:
    """Look again and again until there is something, and give it back. `for_ever` is for whoever may wait in vain."""
    deadline = float("inf") if for_ever else time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what if isinstance(what, str) else what()}"
        await asyncio.sleep(_LOOK_SECONDS)
    return found


@asynccontextmanager
async def watching(kafka: str, prefix: str = "") -> AsyncIterator[Watch]:
    """Read all that is published under a prefix, from the beginning on, for as long as the block lasts."""
    watch = Watch()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    async with consumer:
        consumer.assign(await _outputs(kafka, prefix))
        async with beside(_read(consumer, watch, prefix)):
            yield watch


async def _outputs(kafka: str, prefix: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        topics = await admin.describe_topics()
    finally:
        await admin.close()
    return [
        TopicPartition(each["topic"], part["partition"])
        for each in topics
        if each["topic"].startswith(prefix) and _is_output(each["topic"].removeprefix(prefix))
        for part in each["partitions"]
    ]


def _is_output(topic: str) -> bool:
    return topic in _OUTPUTS or topic.endswith(".dlq")


async def _read(consumer: AIOKafkaConsumer, watch: Watch, prefix: str) -> None:
    """A broker that is away for a while is waited for: the consumer goes on where it stood."""
    while True:
        try:
            batches = await consumer.getmany(timeout_ms=100)
        except KafkaError:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        for record in (record for records in batches.values() for record in records):
            headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
            key = record.key.decode("utf-8", "replace") if record.key is not None else None
            watch.add(Event(record.topic.removeprefix(prefix), record.offset, key, record.value, headers))


@dataclass(frozen=True)
class Mail:
    """A mail as the sink keeps it."""

    message: EmailMessage

    def header(self, name: str) -> str:
        """A header's text; empty where there is none."""
        return str(self.message[name] or "")

    def part(self, subtype: str) -> str:
        """The text of one of its two alternatives."""
        body = self.message.get_body((subtype,))
        assert body is not None, f"the mail has no {subtype} part"
        content = body.get_content()
        assert isinstance(content, str)
        return content


def mails_in(folder: Path) -> list[Mail]:
    """All mails, in the order of their arrival."""
    return [Mail(parsed(path)) for path in sorted(folder.glob("*.eml"))]


def mails_to(folder: Path, address: str) -> list[Mail]:
    """The mails that somebody got."""
    return [mail for mail in mails_in(folder) if mail.header("Delivered-To") == address]


def parsed(path: Path) -> EmailMessage:
    """A mail of the sink."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
