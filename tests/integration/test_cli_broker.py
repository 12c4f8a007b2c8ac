"""`dunning migrate`, `dunning doctor` and `dunning dlq` on a real broker and a real database."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer

from dunning.runtime.dead_letters import dead_letter, wire_key, wire_value
from tests.cli import dunning
from tests.kernel import failure

HEADERS = (("content-type", b"application/json"),)


@pytest.fixture
def settings(kafka_bootstrap: str, database_url: str, topic_prefix: str) -> Mapping[str, str]:
    return {
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "DUNNING_DATABASE_URL": database_url,
        "DUNNING_TOPIC_PREFIX": topic_prefix,
    }


def test_migrate_makes_tables_and_topics_and_a_second_time_nothing(
    settings: Mapping[str, str], topic_prefix: str
) -> None:
    one = dunning("migrate", "--service", "retry_scheduler", settings=settings)
    all_of_them = dunning("migrate", settings=settings)
    again = dunning("migrate", settings=settings)

    assert one.lines[0] == "retry_scheduler: applied kernel/0001_tables.pre.sql"
    assert "retry_scheduler: applied retry_scheduler/0001_cases.pre.sql" in one.lines
    assert f"topic {topic_prefix}dunning.account.status: created" in one.lines
    assert all_of_them.lines[0] == "retry_scheduler: up to date"
    assert "account_enforcement: applied kernel/0001_tables.pre.sql" in all_of_them.lines
    assert again.lines == [
        "retry_scheduler: up to date",
        "notification_dispatcher: up to date",
        "account_enforcement: up to date",
        "topics: all there",
    ]


def test_the_number_of_outbox_shards_is_chosen_when_the_tables_are_made(settings: Mapping[str, str]) -> None:
    made = dunning("migrate", "--outbox-shards", "3", settings=settings)
    with_three = dunning("migrate", "--outbox-shards", "3", settings=settings)
    with_five = dunning("migrate", "--outbox-shards", "5", settings=settings)

    assert made.exit_code == with_three.exit_code == 0
    assert with_five.exit_code != 0
    assert "the outbox has 3 shards since it was made; it cannot have 5" in with_five.text


def test_the_doctor_sees_what_is_missing_and_then_that_nobody_reads(settings: Mapping[str, str]) -> None:
    before = dunning("doctor", "--format", "json", settings=settings)
    dunning("migrate", settings=settings)
    after = dunning("doctor", "--format", "json", settings=settings)

    assert before.exit_code == 1
    assert {"problem"} == {each["level"] for each in before.json if each["check"] in ("topics", "schema")}
    assert {each["check"] for each in after.json if each["level"] == "problem"} == set()
    assert {each["check"] for each in after.json if each["level"] == "warning"} == {"lag", "smtp"}
    assert after.exit_code == 0


def test_the_doctor_goes_on_when_nobody_answers(settings: Mapping[str, str]) -> None:
    said = dunning("doctor", settings={**settings, "DUNNING_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"})

    assert said.exit_code == 1
    assert said.lines[0].startswith("problem  kafka     cannot reach Kafka at 127.0.0.1:1 (connection refused)")
    assert any(line.startswith("ok       database") for line in said.lines)


async def _set_aside(bootstrap: str, prefix: str) -> None:
    """Three dead letters as the relay writes them, in transactions, and one in a transaction that was given up."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"{prefix}cli")
    await producer.start()
    try:
        for offset, (service, body, given_up) in enumerate(
            [
                ("retry_scheduler", b'{"customer": {"email": "anna@example.com"}}', False),
                ("retry_scheduler", b"given up", True),
                ("retry_scheduler", b"\xff\x1b[2J", False),
                ("account_enforcement", None, False),
            ]
        ):
            record = SimpleNamespace(
                topic=f"{prefix}payment.failed",
                partition=3,
                offset=offset,
                timestamp=0,
                key=b"acct-1",
                value=body,
                headers=HEADERS,
            )
            row = dead_letter(record, service, "null_value" if body is None else "wrong_type", "what is wrong", None)
            await producer.begin_transaction()
            await producer.send(row.topic, wire_value(row), key=wire_key(row), headers=list(row.headers))
            await (producer.abort_transaction() if given_up else producer.commit_transaction())
    finally:
        await producer.stop()


@pytest.fixture
def with_letters(settings: Mapping[str, str], kafka_bootstrap: str, topic_prefix: str) -> Mapping[str, str]:
    dunning("migrate", settings=settings)
    asyncio.run(_set_aside(kafka_bootstrap, topic_prefix))
    return settings


def test_dead_letters_are_listed_newest_first_and_shown(with_letters: Mapping[str, str], topic_prefix: str) -> None:
    def listed(*options: str) -> list[str]:
        found = dunning("dlq", "list", *options, "--format", "json", settings=with_letters).json
        return [f"{each['service']} {each['reason']} {each['original']['offset']}" for each in found]

    newest_first = ["account_enforcement null_value 3", "retry_scheduler wrong_type 2", "retry_scheduler wrong_type 0"]
    assert listed() == newest_first
    assert listed("--limit", "1") == newest_first[:1]
    assert listed("--service", "retry_scheduler", "--topic", "payment.failed") == newest_first[1:]
    assert listed("--reason", "null_value") == newest_first[:1]
    assert listed("--since", "2100-01-01T00:00:00Z") == []

    ids = [each["id"] for each in dunning("dlq", "list", "--format", "json", settings=with_letters).json]
    shown = dunning("dlq", "show", ids[-1], settings=with_letters)
    assert shown.lines[1:5] == [
        "  reason     wrong_type: what is wrong",
        f"  came from  {topic_prefix}payment.failed, partition 3, offset 0, at 1970-01-01 00:00:00Z",
        shown.lines[3],
        "  key        acct-1",
    ]
    assert '      "email": "a***@example.com"' in shown.lines
    assert "body: null" in dunning("dlq", "show", ids[0], settings=with_letters).lines


