"""What histories are made of, and what they could be made of, so that nothing new is forgotten."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.model.generate import Scenario
from tests.model.history import Data

SCHEMAS = Path(__file__).parents[2] / "schemas"


def policy_keys() -> set[str]:
    """Every key of the policy file, by the schema that editors use: `retries.window`, `ladder.notice.fallback`."""
    schema = json.loads((SCHEMAS / "policy.schema.json").read_text())
    return set(_keys(schema, schema["definitions"], ""))


def _keys(part: Any, definitions: Data, before: str) -> Iterable[str]:
    for name, inner in part.get("properties", {}).items():
        if name in part.get("required", []) or part.get("additionalProperties") is False:
            yield before + name
            yield from _keys(inner, definitions, f"{before}{name}.")
    for inner in (*part.get("allOf", []), *part.get("anyOf", []), *part.get("oneOf", [])):
        yield from _keys(inner, definitions, before)
    for inner in (part.get("items"), part.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _keys(inner, definitions, before)
    if "$ref" in part:
        yield from _keys(definitions[part["$ref"].rsplit("/", 1)[1]], definitions, before)


def event_fields(topic: str) -> set[str]:
    """Every field of an input topic's data: `customer.email`."""
    schema = json.loads((SCHEMAS / "events" / topic / "v1.json").read_text())
    return {
        f"{name}.{inner}" if inner else name
        for name, part in schema["properties"].items()
        for inner in _fields_of(part, schema["$defs"]) or [""]
    }


def _fields_of(part: Data, definitions: Data) -> list[str]:
    refs = [one["$ref"] for one in (part, *part.get("anyOf", []), *part.get("allOf", [])) if "$ref" in one]
    return [name for ref in refs for name in definitions[ref.rsplit("/", 1)[1]].get("properties", {})]


def signal_kinds() -> set[str]:
    """Every kind of signal that the contracts name."""
    schema = json.loads((SCHEMAS / "events" / "dunning.signals" / "v1.json").read_text())
    kinds = (part.get("properties", {}).get("kind", {}) for part in schema["$defs"].values())
    return {kind["const"] for kind in kinds if "const" in kind}


def signal_fields() -> set[str]:
    """`case.paused until`: every field of every kind."""
    schema = json.loads((SCHEMAS / "events" / "dunning.signals" / "v1.json").read_text())
    return {
        f"{part['properties']['kind']['const']} {name}"
        for part in schema["$defs"].values()
        if "const" in part.get("properties", {}).get("kind", {})
        for name in part["properties"]
        if name not in ("kind", "account_id", "at")
    }


def counted(scenarios: Iterable[Scenario]) -> Counter[str]:
    """How often each of these is in some histories."""
    found: Counter[str] = Counter()
    for scenario in scenarios:
        for policy in scenario.policies:
            found.update(f"policy {key}" for key in set(_paths(policy, "")))
        for line in scenario.lines:
            data, topic = line["data"], line["topic"]
            if topic == "dunning.signals":
                found[f"signal {data['kind']}"] += 1
                found.update(f"field {data['kind']} {name}" for name in data)
            else:
                found.update(f"{topic} {name}" for name in _event_paths(data))
    return found


def _paths(value: Any, before: str) -> Iterable[str]:
    """Conditions are told by rung, amounts by currency and caps by window: names of the policy's own."""
    if isinstance(value, list):
        for inner in value:
            yield from _paths(inner, before)
    elif isinstance(value, dict) and not before.startswith(("match.min_amount.", "conditions.balance_at_least.")):
        for name, inner in value.items():
            is_rung = before == "conditions." and isinstance(inner, dict) and name not in ("balance_at_least",)
            path = before if is_rung else f"{before}{name}."
            if not is_rung:
                yield path[:-1]
            if not path.startswith("contact.caps.") or path == "contact.caps.":
                yield from _paths(inner, path)


def _event_paths(data: Data) -> Iterable[str]:
    for name, value in data.items():
        if isinstance(value, dict) and name != "metadata":
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name
