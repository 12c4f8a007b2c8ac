"""Reads back what the services publish: for whoever acts on it (the demo's payment processor, tools, tests)."""

from collections.abc import Callable

from dunning.contracts import sightings, to_domain
from dunning.contracts.decode import attributes_of, open_message, unreadable, validated
from dunning.contracts.decoded import PassedOver, PassedOverReason, Refused, Unreadable, UnreadableReason
from dunning.contracts.envelope import Envelope, Headers
from dunning.contracts.published import AccountStatusData, NoticeResultData, RetryRequestedData, StageChangedData
from dunning.contracts.topics import ACCOUNT_STATUS, NOTICE_RESULT, RETRY_REQUESTED, STAGE_CHANGED, registry_name
from dunning.domain.events import Output
from dunning.domain.rfc3339 import parse_rfc3339


def decode_output(
    topic: str, value: bytes | None, headers: Headers, *, prefix: str = ""
) -> Output | PassedOver | Unreadable:
    """What one of the services said. Its own time is not looked at: whoever publishes is trusted with the clock."""
    name = registry_name(topic, prefix)
    reader = _READERS.get(name)
    if reader is None:
        return PassedOver(PassedOverReason.TOPIC_NOT_OURS)
    if value is None:
        return Unreadable(UnreadableReason.NULL_VALUE, "the message has no value")
    try:
        envelope = open_message(name, value, headers)
        return reader(envelope) if isinstance(envelope, Envelope) else envelope
    except Refused as refused:
        return unreadable(value, refused)


def _stage_changed(envelope: Envelope) -> Output:
    data = validated(StageChangedData, envelope)
    return to_domain.stage_changed(data, attributes_of(envelope, sightings.transition_key(data)))


def _notice_result(envelope: Envelope) -> Output:
    data = validated(NoticeResultData, envelope)
    return to_domain.notice_result(data, attributes_of(envelope, sightings.notice_key(data)))


def _retry_requested(envelope: Envelope) -> Output:
    data = validated(RetryRequestedData, envelope)
    return to_domain.retry_requested(data, attributes_of(envelope, f"{RETRY_REQUESTED}\x1f{data.retry_id}"))


def _account_status(envelope: Envelope) -> Output:
    data = validated(AccountStatusData, envelope)
    key = f"{ACCOUNT_STATUS}\x1f{data.account_id}\x1f{data.status}\x1f{data.since.isoformat()}"
    at = parse_rfc3339(envelope.attributes.get("time", "")) or data.since
    return to_domain.account_status(data, attributes_of(envelope, key), at)


_READERS: dict[str, Callable[[Envelope], Output]] = {
    STAGE_CHANGED: _stage_changed,
    RETRY_REQUESTED: _retry_requested,
    NOTICE_RESULT: _notice_result,
    ACCOUNT_STATUS: _account_status,
}
