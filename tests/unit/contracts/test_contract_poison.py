"""Whatever a sender writes becomes a dead letter with the reason that helps him, and nothing worse."""

import json
import time
from typing import Any

import pytest

from dunning.contracts.decode import decode
from dunning.contracts.decoded import PassedOver, Unreadable
from tests.wire import FAILED, NOW, attributes, envelope, failed, plain, read, refused

GOOD = json.dumps(FAILED).encode()


def with_raw(field: str, raw: bytes) -> bytes:
    """The good body with one member more (or once more), written by hand."""
    return GOOD[:-1] + b', "' + field.encode() + b'": ' + raw + b"}"


POISON: list[tuple[str, bytes | None, str]] = [
    ("nothing at all", b"", "invalid_json"),
    ("no value", None, "null_value"),
    ("half a body", GOOD[:80], "invalid_json"),
    ("two bodies", GOOD + GOOD, "invalid_json"),
    ("XML", b"<payment/>", "invalid_json"),
    ("a scalar text", b'"payment"', "wrong_type"),
    ("a scalar number", b"5", "wrong_type"),
    ("null", b"null", "wrong_type"),
    ("true", b"true", "wrong_type"),
    ("a list", b"[" + GOOD + b"]", "wrong_type"),
    ("an empty object", b"{}", "missing_field"),
    ("bad UTF-8 in a text", GOOD.replace(b"pay_1", b"pay_\xff"), "bad_utf8"),
    ("bad UTF-8 outside a text", b"\xff" + GOOD, "bad_utf8"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "bad_utf8"),
    ("UTF-16 without a mark", GOOD.decode().encode("utf-16-le"), "invalid_json"),
    ("a lone surrogate", GOOD.replace(b"pay_1", b"pay_\\ud800"), "invalid_json"),
    ("a control character", GOOD.replace(b"pay_1", b"pay\x01_1"), "invalid_json"),
    ("nesting of 10 000", b"[" * 10_000 + b"]" * 10_000, "too_deep"),
    ("nesting of 10 000 that never ends", b'{"a":' * 10_000, "too_deep"),
    ("nesting of 10 000 in an unknown field", with_raw("x", b"[" * 10_000 + b"]" * 10_000), "too_deep"),
    ("nesting of 10 000 in metadata", with_raw("metadata", b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "too_deep"),
    ("NaN", with_raw("amount_minor", b"NaN"), "not_a_number"),
    ("Infinity in an unknown field", with_raw("x", b"-Infinity"), "not_a_number"),
    ("an integer of 5 000 digits", with_raw("amount_minor", b"9" * 5000), "invalid_json"),
    ("a body over the limit", b" " * (1024 * 1024 + 1), "too_large"),
    ("a million brackets", b"[" * 1_000_000, "too_deep"),
    ("a million quotes", b'"' * 1_000_000, "invalid_json"),
    ("a million backslashes", b"\\" * 1_000_000, "invalid_json"),
]


@pytest.mark.parametrize(("what", "body", "reason"), POISON, ids=[what for what, _, _ in POISON])
@pytest.mark.parametrize("topic", ["payment.failed", "payment.succeeded", "dunning.signals", "dunning.stage.changed"])
def test_a_poisoned_body_is_set_aside_quickly_with_its_reason(
    topic: str, what: str, body: bytes | None, reason: str
) -> None:
    began = time.process_time()
    decoded = plain(topic, body)

    assert isinstance(decoded, Unreadable)
    assert decoded.reason == reason
    assert decoded.masked_body is None
    assert time.process_time() - began < 2


WRONG_FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("a missing payment id", {"payment_id": None}, "wrong_type"),
    ("an id that is a number", {"account_id": 17}, "wrong_type"),
    ("an empty id", {"account_id": ""}, "bad_text"),
    ("an id of 201 characters", {"payment_id": "p" * 201}, "bad_text"),
    ("an id with a line break", {"payment_id": "pay\n1"}, "bad_text"),
    ("an id with NUL", {"payment_id": "pay\x001"}, "bad_text"),
    ("an amount in a text", {"amount_minor": "4900"}, "wrong_type"),
    ("an amount that is a float", {"amount_minor": 4900.0}, "wrong_type"),
    ("an amount that is a bool", {"amount_minor": True}, "wrong_type"),
    ("an amount below zero", {"amount_minor": -1}, "negative_amount"),
    ("an amount due below zero", {"invoice": {"id": "in_1", "amount_due_minor": -4900}}, "negative_amount"),
    ("an amount beyond 64 bits", {"amount_minor": 2**63}, "out_of_range"),
    ("an amount of 4 000 digits", {"amount_minor": 10**3999}, "out_of_range"),
    ("attempt number 0", {"attempt_number": 0}, "out_of_range"),
    ("a currency that does not exist", {"currency": "EUX"}, "unknown_currency"),
    ("a currency in lower case", {"currency": "eur"}, "unknown_currency"),
    ("a currency that was replaced", {"currency": "DEM"}, "unknown_currency"),
    ("no currency, by its code", {"currency": "XXX"}, "unknown_currency"),
    ("gold", {"currency": "XAU"}, "unknown_currency"),
    ("a time without an offset", {"failed_at": "2026-03-02T10:00:00"}, "bad_time"),
    ("a date", {"failed_at": "2026-03-02"}, "bad_time"),
    ("a day that does not exist", {"failed_at": "2026-02-30T10:00:00Z"}, "bad_time"),
    ("hour 24", {"failed_at": "2026-03-02T24:00:00Z"}, "bad_time"),
    ("seconds since 1970", {"failed_at": 1772445600}, "wrong_type"),
    ("seconds since 1970 in a text", {"failed_at": "1772445600"}, "bad_time"),
    ("a time before 1970", {"failed_at": "1969-12-31T23:59:59Z"}, "bad_time"),
    (
        "a due date after 2199",
        {"invoice": {"id": "i", "amount_due_minor": 1, "due_at": "2200-01-01T00:00:00Z"}},
        "bad_time",
    ),
    ("the first year, east of Greenwich", {"failed_at": "0001-01-01T00:00:00+14:00"}, "bad_time"),
    ("more than an hour ahead", {"failed_at": "2026-03-02T13:00:01Z"}, "future_time"),
    ("an invoice that is a text", {"invoice": "in_1"}, "wrong_type"),
    ("an invoice without its amount", {"invoice": {"id": "in_1"}}, "missing_field"),
    ("a failure without its code", {"failure": {}}, "missing_field"),
    ("an email that is an object", {"customer": {"email": {}}}, "wrong_type"),
    ("an email with a line break", {"customer": {"email": "a@example.com\r\nBcc: b@example.com"}}, "bad_text"),
    ("a whole card in last4", {"payment_method": {"last4": "4242424242424242"}}, "bad_text"),
    ("month 13", {"payment_method": {"exp_month": 13}}, "out_of_range"),
    ("metadata that is a list", {"metadata": [1]}, "wrong_type"),
    ("metadata of 101 entries", {"metadata": {str(n): n for n in range(101)}}, "out_of_range"),
    ("an address of numbers", {"customer": {"postal_address": [1, 2]}}, "wrong_type"),
    ("an address of 5 000 characters", {"customer": {"postal_address": {"a": "b" * 5000}}}, "out_of_range"),
]


