"""The JSON Schema of policy files: what editors complete and underline is what the parser reads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it has no types

from dunning.domain.policy_file import load_policy

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas" / "policy.schema.json").read_text("utf-8"))
VALIDATOR = Draft7Validator(SCHEMA)
SHIPPED = sorted((ROOT / "deploy").glob("policies*/*.yaml"))
NOT_IN_FORCE = ROOT / "docs" / "examples" / "61-not-in-force"  # its keys are load errors: that is what it shows
EXAMPLES = [each for each in sorted((ROOT / "docs" / "examples").rglob("policy*.yaml")) if each.parent != NOT_IN_FORCE]
FULL = """\
id: full
version: 3
match: {segments: [self_serve], countries: [DE, "NO"], currencies: [EUR], payment_types: [card], min_amount: {EUR: 500}}
priority: 10
ignore: false
anchor: due_date
timezone: Europe/Berlin
fallback_timezone: UTC
roll: {business_days: next, calendars: [account_country, DE]}
retries:
  strategy: ladder
  after: [1d, 3d12h]
  max_retries: 4
  window: 4w
  hours: ["08:00", "20:00"]
  technical_after: [10m]
  timeout: 1d
  roll: none
ladder:
  - {rung: first, at: 0d, notice: {template: payment_failed, channels: [email], fallback: [sms, letter]}}
  - {rung: last, at: 14d, account: suspended, warned_by: first, lead: 3d, unreachable: 7d, collections: true}
