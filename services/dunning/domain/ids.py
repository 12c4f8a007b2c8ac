"""Ids that are the same at every redelivery and in every service (rules 2 and 8)."""

from uuid import NAMESPACE_URL, uuid5


def case_id(account_id: str, invoice_id: str, number: int) -> str:
    """The id of an invoice's n-th case: UUIDv5 of `account/invoice/number` in the URL namespace (rule 8)."""
    return str(uuid5(NAMESPACE_URL, f"{account_id}/{invoice_id}/{number}"))


def event_id(event_type: str, subject: str, *parts: object) -> str:
    """The id of an event that we write: UUIDv5 of its type, case or account, and what counts it (rule 2)."""
    return str(uuid5(NAMESPACE_URL, "/".join((event_type, subject, *map(str, parts)))))


def retry_id(of_case: str, attempt_number: int) -> str:
    """The idempotency key of a charge request (contracts.md)."""
    return f"{of_case}:{attempt_number}"


def notice_id(of_case: str, rung: str, channel: str, address: str, round_number: int) -> str:
    """One notice per case, rung, channel and address; a warning that is sent once more is a round of its own."""
    return str(uuid5(NAMESPACE_URL, f"notice/{of_case}/{rung}/{channel}/{address}/{round_number}"))
