"""How accounts and cases become rows and come back: JSON of the whole state, and the columns that show a part of it."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

import msgspec

from dunning.domain.case import Account, Case
from dunning.domain.ids import case_id
from dunning.runtime.service import Column

A = TypeVar("A", bound=Account[Any])
C = TypeVar("C", bound=Case)

# rows of their own, or marks of the turn at hand
NOT_OF_THE_ACCOUNT = ("cases", "shared", "touched", "changed", "reckoned")

CASE_COLUMNS: tuple[Column[Any], ...] = (
    Column("case_id", "text", lambda case: case.case_id or None),
    Column("number", "integer", lambda case: case.number or None),
    Column("stage", "text", lambda case: str(case.stage)),
    Column("amount_minor", "bigint", lambda case: case.book.amount_minor if case.book.currency else None),
    Column("currency", "text", lambda case: case.book.currency or None),
    Column("policy_id", "text", lambda case: case.policy.id if case.policy else None),
    Column("policy_version", "integer", lambda case: case.policy.version if case.policy else None),
)


class StateRepository(Generic[A, C]):
    """Rows of one service. A field that is new in the code has its default in rows that were written before."""

    def __init__(self, account_type: type[A], case_type: type[C], own: Sequence[Column[Any]] = ()) -> None:
        self.columns: Sequence[Column[Any]] = (*CASE_COLUMNS, *own)
        self._account_type = account_type
        self._kept = tuple(each.name for each in fields(account_type) if each.name not in NOT_OF_THE_ACCOUNT)
        self._encode = msgspec.json.Encoder().encode
        self._account = msgspec.json.Decoder(account_type)
        self._case = msgspec.json.Decoder(case_type)

    def new_account(self, account_id: str) -> A:
        """An account that nothing is known of."""
        return self._account_type(account_id)

    def encode_account(self, account: A) -> bytes:
        """The account's own state, without its cases."""
        return self._encode({name: getattr(account, name) for name in self._kept})

    def decode_account(self, account_id: str, state: bytes, cases: Sequence[bytes]) -> A:
        """The account with the cases at hand."""
        account: A = self._account.decode(state)
        if account.account_id != account_id:
            raise ValueError(f"the row of account {account_id} holds another account's state")
        for encoded in cases:
            case = self._case.decode(encoded)
            account.cases[case.invoice_id] = case
        return account

    def encode_case(self, account: A, invoice_id: str) -> bytes:
        """One case's state."""
        return self._encode(account.cases[invoice_id])

    def case_ids(self, account_id: str, state: bytes) -> Sequence[str]:
        """Their numbers count from 1 (rule 8). One that was renumbered went by an id that no number gives any more."""
        case = self._case.decode(state)
        numbers = range(1, case.number + 1)
        return [*(case_id(account_id, case.invoice_id, number) for number in numbers), *case.former_ids]
