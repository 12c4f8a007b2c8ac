"""The same thing reported twice acts once, whatever form or id it came in (rule 1)."""

import base64
import json
from typing import Any

import pytest

from tests.wire import BOUNCED, FAILED, STRUCTURED, SUCCEEDED, attributes, envelope, failed, read

CASES = [("payment.failed", FAILED), ("payment.succeeded", SUCCEEDED), ("dunning.signals", BOUNCED)]


def business(topic: str, data: dict[str, Any]) -> tuple[int, int]:
    """Key and content of what the message is about."""
    sighting = read(topic, data).sightings[0]
    assert sighting.what == topic
    return sighting.key, sighting.content


@pytest.mark.parametrize(("topic", "data"), CASES)
def test_three_forms_of_one_event_are_one_thing(topic: str, data: dict[str, Any]) -> None:
    plain = read(topic, data)
    binary = read(topic, data, attributes(topic))
    structured = read(topic, envelope(topic, data), STRUCTURED)
    inside = base64.b64encode(json.dumps(data).encode()).decode()
    encoded = {"specversion": "1.0", "id": "evt_1", "source": "/platform", "type": f"{topic}.v1", "data_base64": inside}

    assert plain.sightings == binary.sightings[:1]
    assert binary == structured == read(topic, encoded, STRUCTURED)
    assert [sighting.what for sighting in binary.sightings] == [topic, "cloudevent"]


def test_an_envelope_without_headers_is_read_as_one() -> None:
    bare = read("payment.failed", envelope("payment.failed", FAILED))

    assert bare == read("payment.failed", FAILED, attributes("payment.failed"))


def test_the_id_of_an_event_that_has_none_comes_from_its_business_key() -> None:
    first = read("payment.failed", FAILED).input.event_id

    assert first == "941e927f-8ef9-5f20-b1e3-0bc6a6fc6686"
    assert read("payment.failed", failed(metadata={"sent": "again"})).input.event_id == first
    assert read("payment.failed", failed(attempt_number=2)).input.event_id != first
    assert read("payment.failed", FAILED, attributes("payment.failed", "evt_7")).input.event_id == "evt_7"


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": "acc_2"},
        {"invoice": {"id": "in_2", "amount_due_minor": 4900}},
        {"payment_id": "pay_2"},
        {"attempt_number": 2},
        {"retry_id": "r_1"},
    ],
)
def test_another_part_of_the_key_is_another_failure(changes: dict[str, Any]) -> None:
    assert business("payment.failed", failed(**changes))[0] != business("payment.failed", FAILED)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"invoice": {"id": "in_1", "amount_due_minor": 4901}},
        {"amount_minor": 4901},
        {"currency": "USD"},
        {"failed_at": "2026-03-02T10:00:01Z"},
        {"failure": {"code": "do_not_honor"}},
    ],
)
def test_a_failure_with_another_required_field_is_the_same_with_another_content(changes: dict[str, Any]) -> None:
    key, content = business("payment.failed", failed(**changes))

    assert key == business("payment.failed", FAILED)[0]
    assert content != business("payment.failed", FAILED)[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"failed_at": "2026-03-02T11:00:00+01:00"},
        {"failed_at": "2026-03-02T10:00:00.000Z"},
        {"retry_id": None},
        {"segment": "enterprise"},
        {"customer": {"email": "ada@example.com"}},
        {"a_later_field": 1},
    ],
)
def test_another_way_to_write_a_failure_changes_nothing(changes: dict[str, Any]) -> None:
    assert business("payment.failed", failed(**changes)) == business("payment.failed", FAILED)


@pytest.mark.parametrize(
    "changes",
    [
        {"succeeded_at": "2026-03-02T11:00:01Z"},
        {"amount_minor": 4901},
        {"invoice": {"id": "in_1", "amount_remaining_minor": 1}},
        {"payment_id": "pay_2"},
    ],
)
def test_another_part_of_the_key_is_another_success(changes: dict[str, Any]) -> None:
    key, content = business("payment.succeeded", SUCCEEDED)
    other_key, other_content = business("payment.succeeded", {**SUCCEEDED, **changes})

    assert other_key != key
    assert other_content != content


def test_a_success_in_another_currency_is_the_same_with_another_content() -> None:
    key, content = business("payment.succeeded", SUCCEEDED)

    assert business("payment.succeeded", {**SUCCEEDED, "currency": "USD"})[0] == key
    assert business("payment.succeeded", {**SUCCEEDED, "currency": "USD"})[1] != content


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(BOUNCED.items())),
        {**BOUNCED, "at": "2026-03-02T12:00:00+01:00"},
        {**BOUNCED, "until": None},
    ],
)
def test_a_signal_is_the_same_in_another_writing(same: dict[str, Any]) -> None:
    assert business("dunning.signals", same) == business("dunning.signals", BOUNCED)


@pytest.mark.parametrize("changes", [{"channel": "sms"}, {"permanent": True}, {"a_later_field": 1}, {"rung": "x"}])
def test_a_signal_with_any_other_data_is_another_signal(changes: dict[str, Any]) -> None:
    assert business("dunning.signals", {**BOUNCED, **changes})[0] != business("dunning.signals", BOUNCED)[0]


def test_a_whole_number_is_the_same_as_a_float_and_as_an_integer() -> None:
    whole = business("dunning.signals", {**BOUNCED, "weight": 2})

    assert business("dunning.signals", {**BOUNCED, "weight": 2.0}) == whole


def test_an_event_id_belongs_to_its_source() -> None:
    here = read("payment.failed", FAILED, attributes("payment.failed", source="/here")).sightings[1]
    there = read("payment.failed", FAILED, attributes("payment.failed", source="/there")).sightings[1]

    assert here.key != there.key
    assert here.content == there.content


def test_an_event_id_used_for_two_things_has_two_contents() -> None:
    first = read("payment.failed", FAILED, attributes("payment.failed")).sightings[1]
    second = read("payment.failed", failed(payment_id="pay_2"), attributes("payment.failed")).sightings[1]

    assert first.key == second.key
    assert first.content != second.content


def test_hashes_are_signed_64_bit_numbers_and_never_change() -> None:
    sighting = read("payment.failed", FAILED).sightings[0]

    assert (sighting.key, sighting.content) == (9089541246040196254, 3748331155319388508)


def test_the_trace_of_an_event_is_carried_on_and_nonsense_dropped() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    assert read("payment.failed", FAILED, attributes("payment.failed", traceparent=trace)).input.traceparent == trace  # type: ignore[union-attr]
    assert read("payment.failed", FAILED, [("traceparent", trace.encode())]).input.traceparent == trace  # type: ignore[union-attr]
    assert read("payment.failed", FAILED, [("traceparent", b"00-zz")]).input.traceparent is None  # type: ignore[union-attr]
