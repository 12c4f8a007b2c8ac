"""No card number ever (rule 6): what is one, where it is looked for, and how it is masked."""

import base64
import json
import time
from typing import Any

import pytest

from dunning.contracts.card_guard import card_numbers, looks_clean
from dunning.contracts.masking import mask, mask_text
from tests.wire import FAILED, STRUCTURED, attributes, failed, read, refused

CARD = "4111111111111111"

CARDS: list[tuple[str, dict[str, Any], bytes]] = [
    ("digits alone", {"x": CARD}, b'{"x": "************1111"}'),
    ("groups with spaces", {"x": "4111 1111 1111 1111"}, b'{"x": "**** **** **** 1111"}'),
    ("groups with dashes", {"x": "4111-1111-1111-1111"}, b'{"x": "****-****-****-1111"}'),
    ("several spaces", {"x": "4111  1111 - 1111  1111"}, b'{"x": "****  **** - ****  1111"}'),
    ("every digit apart", {"x": " ".join(CARD)}, b'{"x": "* * * * * * * * * * * * 1 1 1 1"}'),
    ("an integer", {"x": 4111111111111111}, b'{"x": ************1111}'),
    ("a negative integer", {"x": -4111111111111111}, b'{"x": -************1111}'),
    ("in a sentence", {"x": f"card {CARD}, declined."}, b'{"x": "card ************1111, declined."}'),
    ("in quotes and brackets", {"x": f"({CARD})"}, b'{"x": "(************1111)"}'),
    ("before its check code", {"x": "4111 1111 1111 1111 123"}, b'{"x": "**** **** **** 1111 123"}'),
    ("behind a date", {"x": f"2026-03-02 {CARD}"}, b'{"x": "2026-03-02 ************1111"}'),
    ("behind a line break", {"x": f"card\n{CARD}"}, b'{"x": "card\\n************1111"}'),
    ("behind an escaped bullet", {"x": f"\u2022{CARD}"}, b'{"x": "\\u2022************1111"}'),
    ("no-break spaces", {"x": "4111\u00a01111\u00a01111\u00a01111"}, b'{"x": "****\\u00a0****\\u00a0****\\u00a01111"}'),
    ("13 digits", {"x": "4222222222222"}, b'{"x": "*********2222"}'),
    ("15 digits", {"x": "378282246310005"}, b'{"x": "***********0005"}'),
    ("19 digits", {"x": "6304000000000000000"}, b'{"x": "***************0000"}'),
    ("a 2-series", {"x": "2223003122003222"}, b'{"x": "************3222"}'),
    ("in metadata, deep", {"metadata": {"a": [{"b": [CARD]}]}}, b'{"metadata": {"a": [{"b": ["************1111"]}]}}'),
    ("as a name", {CARD: 1}, b'{"************1111": 1}'),
    ("in an object under a name that is left out", {"id": {"x": CARD}}, b'{"id": {"x": "************1111"}}'),
    ("a text under a money name", {"x_minor": CARD}, b'{"x_minor": "************1111"}'),
    ("a link in a sentence", {"x": f"see http://e.com {CARD}"}, b'{"x": "see http://e.com ************1111"}'),
    ("two of them", {"x": CARD, "y": "5555555555554444"}, b'{"x": "************1111", "y": "************4444"}'),
    ("JSON in JSON", {"x": json.dumps({"pan": CARD})}, b'{"x": "{\\"pan\\": \\"************1111\\"}"}'),
]


@pytest.mark.parametrize(("what", "body", "masked"), CARDS, ids=[what for what, _, _ in CARDS])
def test_a_card_number_is_found_and_masked_but_for_its_last_four_digits(
    what: str, body: dict[str, Any], masked: bytes
) -> None:
    raw = json.dumps(body).encode()

    assert not looks_clean(raw)
    assert mask(raw, card_numbers(raw)) == masked


NO_CARDS: list[tuple[str, dict[str, Any]]] = [
    ("fails the Luhn check", {"x": "4111111111111112"}),
    ("12 digits", {"x": "424242424242"}),
    ("20 digits", {"x": "41111111111111111111"}),
    ("starts with 1", {"x": "1111111111111117"}),
    ("starts with 7", {"x": "7111111111111118"}),
    ("a time in milliseconds", {"x": 1772445600000}),
    ("a time in nanoseconds", {"x": 1772445600000000000}),
    ("inside a longer word", {"x": f"ord{CARD}x"}),
    ("behind a letter", {"x": f"x{CARD}"}),
    ("behind an umlaut", {"x": f"ü{CARD}"}),
    ("before an underscore", {"x": f"{CARD}_1"}),
    ("digits with commas", {"x": "4111,1111,1111,1111"}),
    ("a UUID of digits", {"x": "45555555-5555-4444-8555-555555555550"}),
    ("a UUID", {"x": "4f1111ee-4111-4111-8111-411111111111"}),
    ("a time", {"x": "2026-03-02T10:00:00.123456Z"}),
    ("an amount", {"amount_minor": 4111111111111111}),
    ("an amount due", {"invoice": {"amount_due_minor": 4111111111111111}}),
    ("an id", {"id": CARD}),
    ("an id as a number", {"payment_id": 4111111111111111}),
    ("an id of one's own", {"metadata": {"order_id": CARD}}),
    ("ids in a list", {"line_id": [CARD, CARD]}),
    ("a number", {"number": CARD}),
    ("a fingerprint", {"fingerprint": CARD}),
    ("a phone number", {"phone": "+4111111111111111"}),
    ("last4", {"last4": CARD}),
    ("a link", {"x": f"https://pay.example.com/{CARD}"}),
    ("a plain link", {"x": f"http://pay.example.com/{CARD}"}),
    ("a link by its name", {"update_payment_url": f"pay.example.com/{CARD}"}),
    ("a float", {"x": 0.4111111111111111}),
    ("true", {"x": True}),
]


