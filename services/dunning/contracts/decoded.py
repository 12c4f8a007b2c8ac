"""What reading a message comes to: one of three values, never an exception."""

from dataclasses import dataclass
from enum import StrEnum

from dunning.domain.events import Input


class UnreadableReason(StrEnum):
    """Why a message is a dead letter. The words are stable: headers, metrics and `dunning dlq` show them."""

    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    INVALID_JSON = "invalid_json"
    BAD_UTF8 = "bad_utf8"
    NOT_A_NUMBER = "not_a_number"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_TEXT = "bad_text"
    BAD_TIME = "bad_time"
    OUT_OF_RANGE = "out_of_range"
    NEGATIVE_AMOUNT = "negative_amount"
    UNKNOWN_CURRENCY = "unknown_currency"
    FUTURE_TIME = "future_time"
    FUTURE_VERSION = "future_version"
    WRONG_TOPIC = "wrong_topic"
    BAD_ENVELOPE = "bad_envelope"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    CARD_NUMBER = "card_number"


class PassedOverReason(StrEnum):
    """Why a message is none of our business: counted, and nothing else."""

    TYPE_NOT_OURS = "type_not_ours"
    TOPIC_NOT_OURS = "topic_not_ours"


class Note(StrEnum):
    """What was odd about a message that was accepted all the same; counted by the word."""

    KEY_MISMATCH = "key_mismatch"  # rule 4: the message key is missing or not the account
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_CHANNEL = "unknown_channel"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A name under which the same thing would be recognised if it came again (rule 1).

    `key` is what makes it the same, `content` what must then agree; both are signed 64-bit hashes, which is what an
    inbox of narrow rows holds. `what` says which name it is: a topic for a business key, `cloudevent` for an envelope.
    """

    key: int
    content: int
    what: str


@dataclass(frozen=True, slots=True)
class Readable:
    """A message that says something to us."""

    input: Input
    sightings: tuple[Sighting, ...]
    noted: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A message that is not for us."""

    reason: PassedOverReason


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message for the dead letters.

    `detail` tells a person what to correct and never repeats what was found. `masked_body` is what to keep instead of
    the body where that holds a card number; None: keep the bytes as they came.
    """

    reason: UnreadableReason
    detail: str
    masked_body: bytes | None = None


Decoded = Readable | PassedOver | Unreadable


class Refused(Exception):
    """Raised between the functions of this package only; `decode` turns it into `Unreadable`."""

    def __init__(self, reason: UnreadableReason, detail: str, masked_body: bytes | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.masked_body = masked_body  # where it takes more than the body's bytes to mask it
