"""One way to read a time, wherever it stands: in an event, a line of `simulate`, an option or a setting."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dunning.domain.rfc3339 import instant, parse_rfc3339
from dunning.runtime.problem import Problem
from dunning.runtime.settings import Settings, load_settings
from dunning_cli.listing import parse_time
from dunning_cli.main import app
from tests.wire import failed, plain, read, refused

TIMES = {
    "2026-03-02T10:00:00Z": "2026-03-02T10:00:00+00:00",
    "2026-03-02T10:00:00z": "2026-03-02T10:00:00+00:00",
    "2026-03-02t10:00:00Z": "2026-03-02T10:00:00+00:00",
    "2026-03-02 10:00:00Z": "2026-03-02T10:00:00+00:00",
    "2026-03-02T10:00:00-00:00": "2026-03-02T10:00:00+00:00",
    "2026-03-02T11:30:00.5+01:30": "2026-03-02T10:00:00.500000+00:00",
    "2026-03-02T10:00:00.1234567Z": "2026-03-02T10:00:00.123456+00:00",
    "2026-02-28T23:59:60Z": "2026-03-01T00:00:00+00:00",
    "2026-02-28T23:59:60.9z": "2026-03-01T00:00:00+00:00",
}
NO_TIMES = [
    "2026-03-02T10:00Z",
    "2026-03-02T10:00:00+0000",
    "2026-03-02T10:00:00+00",
    "2026-03-02T10:00:00,5Z",
    "2026-03-02T10:00:00.Z",
    "2026-03-02T10:00:00",
    "2026-03-02T24:00:00Z",
    "2026-03-02T10:00:61Z",
    "2026-02-30T10:00:00Z",
    "2026-03-02_10:00:00Z",
    "2026-W10-1T10:00:00Z",
    "20260302T100000Z",
    "2026-03-02T10:00:00Z ",
    "2026-03-02",
    "\u0662\u0660\u0662\u0666-03-02T10:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:60Z",
    "",
]
GIVEN = {"kafka_bootstrap_servers": "k:9092", "database_url": "postgresql://localhost/dunning"}


def at_of_a_line(text: str, folder: Path) -> str | None:
    """When a line that says this `at` takes effect; None where it is no line."""
    (folder / "policy.yaml").write_text("{id: all, version: 1, ladder: [{rung: hello, at: 0d, account: past_due}]}")
    line = {"at": text, "topic": "payment.failed", "data": failed(failed_at="2026-02-01T00:00:00Z")}
    (folder / "events.ndjson").write_text(json.dumps(line))
    files = ["--policy", str(folder / "policy.yaml"), "--events", str(folder / "events.ndjson")]
    result = CliRunner().invoke(app, ["simulate", *files, "--until", "2027-01-01T00:00:00Z"])
    if result.exit_code:
        assert (result.exit_code, result.stderr.split(": ")[1][:4]) == (2, '"at"')
        return None
    at = datetime.fromisoformat(json.loads(result.stdout.splitlines()[0])["at"])
    return at.isoformat()


@pytest.mark.parametrize(("text", "utc"), TIMES.items())
def test_a_time_is_the_same_instant_wherever_it_stands(
    text: str, utc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUNNING_START", text)

    assert instant(text).isoformat() == utc
    assert read("payment.failed", failed(failed_at=text)).input.failed_at == instant(utc)  # type: ignore[union-attr]
    assert at_of_a_line(text, tmp_path) == utc
    assert parse_time("--since", text, "DUN-X") == instant(utc)
    assert load_settings(Settings, **GIVEN).start == instant(utc)


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time_is_none_anywhere(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_START", text or "-")

    assert parse_rfc3339(text) is None
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        instant(text)
    assert refused("payment.failed", failed(failed_at=text)).reason == "bad_time"
    assert at_of_a_line(text, tmp_path) is None
    with pytest.raises(Problem, match="DUNNING_START"):
        load_settings(Settings, **GIVEN)


@pytest.mark.parametrize("option", ["--until", "--start"])
@pytest.mark.parametrize(("text", "code"), [("2026-03-02T10:00:00z", 0), ("2026-03-02T10:00Z", 1)])
def test_options_take_these_times_and_no_shorter_ones(option: str, text: str, code: int, tmp_path: Path) -> None:
    assert at_of_a_line("2026-03-01T00:00:00Z", tmp_path) is not None
    times = {"--until": "2027-01-01T00:00:00Z", "--start": "2026-01-01T00:00:00Z", option: text}
    files = ["--policy", str(tmp_path / "policy.yaml"), "--events", str(tmp_path / "events.ndjson")]

    result = CliRunner().invoke(app, ["simulate", *files, *(word for pair in times.items() for word in pair)])

    assert result.exit_code == code
    assert (f'{option}: "{text}" is not an RFC 3339 time' in str(result.exception)) is bool(code)


def test_the_two_writings_of_one_instant_are_the_same_in_a_signal() -> None:
    order = {"kind": "retry.now", "account_id": "acc_1", "invoice_id": "in_1"}

    one, other, none = (
        plain("dunning.signals", {**order, "at": "2026-03-02T10:00:00Z", "note": note})
        for note in ("2026-03-02T09:00:00Z", "2026-03-02t10:00:00+01:00", "2026-03-02T09:00Z")
    )

    assert one == other != none


def test_a_distance_may_stand_for_a_time_only_where_the_option_says_so() -> None:
    before = datetime.now(UTC)

    at = parse_time("--since", "2h", "DUN-X")

    assert at is not None
    assert 7200 <= (datetime.now(UTC) - at).total_seconds() <= 7200 + (datetime.now(UTC) - before).total_seconds() + 1