@pytest.mark.parametrize(("what", "changes", "reason"), WRONG_FIELDS, ids=[what for what, _, _ in WRONG_FIELDS])
def test_a_wrong_field_is_named_in_the_reason_of_the_dead_letter(
    what: str, changes: dict[str, Any], reason: str
) -> None:
    assert refused("payment.failed", failed(**changes)).reason == reason
    assert refused("payment.failed", failed(**changes), attributes("payment.failed")).reason == reason
    structured = envelope("payment.failed", failed(**changes))
    assert refused("payment.failed", structured, [("content-type", b"application/cloudevents+json")]).reason == reason


@pytest.mark.parametrize("field", ["payment_id", "attempt_number", "account_id", "invoice", "amount_minor", "currency"])
def test_a_missing_field_is_named(field: str) -> None:
    body = {name: value for name, value in FAILED.items() if name != field}

    assert refused("payment.failed", body).reason == "missing_field"
    assert refused("payment.failed", body).detail == f"{field}: Field required"


def test_the_detail_never_repeats_what_was_found() -> None:
    secret = refused("payment.failed", failed(currency="hunter2", amount_minor="hunter2", failed_at="hunter2"))

    assert "hunter2" not in secret.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"failed_at": "2026-03-02T13:00:00Z"},
        {"failed_at": "2026-03-02t10:00:00z"},
        {"failed_at": "2026-03-02 11:00:00+01:00"},
        {"failed_at": "2026-03-02T10:00:00.123456789Z"},
        {"failed_at": "2026-02-28T23:59:60Z"},
        {"amount_minor": 0},
        {"amount_minor": 2**63 - 1},
        {"currency": "JPY"},
        {"currency": "XCG"},
        {"payment_id": "p" * 200},
        {"payment_id": "payment é 1"},
        {"customer": None},
        {"livemode": None},
        {"customer": {"email": "", "postal_address": "Hauptstraße 1\n10115 Berlin"}},
        {"failure": {"code": "x", "class": "brand_new"}},
        {"initiated_by": "a_robot"},
        {"something_new": {"deep": [1, 2, {"x": None}]}},
        {"metadata": {"note": "NaN and Infinity are words here"}},
    ],
)
def test_what_is_odd_but_allowed_is_read(changes: dict[str, Any]) -> None:
    read("payment.failed", failed(**changes))


