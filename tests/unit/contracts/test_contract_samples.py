"""Golden samples: what once was a valid event stays one. They are written by hand and never change."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it has no types

from dunning.contracts.decode import decode
from dunning.contracts.decode_output import decode_output
from dunning.contracts.decoded import Readable
from dunning.contracts.payments import PaymentFailedData, PaymentSucceededData
from dunning.contracts.signals import KINDS, model_of
from dunning.contracts.topics import EVENT_TOPICS, PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS, TOPICS

EVENTS = Path(__file__).parents[3] / "schemas" / "events"
SAMPLES = sorted(EVENTS.glob("*/samples/v1-*.json"))
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = {PAYMENT_FAILED: PaymentFailedData, PAYMENT_SUCCEEDED: PaymentSucceededData, SIGNALS: None}
NAMES_OF_A_NOTICE = ("notice_id", "invoice_id", "rung")  # optional, but some of them have to be there


def load(path: Path) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return sample


def message(sample: dict[str, Any]) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of a sample."""
    headers = [(name, text.encode()) for name, text in sample["headers"].items()]
    return sample["key"].encode(), json.dumps(sample["value"]).encode(), headers


def name_of(path: Path) -> str:
    return f"{path.parts[-3]}/{path.name}"


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_a_sample_is_read(path: Path) -> None:
    sample = load(path)
    key, value, headers = message(sample)

    if TOPICS[sample["topic"]].data is None or "payment" in TOPICS[sample["topic"]].written_by[0]:
        decoded = decode(sample["topic"], key, value, headers, NOW)
        assert isinstance(decoded, Readable), decoded
        assert decoded.input.account_id == sample["key"]
    else:
        assert decode_output(sample["topic"], value, headers).account_id == sample["key"]  # type: ignore[union-attr]


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_a_sample_is_valid_by_the_generated_schema(path: Path) -> None:
    sample = load(path)
    schema = json.loads((EVENTS / sample["topic"] / "v1.json").read_text(encoding="utf-8"))
    value = sample["value"]
    if "data_base64" in value:
        return
    data = value["data"] if "specversion" in value else value

    Draft202012Validator.check_schema(schema)
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(data)]
    assert errors == []


INPUTS = [path for path in SAMPLES if path.parts[-3] in MODELS and "structured" not in path.name]


@pytest.mark.parametrize("path", INPUTS, ids=name_of)
def test_an_optional_field_that_is_null_reads_as_one_that_is_left_out(path: Path) -> None:
    sample = load(path)
    fields = (MODELS[sample["topic"]] or model_of(sample["value"]["kind"])).model_fields
    optional = {name for name, field in fields.items() if not field.is_required() and name not in NAMES_OF_A_NOTICE}
    left_out = {name: value for name, value in sample["value"].items() if name not in optional}
    null = {**left_out, **dict.fromkeys(optional)}

    one, other = (decode(sample["topic"], *message({**sample, "value": value}), NOW) for value in (left_out, null))
    assert isinstance(one, Readable)
    assert one == other
    schema = json.loads((EVENTS / sample["topic"] / "v1.json").read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(null)] == []


@pytest.mark.parametrize("topic", [topic.name for topic in EVENT_TOPICS])
def test_the_schema_refuses_what_lacks_a_required_field(topic: str) -> None:
    schema = json.loads((EVENTS / topic / "v1.json").read_text(encoding="utf-8"))
    data = load(EVENTS / topic / "samples" / "v1-binary-minimal.json")["value"]

    assert not Draft202012Validator(schema).is_valid({name: data[name] for name in data if name != "account_id"})


def test_there_are_full_and_minimal_samples_of_every_topic_and_one_of_every_kind() -> None:
    names = {name_of(path) for path in SAMPLES}
    kinds = Counter(load(path)["value"].get("kind") for path in SAMPLES)

    for topic in EVENT_TOPICS:
        assert {f"{topic.name}/v1-binary-full.json", f"{topic.name}/v1-binary-minimal.json"} <= names
    assert [kind for kind in KINDS if kinds[kind] == 0] == []


def test_all_three_forms_of_the_full_failure_say_the_same() -> None:
    binary, structured, plain = (
        decode("payment.failed", *message(load(EVENTS / "payment.failed" / "samples" / f"v1-{form}-full.json")), NOW)
        for form in ("binary", "structured", "plain")
    )

    assert isinstance(binary, Readable)
    assert isinstance(plain, Readable)
    assert binary == structured
    assert binary.sightings[:1] == plain.sightings


def test_the_full_failure_says_what_it_always_said() -> None:
    key, value, headers = message(load(EVENTS / "payment.failed" / "samples" / "v1-binary-full.json"))
    decoded = decode("payment.failed", key, value, headers, NOW)

    assert isinstance(decoded, Readable)
    event: Any = decoded.input
    assert event.event_id == "evt_1"
    assert event.failed_at.isoformat() == "2026-03-02T10:00:00.250000+00:00"
    assert event.due_at.isoformat() == "2026-03-01T23:00:00+00:00"
    assert event.failure.decline_class == "soft"
    assert event.customer.name == "Zoë Müller"
    assert event.customer.postal_address == (
        '{"city":"Berlin","country":"DE","line1":"Hauptstra\\u00dfe 1","postal_code":"10115"}'
    )
    assert event.payment_method.fingerprint == "fp_1"
    assert event.merchant_id == "mer_1"
    assert event.value_minor == 58800
    assert event.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
