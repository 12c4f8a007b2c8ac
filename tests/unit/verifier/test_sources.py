"""What the verifier reads: policies, simulations, mails, ledgers; and how it says that there was nothing."""

import json
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest

from dunning_verifier.__main__ import main
from dunning_verifier.clock import Hours, Span, instant, zone_or_none
from dunning_verifier.evidence import CannotRead, read_charges, read_mails, read_poison
from dunning_verifier.policy_file import BadPolicy, Policies
from dunning_verifier.values import Failure
from tests.unit.verifier.story import Story, a_recovered_case, a_suspended_case

POLICY = """
id: standard
version: 1
timezone: UTC
retries: {after: [1d]}
contact: {quiet_hours: [21:00, 08:00]}
ladder:
  - {rung: payment_failed, at: 0d, account: past_due, notice: {channels: [email]}}
  - {rung: suspension_warning, at: 11d, notice: {channels: [email]}}
  - {rung: suspended, at: 14d12h, account: suspended, warned_by: suspension_warning}
"""


def test_a_policy_file_is_read_with_its_lead_and_its_hours(tmp_path: Path) -> None:
    (tmp_path / "standard.yaml").write_text(POLICY)

    policy = Policies.read(tmp_path).by_ref["standard", 1]

    assert [rung.lead for rung in policy.rungs] == [Span(0, 0), Span(0, 0), Span(3, 12 * 3600)]
    assert policy.quiet["email"] == Hours(time(21), time(8))


def test_a_policy_that_cannot_be_understood_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("ladder: [{rung: a}]\nid: x")

    with pytest.raises(BadPolicy, match="policy 'x'"):
        Policies.read(tmp_path)


def test_a_local_time_that_does_not_exist_is_the_next_one_that_does() -> None:
    berlin = zone_or_none("Europe/Berlin")
    assert berlin is not None

    assert Span(1, 0).after(instant("2026-03-28T01:30:00Z"), berlin) == instant("2026-03-29T01:00:00Z")
    assert Span(1, 0).after(instant("2026-10-24T00:30:00Z"), berlin) == instant("2026-10-25T00:30:00Z")


def _write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _simulation(tmp_path: Path, story: Story) -> list[str]:
    """The command line for a story as `dunning simulate` would write it."""
    inputs = [event for event in story.events if event["topic"].startswith("payment") or "signals" in event["topic"]]
    outputs = [
        {name: event[name] for name in ("at", "topic", "sequence", "data")}
        | {"key": story.account, "type": f"{event['topic']}.v1"}
        for event in story.events
        if event not in inputs
    ]
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(story.policy))
    files = (_write(tmp_path / "in.ndjson", inputs), _write(tmp_path / "out.ndjson", outputs))
    return ["--ndjson", *map(str, files), "--policy-dir", str(policy)]


def test_a_simulation_that_keeps_every_promise_is_green(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_simulation(tmp_path, a_suspended_case())) == 0

    said = capsys.readouterr().out
    assert "1 failures" in said
    assert "1 suspensions and terminations" in said
    assert "every promise was kept" in said


def test_a_simulation_that_breaks_one_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = a_suspended_case(suspended_at="2026-03-15T10:00:00Z")

    assert main(_simulation(tmp_path, story)) == 1

    said = capsys.readouterr().out
    assert "promise 6: suspended without a warning in time" in said
    assert f"case={story.case} account=acc_1 at dunning.stage.changed/0@9" in said


def test_violations_can_be_read_by_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = a_suspended_case(suspended_at="2026-03-15T10:00:00Z")

    assert main([*_simulation(tmp_path, story), "--format", "json"]) == 1

    told = json.loads(capsys.readouterr().out)
    assert told["violations"][0]["promise"] == 6
    assert told["looked_at"]["accounts"] == 1


