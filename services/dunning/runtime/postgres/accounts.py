"""Accounts and cases as rows: locking, loading, saving, and finding what is due."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from dunning.domain.account import AccountState
from dunning.runtime.postgres.connections import Connection
from dunning.runtime.postgres.queries import QUERIES
from dunning.runtime.service import Repository

A = TypeVar("A", bound=AccountState[Any])
CaseRow = tuple[Any, ...]

_CASE_COLUMNS = ("account_id", "invoice_id", "state", "is_open", "due_at", "closed_at", "kept_longer")


class CaseTable:
    """How the cases of one service are written: the kernel's columns, then the service's projections."""

    def __init__(self, repository: Repository[Any]) -> None:
        own = repository.columns
        self.columns = [*_CASE_COLUMNS, *(column.name for column in own)]
        self._values = [column.value for column in own]
        first = len(_CASE_COLUMNS) + 1
        self.update = (
            QUERIES["save_cases"]
            .replace("{assignments}", "".join(f', "{each.name}" = given."{each.name}"' for each in own))
            .replace("{arrays}", "".join(f", ${number}::{each.sql_type}[]" for number, each in enumerate(own, first)))
            .replace("{names}", "".join(f', "{each.name}"' for each in own))
        )

    def row(self, account: AccountState[Any], invoice_id: str, state: bytes, now: datetime) -> CaseRow:
        case = account.cases[invoice_id]
        own = [value(case) for value in self._values]
        closed_at = None if case.is_open else now
        return (account.account_id, invoice_id, state, case.is_open, case.due_at, closed_at, case.kept_longer, *own)


class Accounts(Generic[A]):
    """The accounts that one transaction holds."""

    def __init__(self, connection: Connection, repository: Repository[A], table: CaseTable) -> None:
        self._connection = connection
        self._repository = repository
        self._table = table
        self._stateless: dict[str, bool] = {}  # of each account held: whether its row has no state yet
        self._stored_cases: set[tuple[str, str]] = set()

    async def load(self, wanted: Mapping[str, Collection[str]]) -> dict[str, A]:
        """New accounts first, for they are locked by being created, then the others, then what belongs to them."""
        ids = sorted(wanted)
        created = {row["account_id"] for row in await self._connection.fetch(QUERIES["create_accounts"], ids)}
        states: dict[str, bytes | None] = dict.fromkeys(created)
        cases: dict[str, list[bytes]] = {}
        if known := [account_id for account_id in ids if account_id not in created]:
            rows = await self._connection.fetch(QUERIES["lock_accounts"], known)
            states.update((account_id, state) for account_id, state in rows)
            if len(states) < len(ids):
                states.update(await self._make_anew([account_id for account_id in ids if account_id not in states]))
            cases = await self._load_cases(known, wanted)
        self._stateless.update((account_id, state is None) for account_id, state in states.items())
        return {
            account_id: self._revive(account_id, states[account_id], cases.get(account_id, ())) for account_id in ids
        }

    async def closed_with(self, things: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        account_ids, ids = zip(*things, strict=True)
        rows = await self._connection.fetch(QUERIES["closed_with"], account_ids, ids)
        return sorted((row["account_id"], row["invoice_id"]) for row in rows)

    async def _make_anew(self, gone: list[str]) -> dict[str, bytes | None]:
        """They were forgotten between being found and being locked (rule 9); perhaps others make them anew as well."""
        states: dict[str, bytes | None] = {}
        while gone:
            states.update(
                dict.fromkeys(row[0] for row in await self._connection.fetch(QUERIES["create_accounts"], gone))
            )
            rows = await self._connection.fetch(QUERIES["lock_accounts"], gone)
            states.update((account_id, state) for account_id, state in rows)
            gone = [account_id for account_id in gone if account_id not in states]
        return states

    async def _load_cases(self, known: list[str], wanted: Mapping[str, Collection[str]]) -> dict[str, list[bytes]]:
        named = sorted({invoice_id for account_id in known for invoice_id in wanted[account_id]})
        cases: dict[str, list[bytes]] = {}
        for account_id, invoice_id, is_open, state in await self._connection.fetch(QUERIES["load_cases"], known, named):
            if is_open or invoice_id in wanted[account_id]:
                self._stored_cases.add((account_id, invoice_id))
                cases.setdefault(account_id, []).append(state)
        return cases

    def _revive(self, account_id: str, state: bytes | None, cases: Collection[bytes]) -> A:
        if state is None:
            return self._repository.new_account(account_id)
        return self._repository.decode_account(account_id, state, list(cases))

    async def save(self, accounts: Iterable[A], now: datetime) -> None:
        """Changed account rows in one statement, known cases in one, new cases by COPY straight into the table."""
        states: list[tuple[str, bytes]] = []
        known: list[CaseRow] = []
        new: list[CaseRow] = []
        for account in sorted(accounts, key=lambda each: each.account_id):
            account_id = account.account_id
            if account_id not in self._stateless:
                raise LookupError(f"account {account_id} was not loaded in this transaction, so nobody locked it")
            if account.changed or (account.touched and self._stateless[account_id]):
                states.append((account_id, self._repository.encode_account(account)))
                self._stateless[account_id] = False
            for invoice_id in sorted(account.touched):
                row = self._table.row(account, invoice_id, self._repository.encode_case(account, invoice_id), now)
                (known if (account_id, invoice_id) in self._stored_cases else new).append(row)
        await self._write(states, known, new)
        for account in accounts:
            account.changed = False
            account.touched.clear()

    async def _write(self, states: list[tuple[str, bytes]], known: list[CaseRow], new: list[CaseRow]) -> None:
        if states:
            await self._connection.execute(QUERIES["save_accounts"], *zip(*states, strict=True))
        if known:
            await self._connection.execute(self._table.update, *zip(*known, strict=True))
        if new:
            await self._connection.copy_records_to_table("cases", records=new, columns=self._table.columns)
            self._stored_cases.update((row[0], row[1]) for row in new)

    async def lock_due(
        self, due_before: datetime, limit: int, but_not: Collection[str], since: datetime | None
    ) -> dict[str, list[tuple[str, datetime]]]:
        locked = await self._connection.fetch(QUERIES["lock_due_accounts"], due_before, limit, list(but_not), since)
        due: dict[str, list[tuple[str, datetime]]] = {}
        if ids := sorted({row["account_id"] for row in locked}):
            cases = await self._connection.fetch(QUERIES["due_cases"], ids, due_before, limit)
            for account_id, invoice_id, due_at in cases:
                due.setdefault(account_id, []).append((invoice_id, due_at))
        return due
