"""Writes what the services publish: a domain value becomes a CloudEvent in binary mode, the same bytes every time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

import orjson

from dunning.contracts.topics import (
    ACCOUNT_ENFORCEMENT,
    ACCOUNT_STATUS,
    NOTICE_RESULT,
    NOTIFICATION_DISPATCHER,
    RETRY_REQUESTED,
    RETRY_SCHEDULER,
    STAGE_CHANGED,
    TOPICS,
    kafka_name,
)
from dunning.domain.calendar import rfc3339
from dunning.domain.events import AccountStatus, NoticeResult, Output, PolicyRef, RetryRequested, StageChanged
from dunning.domain.words import Track

JSON_CONTENT_TYPE = "application/json"
SERVICE_OF_TRACK = {
    Track.RETRY: RETRY_SCHEDULER,
    Track.NOTICE: NOTIFICATION_DISPATCHER,
    Track.ACCOUNT: ACCOUNT_ENFORCEMENT,
}


_TOPIC_OF: dict[type[Output], str] = {
    StageChanged: STAGE_CHANGED,
    RetryRequested: RETRY_REQUESTED,
    NoticeResult: NOTICE_RESULT,
    AccountStatus: ACCOUNT_STATUS,
}


@dataclass(frozen=True, slots=True)
class Message:
    """What goes to Kafka. `topic` carries the prefix."""

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def encode(output: Output, prefix: str = "") -> Message:
    """The message that publishes this."""
    topic = topic_of(output)
    attributes = {
        "id": output.event_id,
        "source": source_of(service_of(output)),
        "type": TOPICS[topic].event_type,
        "subject": _subject_of(output),
        "time": rfc3339(_time_of(output)),
        "dataschema": TOPICS[topic].dataschema,
        "correlationid": _case_of(output),
        "causationid": output.causation_id,
        "sequence": str(output.sequence),
        "traceparent": output.traceparent,
    }
    return Message(
        topic=kafka_name(topic, prefix),
        key=output.account_id.encode(),
        value=to_json(encode_data(output)),
        headers=binary_headers(attributes),
    )


def binary_headers(attributes: dict[str, str | None]) -> tuple[tuple[str, bytes], ...]:
    """The headers of the binary mode; what is not known is left out."""
    written = ((f"ce_{name}", text.encode()) for name, text in attributes.items() if text)
    return (("content-type", JSON_CONTENT_TYPE.encode()), ("ce_specversion", b"1.0"), *written)


def to_json(data: Any) -> bytes:
    """JSON in the order of the members."""
    return orjson.dumps(data)


def topic_of(output: Output) -> str:
    """The topic that this is published to, without the prefix."""
    return _TOPIC_OF[type(output)]


def service_of(output: Output) -> str:
    """The service that publishes this: every track and every other topic has exactly one."""
    if isinstance(output, StageChanged):
        return SERVICE_OF_TRACK[Track(output.track)]
    return TOPICS[topic_of(output)].written_by[0]


def source_of(service: str) -> str:
    """What a service names itself in `ce_source`."""
    return f"/dunning/{service}"


def sources_of(*tracks: Track) -> frozenset[bytes]:
    """The `ce_source` of these tracks' stages, as the header holds it."""
    return frozenset(source_of(SERVICE_OF_TRACK[track]).encode() for track in tracks)


def encode_data(output: Output) -> dict[str, Any]:
    """The event's data, ready for JSON."""
    match output:
        case StageChanged():
            return _stage_changed(output)
        case RetryRequested():
            return _retry_requested(output)
        case NoticeResult():
            return _notice_result(output)
        case AccountStatus():
            return _account_status(output)
    assert_never(output)


def _stage_changed(event: StageChanged) -> dict[str, Any]:
    return {
        "case_id": event.case_id,
        "account_id": event.account_id,
        "invoice_id": event.invoice_id,
        "track": event.track,
        "from_stage": event.from_stage,
        "to_stage": event.to_stage,
        "reason": event.reason,
        "effective_at": rfc3339(event.effective_at),
        "policy": _policy(event.policy),
        "next": {"stage": event.next.stage, "due_at": rfc3339(event.next.due_at)} if event.next else None,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
        "details": _plain(event.details),
    }


def _retry_requested(event: RetryRequested) -> dict[str, Any]:
    return {
        "retry_id": event.retry_id,
        "case_id": event.case_id,
        "account_id": event.account_id,
        "invoice_id": event.invoice_id,
        "payment_id": event.payment_id,
        "amount_minor": event.amount_minor,
        "currency": event.currency,
        "payment_method_id": event.payment_method_id,
        "attempt_number": event.attempt_number,
        "not_before": rfc3339(event.not_before),
        "not_after": rfc3339(event.not_after),
        "reason": event.reason,
        "decline_class": event.decline_class,
    }


def _notice_result(event: NoticeResult) -> dict[str, Any]:
    return {
        "notice_id": event.notice_id,
        "case_ids": list(event.case_ids),
        "account_id": event.account_id,
        "rung": event.rung,
        "channel": event.channel,
        "template": event.template,
        "locale": event.locale,
        "outcome": event.outcome,
        "reason": event.reason,
        "provider": event.provider,
        "provider_message_id": event.provider_message_id,
        "at": rfc3339(event.at),
    }


def _account_status(event: AccountStatus) -> dict[str, Any]:
    return {
        "account_id": event.account_id,
        "status": event.status,
        "previous_status": event.previous_status,
        "since": rfc3339(event.since),
        "reason": event.reason,
        "open_cases": [
            {
                "case_id": case.case_id,
                "invoice_id": case.invoice_id,
                "amount_minor": case.amount_minor,
                "currency": case.currency,
                "days_overdue": case.days_overdue,
            }
            for case in event.open_cases
        ],
        **({"open_cases_total": event.open_cases_total} if event.open_cases_total is not None else {}),
        "to_reinstate": [{"currency": owed.currency, "amount_minor": owed.amount_minor} for owed in event.to_reinstate],
        "policy": _policy(event.policy) if event.policy else None,
    }


def _policy(policy: PolicyRef) -> dict[str, Any]:
    return {"id": policy.id, "version": policy.version}


def _plain(value: Any) -> Any:
    """Details with their instants as every other time is written."""
    match value:
        case str():
            return value
        case datetime():
            return rfc3339(value)
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def _subject_of(output: Output) -> str:
    """The invoice; a status is about the account as a whole."""
    return output.account_id if isinstance(output, AccountStatus) else output.invoice_id


def _case_of(output: Output) -> str | None:
    match output:
        case StageChanged() | RetryRequested() | AccountStatus():
            return output.case_id
        case NoticeResult():
            return output.case_ids[0] if output.case_ids else None
    assert_never(output)


def _time_of(output: Output) -> datetime:
    """When it took effect."""
    match output:
        case StageChanged() | AccountStatus():
            return output.effective_at
        case RetryRequested():
            return output.not_before
        case NoticeResult():
            return output.at
    assert_never(output)
