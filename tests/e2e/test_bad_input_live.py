"""What nobody can read, between good events of the same partitions of a running platform (promise 9)."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import zip_longest
from pathlib import Path

import pytest

from tests import stack
from tests.e2e.foreign import (
    FAILED,
    MINOR,
    NOTICE_RESULT,
    SIGNALS,
    STAGE_CHANGED,
    SUCCEEDED,
    ForeignClient,
    Form,
    Invoice,
    Message,
    a_foreign_client,
    failed,
    now,
    succeeded,
    voided,
    wrapped,
)
from tests.e2e.platform import Platform
from tests.e2e.poison import BATCH_BYTES, BODY_BYTES_MAX, Poison, poisons
from tests.e2e.shared import a_platform
from tests.e2e.watch import Watch, eventually, mails_to, watching

RETRY, NOTICE, ACCOUNT = "retry_scheduler", "notification_dispatcher", "account_enforcement"
READERS = {
    FAILED: (RETRY, NOTICE, ACCOUNT),
    SUCCEEDED: (RETRY, NOTICE, ACCOUNT),
    SIGNALS: (RETRY, NOTICE, ACCOUNT),
    STAGE_CHANGED: (RETRY, NOTICE),
    NOTICE_RESULT: (ACCOUNT,),
}
PARTITION = 3  # everything goes here, so that what is bad lies right between what is good
KEY = "acc_nobody"
# A month between the steps: nothing but what is read makes anything happen.
POLICY = """
id: calm
version: 1
timezone: UTC
fallback_timezone: UTC
retries: {strategy: ladder, after: [30d], window: 60d}
ladder:
  - {rung: payment_failed, at: 0s, account: past_due, notice: {template: payment_failed, channels: [email]}}
contact: {quiet_hours: none}
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, servers: stack.Servers) -> Iterator[Platform]:
    """One platform for all tests here."""
    with a_platform(tmp_path_factory.mktemp("bad-input"), servers, {"calm": POLICY}) as running:
        yield running


@pytest.mark.timeout(600)
async def test_poison_is_set_aside_as_it_came_and_every_good_event_between_it_is_handled(platform: Platform) -> None:
    poison: dict[str, list[Poison]] = {topic: [each for each in poisons() if each.topic == topic] for topic in READERS}
    invoices = [Invoice(f"good{number}") for number in range(len(poison[SUCCEEDED]) + len(poison[SIGNALS]) + 3)]
    paid, void = invoices[: len(poison[SUCCEEDED]) + 1], invoices[-len(poison[SIGNALS]) - 1 :]
    async with convoys(platform) as (convoy, seen):
        large, *others = [(each, failed(each)) for each in invoices]
        bodies = [(large[0], at_the_limit(large[1])), *others]
        sent = await convoy.goes(FAILED, bodies, poison[FAILED])
        for each in invoices:
            await seen.result(each.account_id, "payment_failed", "delivered")
            await seen.status(each.account_id, "past_due")
            assert seen.stages(each.account_id, "retry") == ["scheduled"]
        sent |= await convoy.goes(SUCCEEDED, [(each, succeeded(each)) for each in paid], poison[SUCCEEDED])
        sent |= await convoy.goes(SIGNALS, [(each, voided(each)) for each in void], poison[SIGNALS])
        sent |= await convoy.goes(STAGE_CHANGED, [], poison[STAGE_CHANGED])
        sent |= await convoy.goes(NOTICE_RESULT, [], poison[NOTICE_RESULT])
        for each in paid:
            await ended(seen, each, ("recovered", "recovered", "paid"))
        for each in void:
            await ended(seen, each, ("cancelled", "closed", "voided"))
        await all_set_aside(seen, sent)

    assert_each_dead_letter_is_its_original(seen, sent, platform.topic_prefix)
    assert_no_card_number_in(platform.data_dir / "logs")
    assert [len(mails_to(platform.mail_dir, each.email)) for each in invoices] == [1] * len(invoices)
    verdict = platform.verify("--settled")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.timeout(600)