@pytest.mark.parametrize("nothing", ["", " ", "\n", {}, {"line1": "", "city": None}, {"lines": ["", " "]}, [], [" "]])
def test_an_address_in_which_nothing_is_said_is_none(nothing: Any) -> None:
    """Else a letter to nobody would count as delivered, and as a warning."""
    event: Any = read("payment.failed", failed(customer={"email": " ", "phone": "", "postal_address": nothing})).input
    customer = event.customer

    assert (customer.email, customer.phone, customer.postal_address) == ("", "", "")


def test_an_address_as_a_list_of_lines_is_the_same_as_one_text() -> None:
    in_lines = {"customer": {"postal_address": ["Hauptstraße 1", "10115 Berlin"]}}
    in_a_text = {"customer": {"postal_address": "Hauptstraße 1\n10115 Berlin"}}

    assert read("payment.failed", failed(**in_lines)).input == read("payment.failed", failed(**in_a_text)).input


def test_an_unknown_enum_value_reads_as_other() -> None:
    event = read("payment.failed", failed(failure={"code": "x", "class": "brand_new"}, initiated_by="a_robot")).input

    assert event.failure.decline_class == "other"  # type: ignore[union-attr]
    assert event.initiated_by == "other"  # type: ignore[union-attr]


def test_a_body_of_exactly_the_limit_is_read() -> None:
    body = GOOD + b" " * (1024 * 1024 - len(GOOD))

    assert read("payment.failed", body).input.account_id == "acc_1"


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    assert read("payment.failed", b"\xef\xbb\xbf" + GOOD) == read("payment.failed", GOOD)


def test_of_duplicate_names_the_last_one_counts() -> None:
    assert read("payment.failed", with_raw("amount_minor", b"17")).input.amount_minor == 17  # type: ignore[union-attr]


def test_a_time_is_kept_in_utc_to_the_microsecond() -> None:
    event = read("payment.failed", failed(failed_at="2026-03-02T12:30:00.123456789+02:30")).input

    assert event.failed_at.isoformat() == "2026-03-02T10:00:00.123456+00:00"  # type: ignore[union-attr]


ENVELOPES = [
    ("a future version", {"type": "payment.failed.v2"}, "future_version"),
    ("a far future version", {"type": "dunning.account.status.v17"}, "future_version"),
    ("ours on a wrong topic", {"type": "payment.succeeded.v1"}, "wrong_topic"),
    ("an older specification", {"specversion": "0.3"}, "bad_envelope"),
    ("no id", {"id": ""}, "bad_envelope"),
    ("an id of 201 characters", {"id": "e" * 201}, "bad_envelope"),
    ("a source with a line break", {"source": "/a\nb"}, "bad_envelope"),
]


@pytest.mark.parametrize(("what", "changes", "reason"), ENVELOPES, ids=[what for what, _, _ in ENVELOPES])
def test_a_wrong_envelope_is_a_dead_letter_in_both_modes(what: str, changes: dict[str, str], reason: str) -> None:
    headers = attributes("payment.failed", **{name: text for name, text in changes.items() if name != "id"})
    headers = [
        (name, changes["id"].encode()) if name == "ce_id" and "id" in changes else (name, text)
        for name, text in headers
    ]
    structured = {**json.loads(envelope("payment.failed", FAILED)), **changes}

    assert refused("payment.failed", GOOD, headers).reason == reason
    assert refused("payment.failed", structured, [("content-type", b"application/cloudevents+json")]).reason == reason


