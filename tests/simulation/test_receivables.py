"""Real receivables through `dunning simulate`: each rung is reached by exactly the invoices that the file implies."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from dunning_cli.demo.receivables import Fact, Receivable, as_it_was, reached_by, read_receivables, shortened
from dunning_cli.main import app

DATA = Path(__file__).parents[1] / "data"
POLICY = DATA / "receivables-policy.yaml"


@pytest.fixture(scope="module")
def receivables() -> list[Receivable]:
    with (DATA / "receivables.csv").open(newline="") as file:
        return read_receivables(file)


def rung_days() -> dict[str, int]:
    """The policy's rungs with their days."""
    return {rung["rung"]: int(rung["at"].removesuffix("d")) for rung in yaml.safe_load(POLICY.read_text())["ladder"]}


def simulate(facts: list[Fact], until: datetime, path: Path) -> list[dict[str, object]]:
    events = path / "events.ndjson"
    events.write_text(
        "".join(
            json.dumps({"at": fact.at.isoformat(), "topic": fact.topic, "data": fact.data}) + "\n" for fact in facts
        )
    )
    arguments = ["simulate", "--policy", str(POLICY), "--events", str(events), "--until", until.isoformat()]
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_rung_is_reached_by_exactly_those_who_paid_later(receivables: list[Receivable], tmp_path: Path) -> None:
    lines = simulate(as_it_was(receivables), datetime(2015, 1, 1, tzinfo=UTC), tmp_path)
    by_rung: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        data = line["data"]
        if line["topic"] == "dunning.stage.changed" and data["track"] == "notice":  # type: ignore[index]
            by_rung[data["to_stage"]].add(data["invoice_id"])  # type: ignore[index]

    # By hand from the file: awk -F, and the difference of two dates.
    assert {rung: len(by_rung[rung]) for rung in rung_days()} == {
        "overdue": 494,
        "reminder": 393,
        "warning": 258,
        "restricted": 199,
        "last_call": 118,
        "suspended": 37,
    }
    for rung, days in rung_days().items():
        assert by_rung[rung] == reached_by(receivables, days)
    assert len(by_rung["recovered"]) == 494


def test_the_account_track_restricts_and_suspends_the_same_invoices(
    receivables: list[Receivable], tmp_path: Path
) -> None:
    lines = simulate(as_it_was(receivables), datetime(2015, 1, 1, tzinfo=UTC), tmp_path)
    by_stage: dict[str, set[str]] = defaultdict(set)
    statuses: dict[str, str] = {}
    for line in lines:
        data: dict[str, str] = line["data"]  # type: ignore[assignment]
        if line["topic"] == "dunning.stage.changed" and data["track"] == "account":
            by_stage[data["to_stage"]].add(data["invoice_id"])
        elif line["topic"] == "dunning.account.status":
            statuses[data["account_id"]] = data["status"]

    assert by_stage["past_due"] == reached_by(receivables, 0) == by_stage["active"]
    assert by_stage["restricted"] == reached_by(receivables, 10)
    assert by_stage["suspended"] == reached_by(receivables, 21)
    assert set(statuses.values()) == {"active"}  # everybody paid in the end


def test_shortened_days_keep_who_is_how_late(receivables: list[Receivable]) -> None:
    starts_at = datetime(2026, 11, 23, tzinfo=UTC)
    facts = shortened(receivables, starts_at, day_seconds=3.0, window_seconds=20.0)
    due_at = {fact.data["invoice"]["id"]: fact.at for fact in facts if fact.topic == "payment.failed"}
    late_days = {
        fact.data["invoice"]["id"]: (fact.at - due_at[fact.data["invoice"]["id"]]).total_seconds() / 3.0
        for fact in facts
        if fact.topic == "payment.succeeded" and fact.data["invoice"]["id"] in due_at
    }

    assert set(due_at) == reached_by(receivables, 0)
    for days in (0, 3, 7, 10, 14, 21):
        assert {invoice for invoice, late in late_days.items() if late > days} == reached_by(receivables, days)