async def test_the_same_failure_in_all_three_forms_twice_acts_once_and_another_amount_is_set_aside(
    platform: Platform,
) -> None:
    invoice, behind = Invoice("again"), Invoice("behind")
    at = now()
    async with convoys(platform) as (convoy, seen):
        messages = [wrapped(form, FAILED, failed(invoice, at=at)) for form in Form]
        for message in (*messages, *messages):
            await convoy.write(FAILED, message, invoice)
        other = Message(failed(invoice, at=at, amount=str(MINOR + 1)))
        lied = await convoy.write(FAILED, other, invoice)
        await convoy.write(FAILED, Message(failed(behind)), behind)
        for each in (invoice, behind):
            await seen.stage(each.account_id, "retry", "scheduled")
            await seen.status(each.account_id, "past_due")
            await seen.result(each.account_id, "payment_failed", "delivered")
        lie = Poison("another amount", FAILED, other, "conflicting_duplicate")
        await all_set_aside(seen, {(FAILED, lied): lie})

        # The same events, each as often; topics have no order between them.
        assert sorted(seen.story(invoice.account_id)) == sorted(seen.story(behind.account_id))
        planned = next(event for event in seen.of(invoice.account_id) if event.is_stage("retry", "scheduled"))
        assert planned.data["amount_minor"] == MINOR
    assert len(mails_to(platform.mail_dir, invoice.email)) == 1
    verdict = platform.verify("--settled")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.timeout(600)
async def test_what_was_set_aside_is_replayed_corrected_by_each_service_and_acts_once(
    platform: Platform, tmp_path: Path
) -> None:
    invoice, behind = Invoice("mended"), Invoice("never_broken")
    whole = failed(invoice, at=now())
    without_currency = {name: value for name, value in json.loads(whole).items() if name != "currency"}
    corrected = tmp_path / "event.json"
    corrected.write_bytes(whole)
    async with convoys(platform) as (convoy, seen):
        broken = Message(json.dumps(without_currency).encode())
        offset = await convoy.write(FAILED, broken, invoice)
        await convoy.write(FAILED, Message(failed(behind)), behind)
        await all_set_aside(seen, {(FAILED, offset): Poison("no currency", FAILED, broken, "missing_field")})

        listed = json.loads((await dlq(platform, "list", "--topic", FAILED, "--format", "json"))[1])
        ids = [each["id"] for each in listed if each["original"]["offset"] == str(offset)]
        assert {letter_id.partition(":")[0] for letter_id in ids} == set(READERS[FAILED])
        given = "replay", *ids, "--body", str(corrected), "--by", "anna"
        exit_code, said = await dlq(platform, *given, "--wait", "60")
        assert exit_code == 0, said
        assert [line.rpartition(": ")[2] for line in said.splitlines()] == ["applied"] * len(ids), said
        exit_code, said = await dlq(platform, *given)
        assert exit_code == 1, said
        assert "is replayed once: replayed, corrected by anna at" in said
        for each in (invoice, behind):
            await seen.stage(each.account_id, "retry", "scheduled")
            await seen.status(each.account_id, "past_due")
            await seen.result(each.account_id, "payment_failed", "delivered")
        assert sorted(seen.story(invoice.account_id)) == sorted(seen.story(behind.account_id))
    assert len(mails_to(platform.mail_dir, invoice.email)) == 1


