"""A charge request of ours, and which events answer it (rule 15)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass
class Request:
    """A charge request; `state` is open, answered, timed out, revoked, or rested where a pause revoked it."""

    retry_id: str
    attempt_number: int
    payment_id: str
    kind: str
    method: dict[str, Any] | None
    asked_at: datetime
    not_after: datetime
    method_at: datetime | None = None  # as of when it was known
    state: str = "open"


def answered(requests: list[Request], data: dict[str, Any]) -> Request | None:
    """By `retry_id`, or else by the same payment and attempt number, unless the customer started it."""
    for request in requests:
        if data.get("retry_id") is not None:
            if data["retry_id"] == request.retry_id:
                return request
        elif data.get("initiated_by") != "customer" and (data["payment_id"], data.get("attempt_number")) == (
            request.payment_id,
            request.attempt_number,
        ):
            return request
    return None
