"""Declines: what a refusal means for the next attempt (rule 19), from dated and sourced tables.

`classify` answers for one failure. The tables are data in `data/`; `catalogue.py` reads them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from dunning.domain.declines.catalogue import ADVICE, DECLINE, Catalogue, Row, normalised, shipped
from dunning.domain.declines.limits import ANY_NETWORK
from dunning.domain.events import Failure, PaymentMethod
from dunning.domain.words import DeclineClass

__all__ = ["OVERDUE", "Decline", "classify", "is_overdue", "network_of"]

OVERDUE = "payment_overdue"
_CLASSES = {decline_class.value: decline_class for decline_class in DeclineClass}


@dataclass(frozen=True, slots=True)
class Decline:
    """A classified refusal.

    `source` names the field of the failure that decided: `network_advice_code`, `network_decline_code`, `code` or
    `class`; or `none`. `delay` is what advice to wait says: not before the failure's time plus this, and never earlier
    than planned.
    """

    decline_class: DeclineClass
    source: str
    code: str
    delay: timedelta | None = None
    category: str | None = None  # the network's own, which its limits count by


def is_overdue(failure: Failure) -> bool:
    """A due payment that never came: nothing was charged, so nothing was declined (rule 21)."""
    return failure.code == OVERDUE


def classify(
    failure: Failure, method: PaymentMethod | None, at: datetime, catalogue: Catalogue | None = None
) -> Decline:
    """What a failure at this time means.

    A hard code from any source wins; otherwise the network's advice, the network's code, the processor's code, in this
    order, one that no table knows falling through. Advice that only delays leaves the class to the next source. What
    the sender says itself (`failure.class`) counts only where no code is known, the message never.
    """
    return _classified(failure, method, at, catalogue or shipped())


@lru_cache(maxsize=4096)
def _classified(failure: Failure, method: PaymentMethod | None, at: datetime, tables: Catalogue) -> Decline:
    """Remembered, because every service, and some of them more than once, asks what a failure means."""
    delay: timedelta | None = None
    first: tuple[str, str, Row] | None = None
    for source, code, row in _known(failure, method, at, tables):
        if row.not_before is not None:
            delay = row.not_before
        if row.decline_class is DeclineClass.HARD:
            return Decline(DeclineClass.HARD, source, code, delay, row.category)
        if first is None and row.decline_class is not None:
            first = source, code, row
    if first is None:
        return _as_said(failure, delay)
    source, code, row = first
    return Decline(row.decline_class or DeclineClass.UNKNOWN, source, code, delay, row.category)


def _known(
    failure: Failure, method: PaymentMethod | None, at: datetime, tables: Catalogue
) -> list[tuple[str, str, Row]]:
    """The rows of the codes that a table knows, the most telling source first."""
    found = []
    country = method.country.upper() if method and method.country else None
    network = network_of(failure, method, tables)
    if advice := failure.network_advice_code:
        key = normalised(advice)
        row = tables.table(network, ADVICE).find(key, country, at)
        row = row or tables.table(ANY_NETWORK, ADVICE).find(key, country, at)
        if row:
            found.append(("network_advice_code", advice, row))
    if declined := failure.network_decline_code:
        row = tables.table(network, DECLINE).find(normalised(declined), country, at)
        if row:
            found.append(("network_decline_code", declined, row))
    key = normalised(failure.code)
    row = tables.table(network, DECLINE).find(key, country, at) if tables.comes_as_code(network) else None
    row = row or tables.table(ANY_NETWORK, DECLINE).find(key, country, at)
    if row:
        found.append(("code", failure.code, row))
    return found


def network_of(failure: Failure | None, method: PaymentMethod | None, tables: Catalogue) -> str:
    """Whose codes and limits count. Bank debits have no brand; their scheme is the method's type."""
    spelling = (failure and failure.network) or (method and (method.brand or method.type)) or ANY_NETWORK
    return tables.network(spelling)


def _as_said(failure: Failure, delay: timedelta | None) -> Decline:
    said = _CLASSES.get(failure.decline_class or "")
    if said is None:
        return Decline(DeclineClass.UNKNOWN, "none", failure.code, delay)
    return Decline(said, "class", failure.code, delay)
