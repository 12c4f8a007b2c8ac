"""`dunning policy lint`, as it is called from a shell or a pipeline."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dunning_cli.errors import CommandError
from dunning_cli.policy import app

GOOD = "id: p\nversion: 1\nladder: [{rung: first, at: 0d, account: past_due}]\n"


def lint(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lint", *map(str, arguments)])
    if isinstance(result.exception, CommandError):
        return result.exception.exit_code, str(result.exception)
    return result.exit_code, result.stdout


def test_good_files_are_said_to_be_good(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not a policy")

    assert lint(tmp_path) == (0, "1 file: no problems\n")


def test_problems_are_listed_as_lines_that_name_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(GOOD + "colur: red\nretries: {after: [2d], window: 1d}\n")

    code, printed = lint("a.yaml")

    assert code == 1
    assert printed.splitlines()[1:] == [
        "a.yaml:5:32: warning: retries.window: only 0 of 1 planned retries fit into 1d [DUN-P027]",
        "1 file: 1 error, 1 warning",
    ]


def test_warnings_alone_leave_the_exit_code_at_zero(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD + "retries: {after: [2d], window: 1d}\n")

    assert lint(file)[0] == 0


def test_json_has_every_part_of_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yml").write_text(GOOD + "priority: first\n")

    code, printed = lint("--format", "json", ".")

    assert code == 1
    assert json.loads(printed) == {
        "files": ["a.yml"],
        "problems": [
            {
                "file": "a.yml",
                "line": 4,
                "column": 11,
                "path": "priority",
                "message": 'found "first"; expected a whole number such as 1',
                "code": "DUN-P006",
                "severity": "error",
            }
        ],
    }


def test_a_file_that_is_not_there_is_another_failure_than_a_wrong_one(tmp_path: Path) -> None:
    missing = tmp_path / "nothing.yaml"

    assert lint(missing) == (2, f"cannot read {missing}: No such file or directory [DUN-P033]")
    assert lint(tmp_path) == (2, f"no policy file (*.yaml, *.yml) in {tmp_path} [DUN-P033]")


def test_a_template_of_ones_own_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.replace("account: past_due", "notice: {template: ours, channels: [email]}"))

    assert lint(file)[0] == 1
    assert lint(file, "--template", "ours")[0] == 0