@pytest.mark.parametrize(("what", "body"), NO_CARDS, ids=[what for what, _ in NO_CARDS])
def test_what_only_looks_like_a_card_number_is_left_alone(what: str, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()

    assert card_numbers(raw) == frozenset()
    assert mask(raw, card_numbers(raw)) is None


def test_a_card_number_makes_a_dead_letter_of_an_event_that_is_right_otherwise() -> None:
    letter = refused("payment.failed", failed(metadata={"note": f"paid with {CARD}"}))

    assert letter.reason == "card_number"
    assert letter.masked_body is not None
    assert b"paid with ************1111" in letter.masked_body
    assert b'"amount_due_minor": 4900' in letter.masked_body


def test_the_sender_of_an_amount_or_a_phone_that_could_be_a_card_is_heard() -> None:
    body = failed(amount_minor=4111111111111111, customer={"phone": "+4111111111111111"}, payment_id=CARD)

    assert read("payment.failed", body).input.amount_minor == 4111111111111111  # type: ignore[union-attr]


def test_only_the_card_is_masked_where_an_id_could_be_one_too() -> None:
    body = failed(payment_id="5555555555554444", metadata={"note": CARD})

    letter = refused("payment.failed", body)

    assert letter.masked_body is not None
    assert b"5555555555554444" in letter.masked_body
    assert CARD.encode() not in letter.masked_body


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        (b'{"note": "4111 1111 1111 1111"', b'{"note": "**** **** **** 1111"'),
        (b"note=4111111111111111", b"note=************1111"),
        (b'{"phone": "4111111111111111"', b'{"phone": "************1111"'),
        (b'{"a": "\\u0034111111111111111"', b'{"a": "************1111"'),
        (b'{"a": "\\n4111111111111111"', b'{"a": "\\n************1111"'),
        (b"\xff\xfe 4111111111111111 ord4111111111111111", b"\xff\xfe ************1111 ord4111111111111111"),
    ],
)
def test_a_broken_body_is_masked_as_well(body: bytes, masked: bytes) -> None:
    letter = refused("payment.failed", body)

    assert letter.reason in ("invalid_json", "bad_utf8")
    assert letter.masked_body == masked


def test_a_body_in_utf16_is_masked_as_well() -> None:
    letter = refused("payment.failed", f"card {CARD}".encode("utf-16-le"))

    assert letter.masked_body == "card ************1111".encode("utf-16-le")


def test_an_escaped_digit_hides_nothing() -> None:
    letter = refused(
        "payment.failed", json.dumps(failed(metadata={"n": "#"})).encode().replace(b"#", b"\\u0034111111111111111")
    )

    assert letter.reason == "card_number"
    assert letter.masked_body is not None
    assert b'"n": "************1111"' in letter.masked_body


def test_a_duplicate_name_hides_nothing() -> None:
    body = json.dumps(FAILED).encode()[:-1] + b', "note": "4111111111111111", "note": "x"}'

    assert refused("payment.failed", body).reason == "card_number"


def test_a_wrong_field_does_not_distract_from_a_card_number() -> None:
    letter = refused("payment.failed", failed(currency="EUX", metadata={"note": CARD}))

    assert letter.reason == "card_number"
    assert CARD.encode() not in (letter.masked_body or b"")


def test_base64_hides_nothing() -> None:
    inside = base64.b64encode(json.dumps(failed(metadata={"note": CARD})).encode()).decode()
    body = json.dumps(
        {"specversion": "1.0", "id": "e", "source": "/s", "type": "payment.failed.v1", "data_base64": inside}
    ).encode()

    letter = refused("payment.failed", body, STRUCTURED)

    assert letter.reason == "card_number"
    assert letter.masked_body is not None
    data = base64.b64decode(json.loads(letter.masked_body)["data_base64"])
    assert json.loads(data)["metadata"] == {"note": "************1111"}


def test_a_card_number_in_an_event_that_is_not_ours_is_not_our_business() -> None:
    from dunning.contracts.decode import decode
    from dunning.contracts.decoded import PassedOver
    from tests.wire import NOW

    headers = attributes("payment.failed", type="com.example.charge")

    assert isinstance(decode("payment.failed", None, json.dumps({"x": CARD}).encode(), headers, NOW), PassedOver)


def test_a_text_for_a_log_is_masked() -> None:
    assert mask_text("see 4111 1111 1111 1111 and 5555555555554444") == "see **** **** **** 1111 and ************4444"
    assert mask_text("see in_1") == "see in_1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": "' + b"4 " * 125_000 + b'"}',
        b'{"x": "' + b"4" * 250_000 + b'"}',
        b'{"x": "' + b"40000000000001 " * 16_000 + b'"}',
        b"4-" * 125_000,
        b"1" + b" " * 250_000 + b"1",
        (b"1 " * 12 + b" " * 100) * 2_000,
        b"\\u0034" * 42_000,
        b'"a_' * 82_000,
    ],
)
def test_a_quarter_of_a_megabyte_made_to_be_slow_takes_a_moment(body: bytes) -> None:
    began = time.process_time()
    refused("payment.failed", body)

    assert time.process_time() - began < 4
