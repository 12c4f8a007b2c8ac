"""Signals that are kept as facts and change nothing yet: of each kind the newest, per invoice or account (rule 12)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dunning.domain.events import Signal

OF_AN_INVOICE = frozenset({"promise.made", "plan.agreed"})
OF_THE_ACCOUNT = frozenset({"payment_method.expiring"})
INSTALLMENTS_KEPT_MAX = 100
_KEPT_OF_A_METHOD = ("type", "brand", "last4", "exp_month", "exp_year")


@dataclass(slots=True)
class Noted:
    """What a signal said, as far as it is kept, in the words of its data."""

    at: datetime
    said: dict[str, Any] = field(default_factory=dict)


def note_newest(noted: dict[str, Noted], event: Signal) -> bool:
    """Keep the newest signal of a kind; of two of one instant any one order. Says whether this one was taken."""
    fresh, known = Noted(event.at, _said(event)), noted.get(event.kind)
    if known is not None and (known.at, repr(known.said)) >= (fresh.at, repr(fresh.said)):
        return False
    noted[event.kind] = fresh
    return True


def _said(event: Signal) -> dict[str, Any]:
    match event.kind:
        case "promise.made":
            return {"pay_by": event.details.get("pay_by")}
        case "plan.agreed":
            return {"installments": list(event.details.get("installments") or [])[:INSTALLMENTS_KEPT_MAX]}
        case _:
            method = event.details.get("payment_method") or {}
            return {"payment_method": {name: method[name] for name in _KEPT_OF_A_METHOD if name in method}}