async def dlq(platform: Platform, *arguments: str) -> tuple[int, str]:
    """`dunning dlq` as an operator would run it: exit code, and everything that it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "dunning_cli", "dlq", *arguments),
        env={**os.environ, **platform.settings, "DUNNING_TOPIC_PREFIX": platform.topic_prefix},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


class Convoy:
    """Good events and bad ones by turns, in one partition."""

    def __init__(self, shop: ForeignClient, packing_shop: ForeignClient) -> None:
        self._shop = shop
        self._packing_shop = packing_shop

    async def write(self, topic: str, message: Message, invoice: Invoice) -> int:
        """A good event; returns its offset."""
        return await self._shop.write(topic, message, invoice.account_id, PARTITION)

    async def goes(
        self, topic: str, good: Sequence[tuple[Invoice, bytes]], bad: Sequence[Poison]
    ) -> dict[tuple[str, int], Poison]:
        """Write them all; returns where the bad ones lie."""
        places: dict[tuple[str, int], Poison] = {}
        for pair, poison in zip_longest(good, bad):
            if pair is not None:
                await self.write(topic, Message(pair[1]), pair[0])
            if poison is not None:
                writer = self._packing_shop if poison.compressed else self._shop
                places[topic, await writer.write(topic, poison.message, KEY, PARTITION)] = poison
        return places


@asynccontextmanager
async def convoys(platform: Platform) -> AsyncIterator[tuple[Convoy, Watch]]:
    """A client that writes in the open, one that compresses, and a view of what follows from it."""
    async with (
        a_foreign_client(platform.kafka, platform.topic_prefix) as shop,
        a_foreign_client(platform.kafka, platform.topic_prefix, compression="gzip") as packing_shop,
        watching(platform.kafka, platform.topic_prefix) as seen,
    ):
        yield Convoy(shop, packing_shop), seen


def at_the_limit(body: bytes) -> bytes:
    """The body blown up to what a topic just takes."""
    return body + b" " * (BODY_BYTES_MAX - BATCH_BYTES - len(body))


async def ended(seen: Watch, invoice: Invoice, ends: tuple[str, str, str]) -> None:
    """Until the case has ended on each track, the account's with this reason."""
    await seen.stage(invoice.account_id, "retry", ends[0])
    await seen.stage(invoice.account_id, "notice", ends[1])
    await seen.status(invoice.account_id, "active", reason=ends[2])


def places(seen: Watch) -> list[tuple[str, str, int]]:
    """Topic, service and offset of everything that was set aside."""
    found = []
    for event in seen.events:
        if event.topic.endswith(".dlq"):
            topic, service, _ = event.topic.rsplit(".", 2)
            found.append((topic, service, int(event.headers["dlq-offset"])))
    return found


async def all_set_aside(seen: Watch, sent: Mapping[tuple[str, int], Poison]) -> None:
    """Until every reader of every bad message has set it aside."""
    wanted = {(topic, service, offset) for topic, offset in sent for service in READERS[topic]}
    await eventually(
        lambda: wanted <= set(places(seen)), lambda: f"the dead letters {sorted(wanted - set(places(seen)))}"
    )


def assert_each_dead_letter_is_its_original(seen: Watch, sent: Mapping[tuple[str, int], Poison], prefix: str) -> None:
    """One per reader and nothing else, with its reason, its place, and the bytes as they came or masked."""
    wanted = [(topic, service, offset) for topic, offset in sent for service in READERS[topic]]
    assert sorted(places(seen)) == sorted(wanted)
    for event in (event for event in seen.events if event.topic.endswith(".dlq")):
        topic, service, _ = event.topic.rsplit(".", 2)
        poison = sent[topic, int(event.headers["dlq-offset"])]
        assert event.headers["dlq-reason"] == poison.reason, poison.what
        assert event.value == poison.kept, poison.what
        assert event.key == KEY
        assert event.headers["dlq-topic"] == prefix + topic
        assert event.headers["dlq-partition"] == str(PARTITION)
        assert event.headers["dlq-service"] == service
        assert datetime.fromisoformat(event.headers["dlq-timestamp"]).tzinfo is not None
        original = {name: value.decode() for name, value in poison.message.headers}
        assert original.items() <= event.headers.items()


def assert_no_card_number_in(logs: Path) -> None:
    """Whatever the services say, they say it without the number."""
    for file in logs.glob("*.log"):
        assert not re.search(r"4242[ -]?4242[ -]?4242", file.read_text()), file.name
