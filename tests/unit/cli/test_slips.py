"""Slips in options are said, each with what is allowed, and never answered as if nothing were wrong."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dunning_cli.errors import CommandError
from dunning_cli.main import app

STANDARD = str(Path(__file__).parents[3] / "deploy" / "policies" / "standard.yaml")
PREVIEW = ["policy", "preview", STANDARD, "--start", "2026-03-02T10:00:00Z"]


def refused(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, CommandError), result.output
    assert result.stdout == ""
    return result.exception.exit_code, str(result.exception)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--country", "Germany"], '--country: "Germany" is not two capitals of ISO 3166, such as DE [DUN-S002]'),
        (
            ["--country", "UK"],
            '--country: "UK" is no country of ISO 3166; write two capitals such as DE or GB [DUN-S002]',
        ),
        (["--country", "de"], '--country: "de" is not two capitals of ISO 3166, such as DE [DUN-S002]'),
        (["--currency", "EURO"], '--currency: "EURO" is not a currency of ISO 4217 in use, such as EUR [DUN-S002]'),
        (["--amount", "-5"], "--amount: -5 is less than 0 [DUN-S002]"),
        (
            ["--start", "9999-12-30T00:00:00Z"],
            '--start: "9999-12-30T00:00:00Z" is no time from 1970 to 2199 [DUN-S002]',
        ),
        (
            ["--start", "0001-01-01T00:00:00Z"],
            '--start: "0001-01-01T00:00:00Z" is no time from 1970 to 2199 [DUN-S002]',
        ),
        (["--due", "2200-01-01T00:00:00Z"], '--due: "2200-01-01T00:00:00Z" is no time from 1970 to 2199 [DUN-S002]'),
    ],
)
def test_a_preview_of_what_no_failure_can_hold_is_refused(option: list[str], said: str) -> None:
    assert refused(*PREVIEW, *option) == (2, said)


def test_a_mail_without_such_a_template_names_those_there_are() -> None:
    assert refused("policy", "mail", "suspention") == (
        1,
        'no template "suspention"; there are final_notice, formal_notice, gentle_reminder, payment_failed, suspended, '
        "suspension_warning, terminated [DUN-S004]",
    )


def test_templates_in_a_folder_that_is_not_there_are_not_taken_for_the_shipped_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUNNING_TEMPLATE_DIR", str(tmp_path / "letters"))

    assert refused("policy", "mail", "suspended") == (
        1,
        f"DUNNING_TEMPLATE_DIR: {tmp_path}/letters is no directory that can be read [DUN-S004]",
    )
    linted = CliRunner().invoke(app, ["policy", "lint", STANDARD])
    assert (linted.exit_code, linted.stdout.splitlines()[-1]) == (1, "1 file: 1 error")


def test_a_processor_that_is_neither_a_word_nor_a_file_is_refused(tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.touch()

    assert refused(
        "simulate",
        "--policy",
        STANDARD,
        "--events",
        str(events),
        "--until",
        "2026-03-05T00:00:00Z",
        "--charges",
        "fails",
    ) == (2, '--charges: "fails" is neither fail nor succeed, nor a file that is there [DUN-S001]')


def test_dead_letters_of_a_reason_that_there_is_not_are_not_said_to_be_none() -> None:
    code, said = refused("dlq", "list", "--reason", "invalid_jsn")

    assert (code, said[:56]) == (2, '--reason: "invalid_jsn" is none of null_value, too_large')


@pytest.mark.parametrize(
    "arguments", [(), ("c-1", "--account", "acct-1"), ("c-1", "--invoice", "in-1"), ("--account", "acct-1")]
)
def test_a_case_is_named_in_one_way_and_no_half_of_the_other_is_passed_over(arguments: tuple[str, ...]) -> None:
    said = "give a CASE_ID, or --account and --invoice together [DUN-C011]"

    assert refused("case", "show", *arguments) == (2, said)