@pytest.mark.parametrize(
    "event_type", ["com.example.order.created", "payment.refunded.v1", "payment.failed.v0", "v1", "."]
)
def test_a_type_that_is_not_ours_is_passed_over_whatever_its_body(event_type: str) -> None:
    headers = attributes("payment.failed", type=event_type)

    assert decode("payment.failed", b"k", b"not even JSON", headers, NOW) == PassedOver("type_not_ours")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content_type", "reason"),
    [
        (b"application/avro", "unsupported_content_type"),
        (b"application/json; charset=iso-8859-1", "unsupported_content_type"),
        (b"application/cloudevents+avro", "unsupported_content_type"),
        (b"application/cloudevents-batch+json", "unsupported_content_type"),
    ],
)
def test_another_content_type_is_a_dead_letter(content_type: bytes, reason: str) -> None:
    assert refused("payment.failed", GOOD, [("content-type", content_type)]).reason == reason


@pytest.mark.parametrize(
    "content_type", [b"application/json", b'Application/JSON; Charset="UTF-8"', b"application/vnd.example+json", b""]
)
def test_every_way_to_say_json_is_json(content_type: bytes) -> None:
    read("payment.failed", GOOD, [("Content-Type", content_type)])


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"specversion":"1.0","id":"e","source":"/s","type":"payment.failed.v1"}',
        b'{"specversion":"1.0","id":"e","source":"/s","type":"payment.failed.v1","data":{},"data_base64":"e30="}',
        b'{"specversion":"1.0","id":"e","source":"/s","type":"payment.failed.v1","data_base64":"%%%"}',
        b'{"specversion":"1.0","id":"e","source":"/s","type":"payment.failed.v1","data_base64":5}',
        b'{"specversion":1.0,"id":"e","source":"/s","type":"payment.failed.v1","data":{}}',
        b'{"id":"e","source":"/s","type":"payment.failed.v1","data":{}}',
    ],
)
def test_a_structured_event_that_is_none_is_a_bad_envelope(body: bytes) -> None:
    assert refused("payment.failed", body, [("content-type", b"application/cloudevents+json")]).reason == "bad_envelope"


def test_headers_may_be_null_repeated_or_no_text() -> None:
    headers = [("ce_id", None), ("trace", b"\xff\xfe"), ("trace", b"1")]

    assert read("payment.failed", GOOD, headers) == read("payment.failed", GOOD)
    assert refused("payment.failed", GOOD, [("ce_type", b"\xff")]).reason == "bad_envelope"


def test_a_message_key_that_is_missing_or_not_the_account_is_noted() -> None:
    assert plain("payment.failed", FAILED, key=b"acc_1").noted == ()  # type: ignore[union-attr]
    assert plain("payment.failed", FAILED, key=b"acc_2").noted == ("key_mismatch",)  # type: ignore[union-attr]
    assert plain("payment.failed", FAILED, key=None).noted == ("key_mismatch",)  # type: ignore[union-attr]
    assert plain("payment.failed", FAILED, key=b"\xff").noted == ("key_mismatch",)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content_type", "body"), [(b"application/protobuf", b"\x08\x01"), (b"application/json", None)]
)
def test_a_type_that_is_not_ours_is_passed_over_whatever_its_form(content_type: bytes, body: bytes | None) -> None:
    headers = [*attributes("com.example.order")[1:], ("content-type", content_type)]

    assert decode("payment.failed", b"k", body, headers, NOW) == PassedOver("type_not_ours")  # type: ignore[arg-type]


def test_a_topic_that_no_service_reads_is_passed_over() -> None:
    assert plain("dunning.account.status", b"{}") == PassedOver("topic_not_ours")  # type: ignore[arg-type]
    assert plain("orders", None) == PassedOver("topic_not_ours")  # type: ignore[arg-type]


def test_a_prefix_may_be_left_on_the_topic() -> None:
    decoded = decode("staging.payment.failed", b"acc_1", GOOD, (), NOW, prefix="staging.")

    assert decoded == read("payment.failed", GOOD)