def test_a_verifier_that_looked_at_nothing_is_not_content(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(_simulation(tmp_path, Story())) == 3
    assert "nothing to verify" in capsys.readouterr().out


def test_a_source_that_cannot_be_read_is_neither_green_nor_red(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _simulation(tmp_path, a_recovered_case())
    for text in ("{}", '{"data": ' + "[" * 10_000 + "]" * 10_000 + "}"):
        (tmp_path / "out.ndjson").write_text(text + "\n")

        assert main(arguments) == 2
        assert "out.ndjson:1: not an event" in capsys.readouterr().err


def test_the_simulated_processor_s_answers_are_inferred(tmp_path: Path) -> None:
    """`--charges succeed`: the money is in neither file, only what the scheduler made of it."""
    story = (
        Story()
        .failed("2026-03-02T10:00:00Z")
        .moved("retry", "2026-03-02T10:00:00Z", "none", "scheduled")
        .moved("account", "2026-03-02T10:00:00Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:00Z", "none", "payment_failed")
        .noticed("2026-03-02T10:00:00Z", "payment_failed")
        .status("2026-03-02T10:00:00Z", "active", "past_due")
        .requested("2026-03-03T10:00:00Z", 2, "2026-03-04T10:00:00Z")
        .moved("retry", "2026-03-03T10:00:00Z", "requested", "scheduled")
        .requested("2026-03-06T10:00:00Z", 3, "2026-03-07T10:00:00Z")
        .moved("retry", "2026-03-06T10:00:00Z", "requested", "recovered", "paid")
        .moved("account", "2026-03-06T10:00:00Z", "past_due", "active", "paid")
        .moved("notice", "2026-03-06T10:00:00Z", "payment_failed", "recovered", "paid")
        .status("2026-03-06T10:00:00Z", "past_due", "active", owed=0)
    )

    assert main(_simulation(tmp_path, story)) == 0


def test_mails_are_known_by_their_header_or_their_message_id(tmp_path: Path) -> None:
    (tmp_path / "20260302T100002.000001000Z-1-000001.eml").write_bytes(b"X-Dunning-Notice-Id: n-1\r\n\r\nhello")
    (tmp_path / "b.eml").write_bytes(b"Message-ID: <n-2@dunning>\r\nDate: Mon, 02 Mar 2026 11:00:00 +0100\r\n\r\nhello")
    (tmp_path / "c.eml").write_bytes(b"Subject: of another sender\r\n\r\nhello")
    (tmp_path / "d.part").write_bytes(b"unfinished")

    mails = read_mails(tmp_path)

    assert [mail.notice_id for mail in mails] == ["n-1", "n-2", None]
    assert [mail.arrived_at for mail in mails] == [
        instant("2026-03-02T10:00:02.000001Z"),
        instant("2026-03-02T10:00:00Z"),
        None,
    ]


def test_a_ledger_line_that_is_no_charge_is_an_error(tmp_path: Path) -> None:
    good = {"retry_id": "c:2", "invoice_id": "in_1", "at": "2026-03-03T10:00:00Z", "outcome": "succeeded"}
    ledger = _write(tmp_path / "ledger.ndjson", [{**good, "amount_minor": 4900, "currency": "EUR"}, good])

    with pytest.raises(CannotRead, match=r"ledger.ndjson:2: not a charge"):
        read_charges(ledger)


def test_the_maker_of_poison_says_where_it_is(tmp_path: Path) -> None:
    poison = read_poison(_write(tmp_path / "poison.ndjson", [{"topic": "payment.failed", "partition": 1, "offset": 7}]))

    assert [str(where) for where in poison] == ["payment.failed/1@7"]


def test_of_several_versions_the_highest_that_is_valid_at_the_failure_is_expected() -> None:
    versions: list[dict[str, Any]] = [
        {"id": "standard", "version": 1, "ladder": []},
        {"id": "standard", "version": 2, "ladder": [], "valid_from": "2026-04-01T00:00:00+02:00"},
        {"id": "standard", "version": 3, "ladder": [], "valid_from": datetime(2026, 5, 1, tzinfo=UTC)},
    ]
    story = Story()
    for attempt, at in enumerate(("2026-03-31T21:59:59Z", "2026-03-31T22:00:00Z", "2026-05-01T00:00:00Z"), 1):
        story.failed(at, attempt)
    failures = [event for event in story.history().inputs if isinstance(event, Failure)]

    chosen = [Policies.of(versions).choose(failure, None) for failure in failures]

    assert [policy and policy.version for policy in chosen] == [1, 2, 3]
