"""Reading never raises, stays within its bounds, and gives the same answer twice, whatever bytes come."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dunning.contracts.card_guard import card_numbers, looks_clean
from dunning.contracts.decode import decode
from dunning.contracts.decoded import PassedOver, Readable, Unreadable, UnreadableReason
from dunning.contracts.luhn import luhn_windows, passes_luhn
from dunning.contracts.masking import mask
from tests.wire import BOUNCED, FAILED, NOW, STRUCTURED, SUCCEEDED, attributes, envelope

TOPICS = st.sampled_from(
    ["payment.failed", "payment.succeeded", "dunning.signals", "dunning.stage.changed", "dunning.notice.result", "x"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
HEADER_NAMES = st.sampled_from(
    ["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "traceparent"]
)
HEADER_TEXTS = st.sampled_from([b"1.0", b"application/cloudevents+json", b"payment.failed.v1", b"payment.failed.v2"])
HEADERS = st.lists(st.tuples(HEADER_NAMES, st.none() | st.binary(max_size=20) | HEADER_TEXTS), max_size=8)
CARDLIKE = st.text(alphabet='0123456789 -x\u00a0\\n"{}:_', max_size=60)
FIELDS = st.sampled_from(["x", "id", "phone", "note", "amount_minor", "a_url"])
GOOD = st.sampled_from([("payment.failed", FAILED), ("payment.succeeded", SUCCEEDED), ("dunning.signals", BOUNCED)])


def assert_within_bounds(decoded: object) -> None:
    match decoded:
        case Readable():
            assert 1 <= len(decoded.sightings) <= 2
            assert all(-(2**63) <= number < 2**63 for s in decoded.sightings for number in (s.key, s.content))
            assert 1 <= len(decoded.input.account_id) <= 200
            assert 1 <= len(decoded.input.event_id) <= 200
        case Unreadable():
            assert decoded.reason in UnreadableReason
            assert 1 <= len(decoded.detail) <= 300
            assert decoded.masked_body is None or len(decoded.masked_body) > 0
        case _:
            assert isinstance(decoded, PassedOver)


@given(TOPICS, st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=300), HEADERS)
def test_any_bytes_come_to_one_of_three_values(
    topic: str, key: bytes | None, value: bytes | None, headers: Any
) -> None:
    decoded = decode(topic, key, value, headers, NOW)

    assert_within_bounds(decoded)
    assert decode(topic, key, value, headers, NOW) == decoded


@given(TOPICS, VALUES, HEADERS)
def test_any_json_comes_to_one_of_three_values(topic: str, value: Any, headers: Any) -> None:
    assert_within_bounds(decode(topic, b"acc_1", json.dumps(value).encode(), headers, NOW))


@given(GOOD, st.data())
def test_three_forms_agree_whatever_is_wrong(known: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    topic, good = known
    body = {**good, data.draw(st.sampled_from([*good, "customer", "metadata", "livemode", "new"])): data.draw(VALUES)}
    raw = json.dumps(body).encode()

    plain = decode(topic, b"acc_1", raw, (), NOW)
    binary = decode(topic, b"acc_1", raw, attributes(topic), NOW)
    structured = decode(topic, b"acc_1", envelope(topic, body), STRUCTURED, NOW)

    assert_within_bounds(plain)
    if isinstance(plain, Readable):
        assert isinstance(binary, Readable)
        assert isinstance(structured, Readable)
        assert plain.sightings[0] == binary.sightings[0] == structured.sightings[0]
        assert binary.input == structured.input
    else:
        assert isinstance(plain, Unreadable)
        assert isinstance(structured, Unreadable)
        assert binary == plain
        assert structured.reason == plain.reason


@given(st.text(alphabet="0123456789", min_size=1, max_size=40))
def test_the_quick_luhn_check_and_the_slow_one_agree(digits: str) -> None:
    found = set(luhn_windows(digits, range(len(digits)), range(len(digits) + 1)))

    assert found == {
        (start, end)
        for start in range(len(digits))
        for end in range(start + 13, min(start + 19, len(digits)) + 1)
        if digits[start] in "23456" and passes_luhn(digits[start:end].encode())
    }


@settings(max_examples=300)
@given(st.dictionaries(FIELDS, CARDLIKE | st.integers(), max_size=4))
def test_the_first_look_never_misses_what_the_closer_look_finds(body: dict[str, Any]) -> None:
    for raw in (json.dumps(body).encode(), json.dumps(body, ensure_ascii=False).encode()):
        cards = card_numbers(raw)
        assert cards is not None
        assert not (looks_clean(raw) and cards)
        masked = mask(raw, cards)
        assert (masked is None) == (not cards)
        assert masked is None or not any(card.encode() in masked for card in cards)


@settings(max_examples=300)
@given(st.binary(max_size=40), CARDLIKE, st.binary(max_size=40))
def test_masking_keeps_everything_but_digits(before: bytes, middle: str, after: bytes) -> None:
    raw = before + middle.encode() + after

    masked = mask(raw, None)

    assert masked is None or masked != raw
    if masked is not None and b"\\u003" not in raw:
        assert len(masked) == len(raw)
        assert all(new == old or (new == ord("*") and chr(old).isdigit()) for new, old in zip(masked, raw, strict=True))
