"""Reads a message from Kafka: bytes in, one of three values out, whatever the bytes are.

Nothing here raises for what a sender wrote, and nothing that was found is repeated in a message for people: a dead
letter keeps the body itself, masked where it holds a card number.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from dunning.contracts import sightings, to_domain
from dunning.contracts.canonical import normalised
from dunning.contracts.card_guard import card_numbers, looks_clean
from dunning.contracts.decoded import (
    Decoded,
    Note,
    PassedOver,
    PassedOverReason,
    Readable,
    Refused,
    Sighting,
    Unreadable,
    UnreadableReason,
)
from dunning.contracts.envelope import Envelope, Headers, open_envelope
from dunning.contracts.fields import OTHER, Wire
from dunning.contracts.masking import mask, mask_text
from dunning.contracts.payments import PaymentFailedData, PaymentSucceededData
from dunning.contracts.published import NoticeResultData, StageChangedData
from dunning.contracts.signals import OtherSignal, model_of
from dunning.contracts.to_domain import Attributes
from dunning.contracts.topics import (
    MESSAGE_BYTES_MAX,
    NOTICE_RESULT,
    PAYMENT_FAILED,
    PAYMENT_SUCCEEDED,
    SIGNALS,
    STAGE_CHANGED,
    is_event_topic,
    registry_name,
)
from dunning.contracts.validation import validate_bytes, validate_tree
from dunning.domain.events import Signal

AHEAD_MAX = timedelta(hours=1)
SIGNAL_LENGTH_MAX = 64 * 1024
_TYPE = re.compile(r"(.+?)(?:\.v([1-9][0-9]{0,8}))?", re.ASCII)
_SEQUENCE = re.compile(r"[0-9]{1,9}", re.ASCII)

Model = TypeVar("Model", bound=Wire)


def decode(
    topic: str, key: bytes | None, value: bytes | None, headers: Headers, now: datetime, *, prefix: str = ""
) -> Decoded:
    """What a message says to a service, or why it says nothing.

    `topic` is the name in Kafka, and `prefix` what it starts with where the caller has not taken that off. `now` is the
    database's clock: an event whose own time is more than an hour ahead of it is a dead letter (rule 3).
    """
    name = registry_name(topic, prefix)
    reader = _READERS.get(name)
    if reader is None:
        return PassedOver(PassedOverReason.TOPIC_NOT_OURS)
    if value is None:
        if _is_foreign(headers):
            return PassedOver(PassedOverReason.TYPE_NOT_OURS)
        return Unreadable(UnreadableReason.NULL_VALUE, "the message has no value")
    try:
        envelope = open_message(name, value, headers)
        return reader(envelope, key, now) if isinstance(envelope, Envelope) else envelope
    except Refused as refused:
        if refused.reason is UnreadableReason.UNSUPPORTED_CONTENT_TYPE and _is_foreign(headers):
            return PassedOver(PassedOverReason.TYPE_NOT_OURS)
        return unreadable(value, refused)


def open_message(name: str, value: bytes, headers: Headers) -> Envelope | PassedOver:
    """The message as an envelope of ours, free of card numbers. Raises Refused."""
    if len(value) > MESSAGE_BYTES_MAX:
        raise Refused(UnreadableReason.TOO_LARGE, f"the body has more than {MESSAGE_BYTES_MAX} bytes")
    envelope = open_envelope(value, headers)
    if envelope.is_cloudevent and not _is_ours(envelope.attributes["type"], name):
        return PassedOver(PassedOverReason.TYPE_NOT_OURS)
    if not looks_clean(value) and card_numbers(value):
        raise Refused(UnreadableReason.CARD_NUMBER, "the body holds a card number")
    return envelope


def unreadable(value: bytes, refused: Refused) -> Unreadable:
    """The dead letter, with its body masked where that holds a card number, however broken it is."""
    masked = refused.masked_body or mask(value, card_numbers(value))
    return Unreadable(refused.reason, mask_text(refused.detail), masked)


def _is_foreign(headers: Headers) -> bool:
    """Whether a header names a type that is none of ours: its body may have any form, or be missing (rule 4)."""
    types = [content or b"" for name, content in headers if name.lower() == "ce_type"]
    base, _ = _base_and_version(types[-1].decode("latin-1")) if types else ("", None)
    return bool(base) and not is_event_topic(base)


def _base_and_version(event_type: str) -> tuple[str, str | None]:
    """The topic that a type names, empty where it names none, and its version where it says one."""
    match = _TYPE.fullmatch(event_type)
    return (match[1], match[2]) if match else ("", None)


def _is_ours(event_type: str, name: str) -> bool:
    """Whether an event of this type is to be read from this topic; a type without a version is a first version."""
    if event_type == f"{name}.v1":
        return True
    base, version = _base_and_version(event_type)
    if not is_event_topic(base):
        return False
    if version not in (None, "1"):
        raise Refused(UnreadableReason.FUTURE_VERSION, f"version {version} of {base} is not known here yet")
    if base != name:
        raise Refused(UnreadableReason.WRONG_TOPIC, f"{base} does not belong on {name}")
    return True


def validated(model: type[Model], envelope: Envelope) -> Model:
    """The event's data as this model. Raises Refused."""
    if envelope.body is None:
        return validate_tree(model, envelope.tree)
    return validate_bytes(model, envelope.body)


