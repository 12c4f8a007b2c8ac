"""The runnable examples of docs/examples: what comes out is what they say."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dunning_cli.main import app
from tests.sessions import carry_out

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def line(event: dict[str, Any]) -> str | None:
    """What an example tells of an event; the notice track and what goes as it should are left out."""
    at, data = event["at"], event["data"]
    match event["topic"]:
        case "dunning.stage.changed" if data["track"] != "notice":
            return f"{at} stage {data['track']} {data['invoice_id']} {data['from_stage']}>{data['to_stage']}"
        case "dunning.retry.requested":
            amount = f"{data['amount_minor']} {data['currency']}"
            return f"{at} charge {data['invoice_id']} attempt={data['attempt_number']} {amount}"
        case "dunning.notice.result" if data["outcome"] != "delivered":
            return f"{at} notice {data['rung']} {data['channel']} {data['outcome']}"
        case "dunning.account.status" if data["previous_status"] != data["status"]:
            return f"{at} account {data['account_id']} {data['previous_status']}>{data['status']}"
    return None


def test_every_example_can_be_run() -> None:
    """With events for the simulator, or as a session; sessions that need servers are run in tests/integration."""
    kinds = ("expected.txt", "session.txt", "live.txt")

    assert set(folders()) == {name for kind in kinds for name in examples_with(kind)}


def folders() -> list[str]:
    return sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir())


def examples_with(name: str) -> list[str]:
    return sorted(file.parent.name for file in EXAMPLES.glob(f"*/{name}"))


@pytest.mark.parametrize("name", examples_with("expected.txt"))
def test_an_example_tells_what_it_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set aside is said in `errors.txt`; without that file nothing is."""
    folder = EXAMPLES / name
    monkeypatch.chdir(folder)
    options = shlex.split((folder / "options").read_text())

    done = CliRunner().invoke(app, ["simulate", "--policy", "policy.yaml", "--events", "events.ndjson", *options])

    assert done.exit_code == 0, done.output
    told = sorted(text for row in done.stdout.splitlines() if (text := line(json.loads(row))) is not None)
    errors = folder / "errors.txt"
    assert told == sorted((folder / "expected.txt").read_text().splitlines())
    assert done.stderr == (errors.read_text() if errors.exists() else "")


@pytest.mark.parametrize("name", examples_with("session.txt"))
def test_a_session_goes_as_it_says(name: str) -> None:
    carry_out(EXAMPLES / name, (EXAMPLES / name / "session.txt").read_text())
