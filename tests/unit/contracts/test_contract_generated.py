"""Generated files: current, well-formed, and complete."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dunning.contracts.generate.__main__ import main
from dunning.runtime.dead_letters import REASONS

ROOT = Path(__file__).parents[3]


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "schemas" / "asyncapi.yaml").read_text(encoding="utf-8"))
    return loaded


def events_page() -> str:
    return (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


def test_the_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_check_names_what_differs_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 0
    topics = tmp_path / "schemas" / "topics.yaml"
    topics.write_text(topics.read_text(encoding="utf-8").replace("partitions: 6", "partitions: 7"), encoding="utf-8")
    (tmp_path / "schemas" / "events" / "payment.failed" / "v1.json").unlink()
    capsys.readouterr()

    assert main(["--check", "--root", str(tmp_path)]) == 1

    said = capsys.readouterr().out
    assert "-    partitions: 7" in said
    assert "+    partitions: 6" in said
    assert "payment.failed/v1.json" in said
    assert "2 generated files are not current" in said
    assert "partitions: 7" in topics.read_text(encoding="utf-8")


def test_the_asyncapi_document_has_every_topic_and_points_nowhere_else() -> None:
    asyncapi = document()

    assert asyncapi["asyncapi"] == "3.0.0"
    assert [channel["address"] for channel in asyncapi["channels"].values()][:7] == [
        "payment.failed",
        "payment.succeeded",
        "dunning.signals",
        "dunning.stage.changed",
        "dunning.retry.requested",
        "dunning.notice.result",
        "dunning.account.status",
    ]
    assert len(asyncapi["channels"]) == 19
    for reference in _references(asyncapi):
        _resolve(asyncapi, reference)


def test_whoever_reads_what_is_published_is_told_to_read_what_was_committed() -> None:
    assert "isolation.level=read_committed" in document()["info"]["description"]
    assert "isolation.level=read_committed" in events_page().split("## Topics")[0]


@pytest.mark.parametrize("reason", REASONS)
def test_the_page_of_events_has_every_reason_of_a_dead_letter(reason: str) -> None:
    assert f"`{reason}`" in events_page().split("## Dead letters")[1]


def test_the_asyncapi_document_says_who_sends_and_who_receives() -> None:
    operations = document()["operations"]

    assert operations["retry_scheduler_send_dunning_retry_requested"]["action"] == "send"
    assert operations["account_enforcement_receive_dunning_notice_result"]["action"] == "receive"
    assert "account_enforcement_receive_dunning_stage_changed" not in operations


def test_schemas_name_their_dialect_and_themselves() -> None:
    schema = json.loads((ROOT / "schemas" / "events" / "payment.failed" / "v1.json").read_text(encoding="utf-8"))

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == "urn:dunning:events:payment.failed:v1"
    assert schema["required"] == [
        "payment_id",
        "account_id",
        "amount_minor",
        "currency",
        "attempt_number",
        "invoice",
        "failed_at",
        "failure",
    ]
    assert "class" in schema["$defs"]["Failure"]["properties"]


def _references(value: Any) -> list[str]:
    match value:
        case dict():
            found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return found + [reference for item in value.values() for reference in _references(item)]
        case list():
            return [reference for item in value for reference in _references(item)]
    return []


def _resolve(whole: Any, reference: str) -> None:
    assert reference.startswith("#/")
    for part in reference[2:].split("/"):
        assert part in whole, reference
        whole = whole[part]