conditions: {last: {unpaid_invoices_at_least: 1, balance_at_least: {EUR: 1000}, tags_none: [vip]}}
contact: {quiet_hours: {sms: ["21:00", "08:00"], email: none}, caps: {email: {1d: 1, 7d: 4}, all: {7d: 7}}}
valid_from: 2026-05-01T00:00:00Z
"""


class EditorLoader(yaml.SafeLoader):
    """Reads YAML as editors do: a date is text."""


EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def complaints(text: str) -> list[str]:
    document = json.loads(json.dumps(yaml.load(text, EditorLoader)))  # to editors every key is text
    return [error.message for error in VALIDATOR.iter_errors(document)]


def errors_of(text: str) -> set[tuple[str, str]]:
    problems = load_policy(text, "p.yaml").problems
    return {(problem.path, problem.message) for problem in problems if problem.severity == "error"}


def keys_by_path(schema: dict[str, Any]) -> dict[str, set[str]]:
    """The keys of every mapping with known keys, by where it stands."""
    named = {
        "": schema,
        "match": schema["definitions"]["match"],
        "roll": schema["definitions"]["roll"],
        "retries": schema["definitions"]["retries"],
        "ladder[0]": schema["definitions"]["rung"],
        "ladder[0].notice": schema["definitions"]["notice"],
        "conditions.first": schema["definitions"]["conditions"],
        "contact": schema["definitions"]["contact"],
    }
    return {path: set(part["properties"]) for path, part in named.items()}


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("", "zzzzzz: 1\n"),
        ("match", "match: {zzzzzz: 1}\n"),
        ("roll", "roll: {business_days: next, zzzzzz: 1}\n"),
        ("retries", "retries: {after: [1d], zzzzzz: 1}\n"),
        ("ladder[0]", "ladder: [{rung: first, at: 0d, account: past_due, zzzzzz: 1}]\n"),
        ("ladder[0].notice", "ladder: [{rung: first, at: 0d, notice: {zzzzzz: 1}}]\n"),
        ("conditions.first", "conditions: {first: {zzzzzz: 1}}\n"),
        ("contact", "contact: {zzzzzz: 1}\n"),
    ],
)
def test_the_parser_allows_the_keys_of_the_schema_and_no_others(path: str, written: str) -> None:
    ladder = "" if written.startswith("ladder") else "ladder: [{rung: first, at: 0d, account: past_due}]\n"
    problems = [str(problem) for problem in load_policy(f"id: p\nversion: 1\n{ladder}{written}", "p.yaml").problems]
    [said] = [problem for problem in problems if "zzzzzz: unknown key" in problem]
    allowed = re.search(r"allowed: (.*) \[DUN-P003\]", said)

    assert allowed is not None
    assert set(allowed[1].split(", ")) == keys_by_path(SCHEMA)[path]


def test_every_mapping_of_the_schema_is_closed_and_every_key_is_explained() -> None:
    for name, part in [("policy", SCHEMA), *SCHEMA["definitions"].items()]:
        for key, value in part.get("properties", {}).items():
            assert value["description"], f"{name}.{key}"
            assert part["additionalProperties"] is False, name


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", [*SHIPPED, *EXAMPLES], ids=lambda file: str(file.relative_to(ROOT)))
def test_policies_that_exist_satisfy_it(file: Path) -> None:
    assert complaints(file.read_text("utf-8")) == []


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_a_shipped_policy_names_it_in_its_first_line(file: Path) -> None:
    first = file.read_text("utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")

    assert named != first
    assert (file.parent / named).resolve() == ROOT / "schemas" / "policy.schema.json"


def test_a_policy_with_every_key_satisfies_it() -> None:
    assert complaints(FULL) == []


@pytest.mark.parametrize(
    ("right", "slip"),
    [
        ("version: 3", "verson: 3"),
        ("version: 3", "version: 0"),
        ("version: 3", 'version: "3"'),
        ("id: full", "id: two words"),
        ("id: full\n", ""),
        ("anchor: due_date", "anchor: due-date"),
        ("segments: [self_serve]", "segments: self_serve"),
        ("countries: [DE", "countries: [de"),
        ("currencies: [EUR]", "currencies: [eur]"),
        ("min_amount: {EUR: 500}", "min_amount: {EUR: 5.5}"),
        ("min_amount: {EUR: 500}", "min_amount: {euro: 500}"),
        ("ignore: false", 'ignore: "false"'),
        ("business_days: next", "business_days: nxt"),
        ("strategy: ladder", "strategy: adaptiv"),
        ("strategy: ladder", "strategy: adaptive"),  # not in force yet
        ("collections: true", "fee: {EUR: 500}"),  # not in force yet
        ("[1d, 3d12h]", "[1 day]"),
        ("[1d, 3d12h]", "[0d]"),
        ("[1d, 3d12h]", "1d"),
        ("  after: [1d, 3d12h]\n", ""),
        ("max_retries: 4", "max_retries: 101"),
        ("window: 4w", "window: 28"),
        ('["08:00", "20:00"]', '["08:00", "24:00"]'),
        ('["08:00", "20:00"]', '["08:00"]'),
        ("  roll: none", "  roll: no thanks"),
        ("rung: first", "rung: closed"),
        ("at: 0d, ", ""),
        ("notice: {template: payment_failed, channels: [email], fallback: [sms, letter]}", "collections: true"),
        ("channels: [email]", "channels: []"),
        ("channels: [email]", "channels: [mail]"),
        ("channels: [email]", "channels: [email, email]"),
        ("template: payment_failed, ", ""),
        ("account: suspended", "account: active"),
        ("warned_by: first, ", ""),
        ("account: suspended, ", ""),
        ("unreachable: 7d", "unreachable: never"),
        ("collections: true", "collections: perhaps"),
        ("unpaid_invoices_at_least: 1", "unpaid_invoices: 1"),
        ("tags_none: [vip]", "tags_none: vip"),
        ("quiet_hours: {sms:", "quiet_hours: {fax:"),
        ("email: none", "email: never"),
        ("all: {7d: 7}", "any: {7d: 7}"),
        ("{7d: 7}", "{7: 7}"),
        ("{7d: 7}", "{7d: many}"),
        ("valid_from: 2026-05-01T00:00:00Z", "valid_from: 2026-05-01"),
        ("valid_from: 2026-05-01T00:00:00Z", "valid_from: tomorrow"),
        ("valid_from: 2026-05-01T00:00:00Z", "valid_from: 2026-05-01T00:00:00,5Z"),
        ("valid_from: 2026-05-01T00:00:00Z", "valid_from: 2026-05-01T00Z"),
    ],
)
def test_a_slip_is_underlined_where_the_parser_would_refuse_it(right: str, slip: str) -> None:
    assert FULL.count(right) >= 1
    text = FULL.replace(right, slip, 1)

    assert complaints(text) != []
    assert errors_of(text) - errors_of(FULL)


def test_a_policy_that_ignores_needs_no_ladder_and_all_others_do() -> None:
    assert complaints("id: p\nversion: 1\nignore: true\n") == []
    assert complaints("id: p\nversion: 1\nignore: false\n") != []
    assert complaints("id: p\nversion: 1\nladder: []\n") != []
