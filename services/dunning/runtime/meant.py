"""Which cases inputs are about: most name an invoice, and some only a thing of a case, such as a notice."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from dunning.domain.events import Input
from dunning.runtime.service import Service
from dunning.runtime.store import Transaction


async def cases_meant(tx: Transaction[Any], service: Service[Any], inputs: Sequence[Input]) -> dict[str, set[str]]:
    """The accounts to lock, each with the invoices that are to be at hand beside those with open cases."""
    meant: dict[str, set[str]] = defaultdict(set)
    things: list[tuple[str, str]] = []
    for event in inputs:
        invoices = meant[event.account_id]
        if event.invoice_id is not None:
            invoices.add(event.invoice_id)
        elif service.thing_of is not None and (thing := service.thing_of(event)) is not None:
            things.append((event.account_id, thing))
    for account_id, invoice_id in await tx.closed_with(things):
        meant[account_id].add(invoice_id)
    return meant
