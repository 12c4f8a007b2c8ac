"""Transitions, charge requests, notice results and statuses out of their events, with docs/events.md read anew."""

import hashlib
import json
from datetime import datetime
from typing import TypedDict

from dunning_verifier.envelope import Unwanted
from dunning_verifier.fields import Fields
from dunning_verifier.values import Envelope, OpenCase, Request, Result, Status, Transition, Where


class _OutputParts(TypedDict):
    where: Where
    logged_at: datetime
    happened_at: datetime
    event_id: str | None
    source: str | None
    key: str | None
    sequence: int | None
    account_id: str
    digest: str


def _output_parts(envelope: Envelope, happened_at: datetime | None) -> _OutputParts:
    content = json.dumps([envelope.data, envelope.sequence], sort_keys=True)
    return _OutputParts(
        where=envelope.where,
        logged_at=envelope.logged_at,
        happened_at=happened_at or envelope.time or envelope.logged_at,
        event_id=envelope.id,
        source=envelope.source,
        key=envelope.key,
        sequence=envelope.sequence,
        account_id=Fields(envelope.data, strict=True).text("account_id"),
        digest=hashlib.blake2b(content.encode(), digest_size=12).hexdigest(),
    )


def transition(envelope: Envelope) -> Transition:
    fields = Fields(envelope.data, strict=True)
    policy, effective_at = fields.part("policy"), fields.time("effective_at")
    upcoming = fields.optional_part("next")
    return Transition(
        **_output_parts(envelope, effective_at),
        case_id=fields.text("case_id"),
        invoice_id=fields.text("invoice_id"),
        track=fields.text("track"),
        from_stage=fields.text("from_stage"),
        to_stage=fields.text("to_stage"),
        reason=fields.text_or_none("reason") or "",
        effective_at=effective_at,
        policy=(policy.text("id"), policy.number("version", 0)),
        next_due_at=upcoming.time_or_none("due_at"),
        amount_minor=fields.number("amount_minor", 0),
        currency=fields.currency(),
    )


def request(envelope: Envelope) -> Request:
    fields = Fields(envelope.data, strict=True)
    return Request(
        **_output_parts(envelope, None),
        case_id=fields.text("case_id"),
        invoice_id=fields.text("invoice_id"),
        retry_id=fields.text("retry_id"),
        payment_id=fields.text_or_none("payment_id") or "",
        payment_method_id=fields.text_or_none("payment_method_id"),
        attempt_number=fields.number("attempt_number", 1),
        amount_minor=fields.number("amount_minor", 0),
        currency=fields.currency(),
        not_before=fields.time("not_before"),
        not_after=fields.time("not_after"),
    )


def result(envelope: Envelope) -> Result:
    fields = Fields(envelope.data, strict=True)
    case_ids, at = envelope.data.get("case_ids"), fields.time("at")
    if not isinstance(case_ids, list) or not case_ids:
        raise Unwanted("case_ids is not a list of cases")
    return Result(
        **_output_parts(envelope, at),
        notice_id=fields.text("notice_id"),
        case_ids=tuple(str(case_id) for case_id in case_ids),
        rung=fields.text("rung"),
        channel=fields.text("channel"),
        template=fields.text_or_none("template"),
        outcome=fields.text("outcome"),
        at=at,
    )


def status(envelope: Envelope) -> Status:
    fields = Fields(envelope.data, strict=True)
    lines = [Fields(line, path="open_cases.", strict=True) for line in envelope.data.get("open_cases") or []]
    owed = [Fields(line, path="to_reinstate.", strict=True) for line in envelope.data.get("to_reinstate") or []]
    total = fields.number("open_cases_total", 0) if envelope.data.get("open_cases_total") is not None else None
    return Status(
        **_output_parts(envelope, None),
        status=fields.text("status"),
        previous_status=fields.text("previous_status"),
        since=fields.time("since"),
        open_cases=tuple(
            OpenCase(line.text("case_id"), line.text("invoice_id"), line.number("amount_minor", 0), line.currency())
            for line in lines
        ),
        open_cases_total=total,
        to_reinstate={line.currency(): line.number("amount_minor", 0) for line in owed},
    )
