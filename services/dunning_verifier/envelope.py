"""Takes a record out of its wrapping: CloudEvents in binary mode, in structured mode, or plain JSON (docs/events.md).

A careful reader and this one may differ on odd bodies. So there are two refusals: `Unwanted` for what nobody can read,
and `doubts` for what may be read or refused; the checks demand something only where there is no doubt.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from dunning_verifier.clock import instant
from dunning_verifier.values import INPUT_TOPICS, OUTPUT_TOPICS, Envelope, Record

_TYPE = re.compile(r"(.+?)(?:\.v(\d+))?\Z")
_DIGITS = re.compile(r"(?<!\w)[2-6](?:[ -]?\d){12,18}(?!\w)")
_MANY_DIGITS = re.compile(r"\d(?:[^0-9A-Za-z]{0,3}\d){12}")
_MANY_DIGITS_IN_BYTES = re.compile(rb"\d(?:[^0-9A-Za-z]{0,9}\d){12}")  # nearly no body: only then a closer look
_ODD_TEXT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])|\x00")
_USUAL_BYTES_MAX = 32 * 1024
_USUAL_NESTING_MAX = 40
_NOT_A_CARD = {"id", "number", "fingerprint", "phone", "last4"}
_KNOWN_TOPICS = frozenset(INPUT_TOPICS) | frozenset(OUTPUT_TOPICS)


class Unwanted(Exception):
    """Nobody can read this; the text says why."""


class PassedOver(Exception):
    """A type that is not ours: no effect, and no dead letter either (rule 4)."""


def open_record(record: Record) -> Envelope:
    """The event in a record. Raises Unwanted or PassedOver."""
    body = _json_of(record.value)
    if record.header("ce_specversion") or record.header("ce_type") or record.header("ce_id"):
        attributes = {key[3:].lower(): value.decode("utf-8", "replace") for key, value in record.headers if _is_ce(key)}
        return _envelope(record, attributes, body)
    content_type = (record.header("content-type") or "").lower()
    if content_type.startswith("application/cloudevents") or {"specversion", "type", "data"} <= body.keys():
        data = body.get("data")
        if not isinstance(data, dict):
            raise Unwanted("a structured event without data")
        return _envelope(record, {key.lower(): value for key, value in body.items() if key != "data"}, data)
    return _envelope(record, {}, body)


def _is_ce(key: str) -> bool:
    return key.lower().startswith("ce_")


def _json_of(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise Unwanted("a null value")
    try:
        body = json.loads(value.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise Unwanted("not UTF-8") from None
    except RecursionError:
        raise Unwanted("nested too deep") from None
    except ValueError as error:
        raise Unwanted(f"not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Unwanted("not a JSON object")
    return body


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _envelope(record: Record, attributes: Mapping[str, Any], data: Mapping[str, Any]) -> Envelope:
    value = record.value or b""
    doubts = [*_doubts_of_type(record.where.topic, attributes.get("type")), *_doubts_of_body(value)]
    if _MANY_DIGITS_IN_BYTES.search(value):
        if _any_text(data, text_holds_card_number):
            raise Unwanted("holds a card number")
        if _any_text(data, lambda text: bool(_MANY_DIGITS.search(text))):
            doubts.append("it may hold a card number")
    return Envelope(
        where=record.where,
        logged_at=record.logged_at,
        key=record.key,
        data=data,
        id=_text(attributes.get("id")),
        source=_text(attributes.get("source")),
        time=_instant_or_none(attributes.get("time")),
        sequence=_whole_number(attributes.get("sequence")),
        doubts=tuple(doubts),
    )


def _doubts_of_type(topic: str, event_type: Any) -> Iterator[str]:
    if event_type is None:
        return
    found = _TYPE.match(str(event_type))
    base, version = found.groups() if found else ("", None)
    if base not in _KNOWN_TOPICS:
        raise PassedOver(str(event_type))
    if base != topic and topic in OUTPUT_TOPICS:
        raise Unwanted(f"{event_type} is of another topic")
    if base != topic:
        yield f"{event_type} is of another topic"
    elif version is None:
        yield "its type has no version"
    elif int(version) > 1:
        raise Unwanted(f"a future version: {event_type}")


def _doubts_of_body(value: bytes) -> Iterator[str]:
    if len(value) > _USUAL_BYTES_MAX:
        yield "it is large"
    if value.count(b"[") + value.count(b"{") > _USUAL_NESTING_MAX:
        yield "it may be nested deep"
    if _ODD_TEXT.search(value):
        yield "it holds odd characters"


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _whole_number(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None


def _instant_or_none(value: Any) -> datetime | None:
    try:
        return instant(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _any_text(value: Any, test: Callable[[str], bool], name: str = "") -> bool:
    """Whether a text or a number passes, in the places where the card guard looks (rule 6)."""
    if isinstance(value, Mapping):
        return any(_any_text(part, test, str(key)) for key, part in value.items())
    if isinstance(value, list):
        return any(_any_text(part, test, name) for part in value)
    if name in _NOT_A_CARD or name.endswith(("_id", "_url")) or isinstance(value, bool):
        return False
    if isinstance(value, str):
        return not value.startswith(("http://", "https://")) and test(value)
    return isinstance(value, int) and not name.endswith("_minor") and test(str(value))


def text_holds_card_number(text: str) -> bool:
    """Whether 13 to 19 digits in a text start like a card and pass the Luhn check."""
    return any(_luhn(re.sub(r"\D", "", found.group())) for found in _DIGITS.finditer(text))


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(number - 9 if number > 9 else number for number in doubled)) % 10 == 0