def test_dead_letters_are_dealt_with_on_record(with_letters: Mapping[str, str]) -> None:
    def states(*options: str) -> list[str]:
        found = dunning("dlq", "list", *options, "--format", "json", settings=with_letters).json
        return [f"{each['service']} {each['original']['offset']} {each['state']}" for each in found]

    _, middle, oldest = [each["id"] for each in dunning("dlq", "list", "--format", "json", settings=with_letters).json]
    given = dunning("dlq", "replay", oldest, "--wait", "0", "--by", "anna", settings=with_letters)
    again = dunning("dlq", "replay", oldest, middle, settings=with_letters)
    thrown = dunning("dlq", "discard", middle, "--why", "noise", "--by", "bert", settings=with_letters)

    assert given.exit_code == 0
    assert given.lines[0].startswith(f"{oldest}: replayed by anna at ")
    assert given.lines[0].endswith(": waits for the service to take it")
    assert again.exit_code == 1
    assert again.text.startswith(f"{oldest} is replayed once: replayed by anna at ")
    assert again.text.endswith("nothing was ordered [DUN-C024]")
    assert thrown.text.startswith("1 discarded, by bert")
    assert states() == ["account_enforcement 3 open", "retry_scheduler 0 waiting"]
    assert states("--limit", "1", "--state", "waiting") == ["retry_scheduler 0 waiting"]
    assert states("--state", "discarded") == ["retry_scheduler 2 discarded"]
    shown = dunning("dlq", "show", middle, settings=with_letters)
    assert any(line.startswith("  discarded by bert at ") and line.endswith(" (noise)") for line in shown.lines)
    doctor = dunning("doctor", "--format", "json", settings=with_letters).json
    (waiting,) = [each["message"] for each in doctor if each["check"] == "letters"]
    assert waiting.startswith("1 dead letters that nobody dealt with since ")
    assert waiting.endswith(": account_enforcement null_value 1")


def test_many_are_counted_first_and_ordered_when_confirmed(with_letters: Mapping[str, str]) -> None:
    plan = dunning("dlq", "replay", "--topic", "payment.failed", settings=with_letters)
    done = dunning("dlq", "replay", "--topic", "payment.failed", "--yes", "--wait", "0", settings=with_letters)
    again = dunning("dlq", "replay", "--topic", "payment.failed", settings=with_letters)

    assert plan.lines == [
        "would replay 3 dead letters",
        "       1  account_enforcement payment.failed null_value",
        "       2  retry_scheduler payment.failed wrong_type",
        "nothing is ordered yet: repeat with --yes",
    ]
    assert [line.rpartition(": ")[2] for line in done.lines[:3]] == ["waits for the service to take it"] * 3
    assert again.lines[0] == "would replay 0 dead letters"


def test_a_masked_message_is_replayed_corrected_only_and_a_bulk_leaves_it_out(
    with_letters: Mapping[str, str], kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    asyncio.run(_set_aside_masked(kafka_bootstrap, topic_prefix))
    (masked,) = dunning("dlq", "list", "--reason", "card_number", "--format", "json", settings=with_letters).json
    event = tmp_path / "event.json"
    event.write_bytes(failure("acct-1"))

    as_it_is = dunning("dlq", "replay", masked["id"], settings=with_letters)
    many = dunning("dlq", "replay", "--service", "retry_scheduler", "--yes", "--wait", "0", settings=with_letters)
    left = dunning("dlq", "replay", "--service", "retry_scheduler", settings=with_letters)
    corrected = dunning("dlq", "replay", masked["id"], "--body", str(event), "--wait", "0", settings=with_letters)

    assert as_it_is.text.endswith("give a corrected body with --body FILE; nothing was ordered [DUN-C024]")
    assert [line.rpartition(": ")[2] for line in many.lines[:2]] == ["waits for the service to take it"] * 2
    assert left.lines[:2] == [
        "would replay 0 dead letters",
        "left out: 1 held a card number, which was masked: each needs a corrected body",
    ]
    assert corrected.exit_code == 0
    assert ": replayed, corrected by " in corrected.lines[0]


async def _set_aside_masked(bootstrap: str, prefix: str) -> None:
    record = SimpleNamespace(
        topic=f"{prefix}payment.failed", partition=3, offset=9, timestamp=0, key=b"acct-1", value=b"", headers=HEADERS
    )
    row = dead_letter(record, "retry_scheduler", "card_number", "the body holds a card number", b'{"n": "****"}')
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(row.topic, wire_value(row), key=wire_key(row), headers=list(row.headers))
    finally:
        await producer.stop()


def test_what_is_no_dead_letter_is_an_error(with_letters: Mapping[str, str]) -> None:
    gone = dunning("dlq", "show", "retry_scheduler:payment.failed:0:999", settings=with_letters)
    marker = dunning("dlq", "show", "retry_scheduler:payment.failed:0:1", settings=with_letters)  # of a transaction
    unknown = dunning("dlq", "list", "--topic", "payment.failde", settings=with_letters)

    assert gone.text.endswith("`dunning dlq list` shows those there are [DUN-C020]")
    assert marker.exit_code == 1
    assert unknown.exit_code == 2
    assert 'nobody reads "payment.failde"; there are' in unknown.text
