"""What the simulated payment platform knows of its invoices: what is owed, and what was paid.

A platform charges nothing that is no longer owed and takes no money for an invoice that is paid; so do the charges and
the people of the demo, who share these books.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED
from dunning.domain.rfc3339 import instant


class NeedKind(StrEnum):
    """What must be so for somebody to do what was planned for them."""

    OWED = "owed"
    PAID_BY = "paid_by"


@dataclass(frozen=True, slots=True)
class Need:
    """Something is sent only while an invoice is owed, or only after this payment paid it."""

    kind: NeedKind
    invoice_id: str
    payment_id: str = ""


@dataclass(slots=True)
class _Entry:
    owed_minor: int
    paid_at: datetime | None = None
    paid_by: str = ""
    void: bool = False


class Books:
    """Everything by invoice."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def owed_minor(self, invoice_id: str) -> int | None:
        """What is owed now; None for an invoice that was never heard of."""
        entry = self._entries.get(invoice_id)
        return entry.owed_minor if entry else None

    def meets(self, need: Need) -> bool:
        """Whether what was planned still makes sense."""
        entry = self._entries.get(need.invoice_id)
        if entry is None:
            return False
        if need.kind is NeedKind.OWED:
            return entry.owed_minor > 0
        return entry.owed_minor == 0 and entry.paid_by == need.payment_id

    def read(self, topic: str, data: Mapping[str, Any]) -> None:
        """Enter an event. As everywhere, times decide: an old failure that is told late owes nothing."""
        if topic == PAYMENT_FAILED:
            self._failed(data)
        elif topic == PAYMENT_SUCCEEDED:
            self._succeeded(data)
        elif data["kind"] == "invoice.voided":
            self._entry(data["invoice_id"]).void = True
            self._entry(data["invoice_id"]).owed_minor = 0

    def _failed(self, data: Mapping[str, Any]) -> None:
        invoice = data["invoice"]
        entry = self._entries.get(invoice["id"])
        if entry is None:
            self._entries[invoice["id"]] = _Entry(invoice["amount_due_minor"])
        elif entry.paid_at is not None and instant(data["failed_at"]) > entry.paid_at and not entry.void:
            entry.owed_minor, entry.paid_at, entry.paid_by = invoice["amount_due_minor"], None, ""

    def _succeeded(self, data: Mapping[str, Any]) -> None:
        entry = self._entry(data["invoice"]["id"])
        entry.owed_minor = data["invoice"]["amount_remaining_minor"]
        if entry.owed_minor == 0:
            entry.paid_at, entry.paid_by = instant(data["succeeded_at"]), data["payment_id"]

    def _entry(self, invoice_id: str) -> _Entry:
        return self._entries.setdefault(invoice_id, _Entry(0))
