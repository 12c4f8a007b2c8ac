"""`dunning policy preview` with business days, with a version that is valid from some day on, and without a case."""

import json
from pathlib import Path

from typer.testing import CliRunner

from dunning_cli.errors import CommandError
from dunning_cli.policy import app

POLICY = """
id: p
version: 2
roll: {business_days: next, calendars: [account_country]}
ladder:
  - {rung: first, at: 0d, account: past_due}
  - {rung: second, at: 3d, account: restricted}
"""


def dates(file: Path, *options: str) -> list[str] | str:
    result = CliRunner().invoke(app, ["preview", str(file), "--format", "json", *options])
    if isinstance(result.exception, CommandError):
        return str(result.exception)
    return [entry["local"] for entry in json.loads(result.stdout)["timeline"]]


def test_the_dates_are_those_after_the_weekends_and_holidays_of_the_country(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(POLICY)
    start = ("--start", "2026-12-22T09:00:00Z", "--zone", "Europe/Berlin")

    assert dates(file, *start, "--country", "DE") == ["2026-12-22T10:00:00+01:00", "2026-12-28T10:00:00+01:00"]
    assert dates(file, *start, "--country", "TR") == ["2026-12-22T10:00:00+01:00", "2026-12-25T10:00:00+01:00"]


def test_a_start_before_the_version_is_valid_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"{POLICY}valid_from: 2040-01-02T00:00:00Z\n")

    assert dates(file, "--start", "2039-12-22T09:00:00Z") == (
        "policy p version 2 takes failures from 2040-01-02T00:00:00Z on, and this one is of 2039-12-22T09:00:00Z "
        "[DUN-S002]"
    )
    assert dates(file) == ["2040-01-02T00:00:00+00:00", "2040-01-05T00:00:00+00:00"]


def test_a_version_that_is_valid_when_no_failure_can_be_dated_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"{POLICY}valid_from: 9999-12-31T00:00:00Z\n")

    assert dates(file) == 'valid_from: "9999-12-31T00:00:00Z" is no time from 1970 to 2199 [DUN-S002]'


def test_a_policy_that_ignores_what_it_matches_has_no_timeline(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("id: p\nversion: 2\nignore: true\nmatch: {currencies: [EUR]}\n")

    assert dates(file) == "policy p ignores what it matches: no case opens, and nothing happens [DUN-S002]"
    assert dates(file, "--currency", "USD") == (
        "policy p does not match this failure: it is for --currency EUR [DUN-S002]"
    )