def _failure(envelope: Envelope, key: bytes | None, now: datetime) -> Readable:
    data = validated(PaymentFailedData, envelope)
    _require_not_ahead(data.failed_at, now)
    business_key, content = sightings.failure_key(data), sightings.failure_content(data)
    event = to_domain.payment_failed(data, id_of(envelope, business_key), envelope.traceparent)
    seen = (sightings.business_sighting(PAYMENT_FAILED, business_key, content), *_envelope_sighting(envelope, content))
    return Readable(event, seen, _key_note(key, data.account_id))


def _success(envelope: Envelope, key: bytes | None, now: datetime) -> Readable:
    data = validated(PaymentSucceededData, envelope)
    _require_not_ahead(data.succeeded_at, now)
    business_key, content = sightings.success_key(data), sightings.success_content(data)
    event = to_domain.payment_succeeded(data, id_of(envelope, business_key), envelope.traceparent)
    seen = (
        sightings.business_sighting(PAYMENT_SUCCEEDED, business_key, content),
        *_envelope_sighting(envelope, content),
    )
    return Readable(event, seen, _key_note(key, data.account_id))


def _signal(envelope: Envelope, key: bytes | None, now: datetime) -> Readable:
    tree = envelope.data()
    if not isinstance(tree, dict):
        raise Refused(UnreadableReason.WRONG_TYPE, "the body: Input should be an object")
    data = validate_tree(model_of(tree.get("kind")), tree)
    _require_not_ahead(data.at, now)
    whole = normalised(tree)
    business_key, content = sightings.signal_key(whole), sightings.signal_content(whole)
    if len(business_key) > SIGNAL_LENGTH_MAX:
        raise Refused(UnreadableReason.TOO_LARGE, f"a signal has at most {SIGNAL_LENGTH_MAX} characters")
    event = to_domain.signal(data, whole, id_of(envelope, business_key), envelope.traceparent)
    seen = (sightings.business_sighting(SIGNALS, business_key, content), *_envelope_sighting(envelope, content))
    return Readable(event, seen, _kind_note(data, event) + _key_note(key, data.account_id))


def _transition(envelope: Envelope, key: bytes | None, now: datetime) -> Readable:
    data = validated(StageChangedData, envelope)
    _require_not_ahead(data.effective_at, now)
    peer = attributes_of(envelope, sightings.transition_key(data))
    event = to_domain.stage_changed(data, peer)
    seen = sightings.envelope_sighting(peer.source, peer.event_id, sightings.transition_content(data))
    return Readable(event, (seen,), _key_note(key, data.account_id))


def _notice_result(envelope: Envelope, key: bytes | None, now: datetime) -> Readable:
    data = validated(NoticeResultData, envelope)
    _require_not_ahead(data.at, now)
    peer = attributes_of(envelope, sightings.notice_key(data))
    event = to_domain.notice_result(data, peer)
    seen = sightings.envelope_sighting(peer.source, peer.event_id, sightings.notice_content(data))
    return Readable(event, (seen,), _key_note(key, data.account_id))


def id_of(envelope: Envelope, business_key: str) -> str:
    """The event's id: the envelope's, or without one the same for the same thing."""
    return envelope.attributes["id"] if envelope.is_cloudevent else sightings.id_from(business_key)


def _envelope_sighting(envelope: Envelope, content: int) -> tuple[Sighting, ...]:
    """The envelope's own name for the event, where it came in one."""
    if not envelope.is_cloudevent:
        return ()
    return (sightings.envelope_sighting(envelope.attributes["source"], envelope.attributes["id"], content),)


def attributes_of(envelope: Envelope, key: str) -> Attributes:
    """The attributes that our services write. Without an envelope the sequence is not known, which 0 says."""
    given = envelope.attributes
    sequence = given.get("sequence", "")
    return Attributes(
        event_id=id_of(envelope, key),
        source=given.get("source", ""),
        subject=given.get("subject", ""),
        sequence=int(sequence) if _SEQUENCE.fullmatch(sequence) else 0,
        causation_id=given.get("causationid", ""),
        correlation_id=given.get("correlationid"),
        traceparent=envelope.traceparent,
    )


def _kind_note(data: Wire, event: Signal) -> tuple[Note, ...]:
    if event.kind != OTHER:
        return ()
    return (Note.UNKNOWN_KIND if isinstance(data, OtherSignal) else Note.UNKNOWN_CHANNEL,)


def _require_not_ahead(own_time: datetime, now: datetime) -> None:
    if own_time - now > AHEAD_MAX:
        raise Refused(UnreadableReason.FUTURE_TIME, "the event's own time is more than an hour ahead")


def _key_note(key: bytes | None, account_id: str) -> tuple[Note, ...]:
    return () if key == account_id.encode() else (Note.KEY_MISMATCH,)


_READERS: dict[str, Callable[[Envelope, bytes | None, datetime], Readable]] = {
    PAYMENT_FAILED: _failure,
    PAYMENT_SUCCEEDED: _success,
    SIGNALS: _signal,
    STAGE_CHANGED: _transition,
    NOTICE_RESULT: _notice_result,
}
