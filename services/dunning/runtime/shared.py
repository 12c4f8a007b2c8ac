"""State that several accounts share, between the locking of accounts and the decisions.

It is locked after the accounts, all keys in one call: so two instances that decide about one card at the same time wait
for each other, and never crosswise. A service that shares nothing pays nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from dunning.domain.account import AccountState, SharedState
from dunning.domain.events import Input
from dunning.runtime.service import SharedRows
from dunning.runtime.store import SharedRow, Transaction

A = TypeVar("A", bound=AccountState[Any])


class AtHand(Generic[A]):
    """What a transaction holds of it. Accounts that share a key share one value: each sees what the others did."""

    def __init__(self, rows: SharedRows[A] | None, values: Mapping[str, SharedState]) -> None:
        self._rows = rows
        self._values = values

    async def save(self, tx: Transaction[A]) -> None:
        """Write what the decisions changed, in the transaction that locked it."""
        rows = self._rows
        if rows is None:
            return
        changed = [(key, value) for key, value in sorted(self._values.items()) if value.changed]
        if changed:
            await tx.save_shared([SharedRow(key, rows.encode(value), rows.kept_until(value)) for key, value in changed])
        for _, value in changed:
            value.changed = False


async def take_shared(
    tx: Transaction[A],
    rows: SharedRows[A] | None,
    accounts: Mapping[str, A],
    inputs: Sequence[Input],
    now: datetime,
) -> AtHand[A]:
    """Lock and load what the inputs need, and hand it to their accounts."""
    if rows is None:
        return AtHand(None, {})
    wanted: dict[str, set[str]] = defaultdict(set)
    for event in inputs:
        wanted[event.account_id].update(rows.keys(accounts[event.account_id], event, now))
    keys = sorted(set().union(*wanted.values()))
    states = await tx.load_shared(keys) if keys else {}
    values = {key: rows.new() if state is None else rows.decode(state) for key, state in states.items()}
    for account_id, named in wanted.items():
        accounts[account_id].shared = {key: values[key] for key in named}
    return AtHand(rows, values)
