"""The runnable examples of docs/examples: what `dunning simulate` prints is what their `expected.txt` says."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dunning_cli.main import app

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


def told_by(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(folder)
    options = shlex.split((folder / "options").read_text())
    done = CliRunner().invoke(app, ["simulate", "--policy", "policy.yaml", "--events", "events.ndjson", *options])
    assert done.exit_code == 0, done.output
    return sorted(text for row in done.stdout.splitlines() if (text := line(json.loads(row))) is not None)


@pytest.mark.parametrize("name", sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))
def test_an_example_tells_what_it_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = EXAMPLES / name

    assert told_by(folder, monkeypatch) == sorted((folder / "expected.txt").read_text().splitlines())
