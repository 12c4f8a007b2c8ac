"""Forgetting in memory: the same promises as on the tables (rule 9)."""

from datetime import datetime
from typing import Any

from dunning.runtime.service import Repository
from dunning.runtime.store import ForgetBefore, Forgotten, Walked
from dunning.testing.memory_tables import Lockable, LockName, Locks, Tables


def forget_closed(
    tables: Tables, locks: Locks, repository: Repository[Any], before: ForgetBefore, limit: int
) -> Forgotten:
    """All at once, for nobody else runs meanwhile; what a transaction holds is passed over."""
    out = {(row.errand.account_id, row.errand.invoice_id) for row in tables.errands.values()}
    old = [
        (account_id, invoice_id, row)
        for account_id, invoice_id, row, closed_at in tables.cases.closed()
        if closed_at < (before.cases if row.kept_longer else before.invoices)
        and (account_id, invoice_id) not in out
        and locks.is_free(LockName(Lockable.ACCOUNT, account_id), tables)
    ][:limit]
    stories: set[str] = set()
    for account_id, invoice_id, row in old:
        stories.update(repository.case_ids(account_id, row.state))
        tables.cases.remove(account_id, invoice_id)
    accounts = {account_id for account_id, _, _ in old}
    with_a_case = sum(row.kept_longer for _, _, row in old)
    return Forgotten(
        cases=with_a_case,
        invoices=len(old) - with_a_case,
        accounts=_forget_accounts(tables, repository, accounts, {account_id for account_id, _ in out}),
        events=_forget_events(tables, stories, accounts, before.cases),
        full=len(old) == limit,
    )


def _forget_events(tables: Tables, stories: set[str], accounts: set[str], published_before: datetime) -> int:
    kept = [
        event
        for event in tables.journal
        if event.row.case_id not in stories
        and (
            event.row.case_id is not None
            or event.row.account_id not in accounts
            or event.recorded_at >= published_before
        )
    ]
    gone = len(tables.journal) - len(kept)
    tables.journal[:] = kept
    return gone


def _forget_accounts(tables: Tables, repository: Repository[Any], accounts: set[str], busy: set[str]) -> int:
    empty = [
        account_id
        for account_id in accounts - busy
        if not tables.cases.of(account_id)
        and repository.decode_account(account_id, tables.accounts[account_id], ()) == repository.new_account(account_id)
    ]
    for account_id in empty:
        del tables.accounts[account_id]
    return len(empty)


def drop_old_sightings(tables: Tables, seen_before: datetime) -> Walked:
    """The whole inbox at once."""
    old = [key for key, seen_at in tables.seen_at.items() if seen_at < seen_before]
    for key in old:
        del tables.inbox[key], tables.seen_at[key]
    return Walked(len(old), 0)


def drop_old_shared(tables: Tables, locks: Locks, kept_until_before: datetime) -> Walked:
    """All of it at once, but for what a transaction holds."""
    old = [
        key
        for key, row in tables.shared.items()
        if row.kept_until < kept_until_before and locks.is_free(LockName(Lockable.SHARED, key), tables)
    ]
    for key in old:
        del tables.shared[key]
    return Walked(len(old), 0)
