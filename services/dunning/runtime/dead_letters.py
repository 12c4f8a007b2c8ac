"""Setting a message aside: what came, as it came, and why (rule 5).

A dead letter is an outbox row like any other, so it is written if and only if its offset advances. Keys that are no
text and bodies that are null do not fit a row; they are told in a header of ours, and the relay restores them.
"""

from datetime import UTC, datetime

from aiokafka import ConsumerRecord

from dunning.contracts.decoded import UnreadableReason
from dunning.contracts.topics import dead_letter_topic
from dunning.runtime.store import OutboxRow

DECISION_FAILED = "decision_failed"
CONFLICTING_DUPLICATE = "conflicting_duplicate"
OF_DECISIONS = ("no_policy", "other_currency")
REASONS = (*(reason.value for reason in UnreadableReason), *OF_DECISIONS, DECISION_FAILED, CONFLICTING_DUPLICATE)
"""All there are."""

HEADER_PREFIX = "dlq-"
_KEY_BYTES = "dlq-key-hex"  # the key where it is not text; empty: there was none
_VALUE_NULL = "dlq-value-null"
MASKED = "masked"  # after the prefix: the body is not as it came, a card number in it was masked
_DETAIL_LENGTH_MAX = 1000


def conflict_detail(what: str) -> str:
    """What to say of a message whose key was seen with another content (rule 1)."""
    return f"another message with the same {what} key and another content came before"


def dead_letter(record: ConsumerRecord, service: str, reason: str, detail: str, masked_body: bytes | None) -> OutboxRow:
    """The row that carries a message to `<topic>.<service>.dlq`, under its own key and with its own headers."""
    key, key_header = _key_as_text(record.key)
    told = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": _time_of(record),
        "reason": reason,
        "detail": detail[:_DETAIL_LENGTH_MAX],
        "service": service,
    }
    headers = [(name, value or b"") for name, value in record.headers if not name.startswith(HEADER_PREFIX)]
    headers += [(HEADER_PREFIX + name, value.encode(errors="replace")) for name, value in told.items()]
    headers += key_header
    if record.value is None:
        headers.append((_VALUE_NULL, b"true"))
    if masked_body is not None:
        headers.append((HEADER_PREFIX + MASKED, b"true"))
    return OutboxRow(
        topic=dead_letter_topic(record.topic, service),
        key=key,
        value=masked_body if masked_body is not None else record.value or b"",
        headers=tuple(headers),
        case_id=None,
        account_id=None,
    )


def wire_key(row: OutboxRow) -> bytes | None:
    """The key to publish a row under."""
    for name, value in row.headers:
        if name == _KEY_BYTES:
            return bytes.fromhex(value.decode()) if value else None
    return row.key.encode()


def wire_value(row: OutboxRow) -> bytes | None:
    """The body to publish."""
    return None if not row.value and any(name == _VALUE_NULL for name, _ in row.headers) else row.value


def _key_as_text(key: bytes | None) -> tuple[str, list[tuple[str, bytes]]]:
    if key is None:
        return "", [(_KEY_BYTES, b"")]
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return key.hex(), [(_KEY_BYTES, key.hex().encode())]
    if "\0" in text:  # a text to Python, none to PostgreSQL
        return key.hex(), [(_KEY_BYTES, key.hex().encode())]
    return text, []


def _time_of(record: ConsumerRecord) -> str:
    try:
        return datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(record.timestamp)  # whatever the sender wrote there
