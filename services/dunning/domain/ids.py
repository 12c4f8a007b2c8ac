"""Ids that are the same at every redelivery and in every service (rules 2 and 8)."""

from hashlib import sha1
from uuid import NAMESPACE_URL

_BEGUN = sha1(NAMESPACE_URL.bytes, usedforsecurity=False)
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # of RFC 9562: the two highest bits are 10


def case_id(account_id: str, invoice_id: str, number: int) -> str:
    """The id of an invoice's n-th case: UUIDv5 of `account/invoice/number` in the URL namespace (rule 8)."""
    return id_named(f"{account_id}/{invoice_id}/{number}")


def event_id(event_type: str, subject: str, *parts: object) -> str:
    """The id of an event that we write: UUIDv5 of its type, case or account, and what counts it (rule 2)."""
    return id_named("/".join((event_type, subject, *map(str, parts))))


def retry_id(of_case: str, attempt_number: int) -> str:
    """The idempotency key of a charge request (docs/events.md, `dunning.retry.requested`)."""
    return f"{of_case}:{attempt_number}"


def notice_id(of_case: str, rung: str, channel: str, address: str, round_number: int) -> str:
    """One notice per case, rung, channel and address; a warning that is sent once more is a round of its own."""
    return id_named(f"notice/{of_case}/{rung}/{channel}/{address}/{round_number}")


def id_named(name: str) -> str:
    """`str(uuid.uuid5(NAMESPACE_URL, name))`, at a fifth of its price: every event that is published needs one."""
    hashed = _BEGUN.copy()
    hashed.update(name.encode())
    text = hashed.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
