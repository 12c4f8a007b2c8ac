"""CloudEvents 1.0 in Kafka: the three forms in which a message may come, brought into one.

Binary: attributes in `ce_*` headers, the value is the data. Structured: the value is an envelope with the data inside.
Plain: no attributes at all, the value is the data.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from dunning.contracts.card_guard import card_numbers, looks_clean
from dunning.contracts.decoded import Refused, UnreadableReason
from dunning.contracts.masking import mask_base64
from dunning.contracts.validation import parse

Headers = Sequence[tuple[str, bytes | None]]
BOM = b"\xef\xbb\xbf"
ATTRIBUTE_LENGTH_MAX = 200
SOURCE_LENGTH_MAX = 1000
_REQUIRED = ("id", "source", "specversion", "type")
_DATA = ("data", "data_base64")
_BINARY = tuple(f"ce_{name}" for name in _REQUIRED)
_LOOKS_STRUCTURED = b'"specversion"'
_STRUCTURED = "application/cloudevents+json"
_CHARSET = re.compile(r'charset\s*=\s*"?([\w.:-]+)"?', re.IGNORECASE)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message whatever its form: its attributes, none when it was plain, and its data, as bytes or parsed already."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    tree: Any = None
    traceparent: str | None = None

    @property
    def is_cloudevent(self) -> bool:
        """Whether it came with attributes."""
        return bool(self.attributes)

    def data(self) -> Any:
        """The data as a JSON value. Raises Refused."""
        return self.tree if self.body is None else parse(self.body)


def open_envelope(value: bytes, headers: Headers) -> Envelope:
    """The message in its own form. Raises Refused."""
    named = {name.lower(): content for name, content in headers if content is not None}
    body = value.removeprefix(BOM)
    media_type = _media_type(named.get("content-type"))
    if media_type.startswith("application/cloudevents"):
        return _structured(body, media_type, named)
    _require_json(media_type)
    if not any(name in named for name in _BINARY):
        return _plain(body, named)
    attributes = {name[3:]: _text(content) for name, content in named.items() if name.startswith("ce_")}
    _check(attributes)
    return Envelope(attributes, body=body, traceparent=_traceparent(named, attributes))


def _plain(body: bytes, named: Mapping[str, bytes]) -> Envelope:
    """No attributes in the headers. A console producer sets none at all, so an envelope in the body counts as one."""
    if _LOOKS_STRUCTURED in body:
        tree = parse(body)
        if isinstance(tree, dict) and "specversion" in tree and "type" in tree:
            return _unfolded(tree, body, named)
    return Envelope(body=body, traceparent=_traceparent(named, {}))


def _structured(body: bytes, media_type: str, named: Mapping[str, bytes]) -> Envelope:
    if media_type != _STRUCTURED:
        raise Refused(UnreadableReason.UNSUPPORTED_CONTENT_TYPE, f"of CloudEvents only {_STRUCTURED} is read")
    envelope = parse(body)
    if not isinstance(envelope, dict):
        raise Refused(UnreadableReason.BAD_ENVELOPE, "a structured CloudEvent is a JSON object")
    return _unfolded(envelope, body, named)


def _unfolded(envelope: dict[str, Any], body: bytes, named: Mapping[str, bytes]) -> Envelope:
    attributes = {
        name: value
        for name, value in envelope.items()
        if isinstance(value, str) and name not in ("data", "data_base64")
    }
    _check(attributes)
    _require_json(_media_type(attributes.get("datacontenttype", "").encode()))
    traceparent = _traceparent(named, attributes)
    match "data" in envelope, "data_base64" in envelope:
        case True, False:
            return Envelope(attributes, tree=envelope["data"], traceparent=traceparent)
        case False, True:
            return Envelope(attributes, body=_from_base64(body, envelope["data_base64"]), traceparent=traceparent)
    raise Refused(UnreadableReason.BAD_ENVELOPE, "a structured CloudEvent has either data or data_base64")


def _from_base64(body: bytes, encoded: Any) -> bytes:
    """The data inside. Card numbers hide in base64 from every look at the body, so they are looked for here."""
    try:
        data = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else None
    except (binascii.Error, ValueError):
        data = None
    if data is None:
        raise Refused(UnreadableReason.BAD_ENVELOPE, "data_base64 is not base64")
    if not looks_clean(data) and (masked := mask_base64(body, encoded, card_numbers(data))):
        raise Refused(UnreadableReason.CARD_NUMBER, "data_base64 holds a card number", masked)
    return data


@lru_cache(maxsize=64)
def _media_type(content_type: bytes | None) -> str:
    """Type and subtype in lower case; empty when nothing was said. Raises Refused for a charset that is not UTF-8."""
    media_type, _, parameters = (content_type or b"").decode("latin-1").partition(";")
    charset = _CHARSET.search(parameters)
    if charset and charset[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(UnreadableReason.UNSUPPORTED_CONTENT_TYPE, "the charset must be UTF-8")
    return media_type.strip().lower()


def _require_json(media_type: str) -> None:
    if media_type and media_type not in ("application/json", "text/json") and not media_type.endswith("+json"):
        raise Refused(UnreadableReason.UNSUPPORTED_CONTENT_TYPE, "the content type must be JSON")


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Refused(UnreadableReason.BAD_ENVELOPE, "a ce_ header is not UTF-8") from None


def _check(attributes: Mapping[str, str]) -> None:
    for name in _REQUIRED:
        value = attributes.get(name)
        length_max = SOURCE_LENGTH_MAX if name == "source" else ATTRIBUTE_LENGTH_MAX
        if not value or len(value) > length_max or not value.isprintable():
            raise Refused(
                UnreadableReason.BAD_ENVELOPE, f"the CloudEvent's {name} must have 1 to {length_max} characters"
            )
    if attributes["specversion"] != "1.0":
        raise Refused(UnreadableReason.BAD_ENVELOPE, "the CloudEvent's specversion must be 1.0")


def _traceparent(named: Mapping[str, bytes], attributes: Mapping[str, str]) -> str | None:
    """W3C trace context, as the event's extension or as a header of its own; nonsense is dropped."""
    text = attributes.get("traceparent") or named.get("traceparent", b"").decode("latin-1")
    return text if _TRACEPARENT.fullmatch(text) else None
