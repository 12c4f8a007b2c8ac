"""`dunning mode` and the start, on a real broker and a real database."""

import asyncio
import getpass
from collections.abc import Mapping

import asyncpg
import pytest

from dunning.runtime.problem import Problem
from tests.cli import dunning


@pytest.fixture
def settings(kafka_bootstrap: str, database_url: str, topic_prefix: str) -> Mapping[str, str]:
    return {
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "DUNNING_DATABASE_URL": database_url,
        "DUNNING_TOPIC_PREFIX": topic_prefix,
        "DUNNING_START": "2026-03-01T00:00:00Z",
    }


def test_a_mode_is_set_shown_and_on_record(settings: Mapping[str, str]) -> None:
    dunning("migrate", settings=settings)
    before = dunning("mode", "show", settings=settings)

    stopped = dunning("mode", "set", "all", "stop", "--by", "ada", "--reason", "a drill", settings=settings)
    acts = dunning("mode", "set", "retry_scheduler", "act", settings=settings)
    again = dunning("mode", "set", "retry_scheduler", "act", settings=settings)
    shown = dunning("mode", "show", "--format", "json", settings=settings).json
    asyncio.run(_held_back(settings["DUNNING_DATABASE_URL"]))
    doctor = dunning("doctor", settings=settings)

    assert before.lines[1].split()[:3] == ["retry_scheduler", "not", "started"]
    assert stopped.lines == [
        "retry_scheduler: stop, was not started yet",
        "notification_dispatcher: stop, was not started yet",
        "account_enforcement: stop, was not started yet",
    ]
    assert (acts.lines, again.lines) == (["retry_scheduler: act, was stop"], ["retry_scheduler: act already"])
    assert [each["mode"] for each in shown] == ["act", "stop", "stop"]
    assert [(each["from"], each["to"], each["by"], each["reason"]) for each in shown[0]["switches"]] == [
        ("stop", "act", getpass.getuser(), ""),
        (None, "stop", "ada", "a drill"),
    ]
    assert "ok       start     what failed before 2026-03-01T00:00:00Z opens no case (DUNNING_START)" in doctor.lines
    assert "ok       outbox    account_enforcement: 1 events are held back while its mode is stop" in doctor.lines
    (warned,) = [line for line in doctor.lines if line.startswith("warning  mode      account_enforcement: stop since")]
    assert warned.endswith("by ada (a drill): nothing goes out")


async def _held_back(database_url: str) -> None:
    """An event that was decided an hour ago."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "insert into account_enforcement.outbox (shard, topic, key, headers, value, account_id, recorded_at)"
            " values (0, 't', 'k', '', '', 'k', now() - interval '1 hour')"
        )
    finally:
        await connection.close()


def test_another_start_is_refused(settings: Mapping[str, str]) -> None:
    dunning("migrate", settings=settings)

    assert dunning("migrate", settings=settings).exit_code == 0
    with pytest.raises(Problem, match="the first migration fixed 2026-03-01T00:00:00Z, and it never moves"):
        dunning("migrate", settings={**settings, "DUNNING_START": "2026-03-02T00:00:00Z"})


def test_where_kafka_is_away_the_mode_is_switched_and_the_loose_end_is_told(settings: Mapping[str, str]) -> None:
    dunning("migrate", settings=settings)
    away = {
        **settings,
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DUNNING_KAFKA_TRANSACTION_TIMEOUT_SECONDS": "2",
    }

    said = dunning("mode", "set", "retry_scheduler", "stop", settings=away)

    assert said.exit_code == 1
    assert "DUN-C030" in said.text
    assert dunning("mode", "show", "--format", "json", settings=settings).json[0]["mode"] == "stop"
