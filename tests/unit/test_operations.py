"""The book for whoever is on call, the alerts and the dashboard name what exists, and all of it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.metrics import exposed, help_of, series
from tests.monitoring.queries import wrong_with

ROOT = Path(__file__).parents[2]
BOOK = (ROOT / "docs/operations.md").read_text()
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
ALERT_TESTS = (ROOT / "deploy/prometheus/alerts_test.yaml").read_text()
DASHBOARD = json.loads((ROOT / "deploy/grafana/dunning.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
BASE_UNITS = ("_seconds", "_total", "_records", "_minor", "_bytes", "_info", "_fds")
COUNTS = {  # gauges that count things, named for what they count
    "dunning_partitions_owned", "dunning_timers_pending", "dunning_timers_overdue", "dunning_errands_pending",
    "dunning_outbox_pending", "dunning_outbox_parked", "dunning_outbox_shards_owned", "dunning_ready", "dunning_mode",
    "dunning_troubles", "dunning_accounts", "dunning_brake_shut", "dunning_brake_limit", "dunning_brake_restricted",
    "dunning_brake_held",
}  # fmt: skip
LABELS_OF_FEW_VALUES = {
    "topic", "partition", "reason", "outcome", "what", "kind", "track", "stage", "shard", "code", "mode", "policy",
    "version", "service", "decline_class", "channel", "box", "status", "currency",
}  # fmt: skip


def test_the_book_names_every_metric_with_its_labels_and_no_other() -> None:
    rows = re.findall(r"^\| `(dunning_\w+)` \|([^|]*)\|", BOOK, re.MULTILINE)
    named = {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}

    assert len(rows) == len(named)
    assert named == exposed()


def test_names_end_with_their_unit_and_no_label_can_have_many_values() -> None:
    assert {name for name in exposed() if not name.endswith(BASE_UNITS)} == COUNTS
    assert {label for labels in exposed().values() for label in labels} == LABELS_OF_FEW_VALUES
    assert [name for name, said in help_of().items() if not said.endswith(".")] == []


def test_every_query_of_an_alert_names_what_exists() -> None:
    assert [wrong for rule in RULES for wrong in wrong_with(rule["expr"], series())] == []


def test_every_alert_has_its_row_its_section_and_a_unit_test() -> None:
    listed = re.findall(r"^\| `(Dunning\w+)` \| (page|ticket) \|", BOOK, re.MULTILINE)
    sections = re.findall(r"^### (Dunning\w+)$", BOOK, re.MULTILINE)
    tested = re.findall(r"^  - name: (Dunning\w+),", ALERT_TESTS, re.MULTILINE)
    names = [rule["alert"] for rule in RULES]

    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]
    assert (sections, tested) == (names, names)
    assert [rule["annotations"]["runbook"] for rule in RULES] == [
        f"docs/operations.md#{name.lower()}" for name in names
    ]


def test_every_code_of_an_alert_is_one_that_a_service_may_tell() -> None:
    told = set(
        re.findall(r'^[A-Z_]+ = "(DUN-R\d{3})"', (ROOT / "services/dunning/runtime/problem.py").read_text(), re.M)
    )
    asked = {code for rule in RULES for code in re.findall(r'code="(DUN-R\d{3})"', rule["expr"])}
    (others,) = [rule["expr"] for rule in RULES if rule["alert"] == "DunningOtherTrouble"]
    left_out = {f"DUN-R0{number}" for number in re.search(r"R0\(([\d|]+)\)", others)[1].split("|")}  # type: ignore[index]

    assert asked <= told
    assert asked | {"DUN-R012", "DUN-R031"} == left_out  # these two have alerts by their own metrics


def test_every_query_of_the_dashboard_names_what_exists() -> None:
    queries = [target["expr"] for panel in PANELS for target in panel["targets"]]

    assert len(queries) > 40
    assert [wrong for query in queries for wrong in wrong_with(query, series())] == []
    assert [each["query"]["query"] for each in DASHBOARD["templating"]["list"][1:]] == [
        "label_values(dunning_ready, service)"
    ]


def test_every_label_in_a_legend_is_one_that_its_query_keeps() -> None:
    lost = [
        (panel["title"], label)
        for panel in PANELS
        for target in panel["targets"]
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
        if "by (" in target["expr"] and not re.search(rf"by \([^)]*\b{label}\b", target["expr"])
    ]

    assert lost == []


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("dunning_lag_seconds > 1", []),
        ("sum by (service, le) (rate(dunning_handling_seconds_bucket[5m]))", []),
        ("dunning_lag > 1", ["there is no metric dunning_lag"]),
        ("dunning_handling_seconds", ["there is no metric dunning_handling_seconds"]),
        ('dunning_lag_seconds{account="a"}', ["dunning_lag_seconds has no label account"]),
        ("sum by (shard) (dunning_lag_seconds)", ["dunning_lag_seconds has no label shard"]),
        ("sum by (", ["invalid"]),
    ],
)
def test_a_query_that_names_what_does_not_exist_is_found(query: str, wrong: list[str]) -> None:
    found = wrong_with(query, series())

    assert len(found) == len(wrong)
    assert all(each in said or each == "invalid" for each, said in zip(wrong, found, strict=True))


def test_every_link_of_the_book_leads_somewhere() -> None:
    for file, anchor in re.findall(r"\]\(([\w.-]*)#([\w-]+)\)", BOOK):
        text = (ROOT / "docs" / file).read_text() if file else BOOK
        anchors = {
            re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert anchor in anchors, f"{file}#{anchor}"
