"""Dead letters as a person reads them."""

from datetime import UTC, datetime

import pytest

from dunning_cli.dead_letters.letters import DeadLetter, Filter, Place, parse_place
from dunning_cli.dead_letters.orders import Standing
from dunning_cli.dead_letters.text import letter_lines, whole_letter_json, whole_letter_lines

OPEN = Standing()


def a_letter(body: bytes | None, reason: str = "invalid_json", **told: str) -> DeadLetter:
    said = {"topic": "payment.failed", "partition": "4", "offset": "17", "timestamp": "2026-03-28T10:00:00+00:00"}
    return DeadLetter(
        place=Place("retry_scheduler", "payment.failed", 0, 12),
        set_aside_at=datetime(2026, 3, 28, 10, 0, 1, tzinfo=UTC),
        key=b"acct-1",
        told={**said, "reason": reason, "detail": "not JSON at line 1", **told},
        headers=(("content-type", b"application/json"), ("x-note", b"\xff\x1b[2J")),
        body=body,
    )


def test_a_body_that_is_no_json_is_shown_without_addresses_and_without_effects() -> None:
    assert whole_letter_lines(a_letter(b'{"email": anna@example.com\x1b[2J\xff'), OPEN)[:-2] == [
        "dead letter retry_scheduler:payment.failed:0:12",
        "  reason     invalid_json: not JSON at line 1",
        "  came from  payment.failed, partition 4, offset 17, at 2026-03-28 10:00:00Z",
        "  set aside  2026-03-28 10:00:01Z by retry_scheduler",
        "  key        acct-1",
        "headers",
        "  content-type: application/json",
        "  x-note: \\xff\\x1b[2J",
        "body (31 bytes)",
        '  {"email": a***@example.com\\x1b[2J\\xff',
    ]


def test_a_customer_is_shortened_and_a_masked_card_number_is_told() -> None:
    lines = whole_letter_lines(a_letter(b'{"customer": {"name": "Anna"}, "n": "**** 1111"}', "card_number"), OPEN)

    assert "body (48 bytes, the card number in it was masked when it was set aside)" in lines
    assert '    "name": "A***"' in [line.removeprefix("  ") for line in lines]


def test_a_body_that_nests_too_deep_to_parse_is_cut_not_a_traceback() -> None:
    lines = whole_letter_lines(a_letter(b"[" * 30_000, "too_deep"), OPEN)

    assert "  … 10000 more characters" in lines


def test_a_null_value_is_no_empty_body() -> None:
    assert "body: null" in whole_letter_lines(a_letter(b"", "null_value", **{"value-null": "true"}), OPEN)
    assert whole_letter_json(a_letter(None), OPEN)["body"] is None


def test_a_list_has_one_line_each() -> None:
    assert letter_lines([(a_letter(b""), OPEN)]) == [
        "DEAD LETTER                          SET ASIDE             REASON        STATE  KEY     WHAT TO CORRECT",
        "retry_scheduler:payment.failed:0:12  2026-03-28 10:00:01Z  invalid_json  open   acct-1  not JSON at line 1",
    ]


@pytest.mark.parametrize(
    "text", ["", "a:b:c", "a:b:1:-1", "a:b:1:x", "a:b:1:2:3", "a:b:²:1", "a:b:1:9999999999999999999"]
)
def test_what_names_no_dead_letter(text: str) -> None:
    assert parse_place(text) is None


def test_what_names_one() -> None:
    assert parse_place("retry_scheduler:payment.failed:0:12") == Place("retry_scheduler", "payment.failed", 0, 12)


def test_a_service_sets_aside_only_what_it_reads() -> None:
    found = [topic.name for topic in Filter(service="account_enforcement", topic="dunning.stage.changed").topics()]

    assert found == []
