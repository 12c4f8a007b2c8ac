"""Dead letters that were replayed (rule 5), and failures from before the start (rule 43)."""

import json
from pathlib import Path
from typing import Any

import pytest

from dunning_verifier.clock import instant
from dunning_verifier.evidence import CannotRead, read_replays
from dunning_verifier.replays import Replay
from dunning_verifier.values import Where
from tests.unit.verifier.story import STANDARD, Story, a_recovered_case, assert_broken, assert_kept

ALL = ("retry_scheduler", "notification_dispatcher", "account_enforcement")
AT = instant("2026-03-05T10:00:00Z")


def a_corrected_failure() -> Story:
    """A failure without its time, set aside by all three, and the case that its corrected replay opened."""
    story = Story("acc_7", "in_7").failed("2026-03-02T10:00:00Z")
    story.changed("payment.failed", {}, failed_at=None).dead_lettered("2026-03-02T10:00:01Z", "payment.failed", 0)
    for letter in story.events[1:]:
        letter["value"] = json.dumps(story.events[0]["data"]).encode()
    return (
        story.moved("retry", "2026-03-05T10:00:01Z", "none", "scheduled")
        .moved("account", "2026-03-05T10:00:01Z", "active", "past_due", "payment_failed")
        .status("2026-03-05T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-05T10:00:01Z", "none", "payment_failed")
        .noticed("2026-03-05T10:00:02Z", "payment_failed")
    )


def replays(body: dict[str, Any] | None, corrected: bool = True) -> list[Replay]:
    value = json.dumps(body).encode() if body else None
    return [Replay(Where(f"payment.failed.{service}.dlq", 0, 0), AT, corrected, value) for service in ALL]


def test_what_nobody_replayed_opens_no_case() -> None:
    assert_broken(a_corrected_failure(), 1, "invoice in_7, which has no failure among the inputs")


def test_a_case_that_a_corrected_replay_opened_is_as_it_should_be() -> None:
    story = a_corrected_failure()
    body = {**story.events[0]["data"], "failed_at": "2026-03-02T10:00:00Z"}

    assert_kept(story, replays=replays(body))


def test_a_correction_that_nobody_kept_leaves_its_account_alone_and_no_other() -> None:
    stranger = Story("acc_8", "in_8").moved("account", "2026-03-05T10:00:01Z", "active", "past_due")
    story = a_corrected_failure()

    assert_kept(story, replays=replays(None))
    assert_broken(story.with_events_of(stranger), 1, "invoice in_8, which has no failure", replays=replays(None))


def test_what_was_set_aside_without_a_policy_is_replayed_as_it_came() -> None:
    euros_later = {**STANDARD, "match": {"currencies": ["EUR"]}}
    story = a_recovered_case().dead_lettered("2026-03-02T10:00:00Z", "payment.failed", 0)
    for letter in story.events[-3:]:
        letter["value"] = json.dumps(story.events[0]["data"]).encode()
    story.policy = euros_later

    assert_broken(story, 9, "readable, but set aside by account_enforcement", "payment.failed/0@0")
    assert_kept(story, replays=replays(None, corrected=False))


def test_whoever_replayed_says_so_in_a_file(tmp_path: Path) -> None:
    line = {"topic": "p.payment.failed.retry_scheduler.dlq", "partition": 0, "offset": 4, "at": "2026-03-05T10:00:00Z"}
    path = tmp_path / "replays.ndjson"
    path.write_text(f"{json.dumps(line)}\n{json.dumps({**line, 'body': {'a': 1}})}\n")
    letter = Where("payment.failed.retry_scheduler.dlq", 0, 4)

    assert read_replays(path, "p.") == [Replay(letter, AT), Replay(letter, AT, corrected=True, body=b'{"a": 1}')]
    path.write_text("{}\n")
    with pytest.raises(CannotRead, match=r"replays.ndjson:1: not a replay"):
        read_replays(path)


# --- the start --------------------------------------------------------------------------------------------------------


def test_a_case_out_of_the_topic_s_history_is_rejected() -> None:
    start = instant("2026-03-02T10:00:01Z")

    story = a_recovered_case().without("payment.failed", attempt_number=2)
    found = assert_broken(story, 1, "invoice in_1, which has no failure among the inputs", starts_at=start)
    assert found.account_id == "acc_1"


def test_a_failure_at_the_start_opens_a_case() -> None:
    assert_kept(a_recovered_case(), starts_at=instant("2026-03-02T10:00:00Z"))


def test_a_failure_before_the_start_is_no_part_of_the_case_that_a_later_one_opened() -> None:
    """Neither amount nor anchor are its: 9900 were due before the start, 4900 since."""
    story = (
        Story()
        .failed("2026-02-20T10:00:00Z", invoice={"id": "in_1", "amount_due_minor": 9900})
        .failed("2026-03-02T10:00:00Z", 2)
        .moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
        .requested("2026-03-03T10:00:00Z", 3, "2026-03-04T10:00:00Z", amount_minor=9900)
    )
    start = instant("2026-03-01T00:00:00Z")

    assert_broken(story, 5, "asks for 9900 EUR, but 4900 remained", starts_at=start, settled=False)
