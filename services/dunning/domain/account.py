"""What the kernel may know of an account: its cases, what changed, and when the next thing is due.

Each service has its own kinds of account and case; the kernel loads, locks and saves them by this shape alone.
"""

from datetime import datetime
from typing import Any, Protocol, TypeVar


class CaseState(Protocol):
    """One invoice of an account as a service keeps it: its present case and what is remembered of former ones."""

    invoice_id: str

    @property
    def due_at(self) -> datetime | None:
        """When this case wants to be woken next; None while nothing is planned."""

    @property
    def is_open(self) -> bool:
        """Open cases are loaded with every input of their account; others only when an input names them."""

    @property
    def kept_longer(self) -> bool:
        """Once it is not open, whether it is remembered for the longer of two times (rule 9)."""


C = TypeVar("C", bound=CaseState)


class SharedState(Protocol):
    """What several accounts share, such as the attempts to charge one card. `changed` says that it is to be written."""

    changed: bool


class AccountState(Protocol[C]):
    """One account with its open cases and those that the inputs at hand name.

    `touched` holds the invoice ids whose case changed since loading, `changed` says whether the account's own facts
    did: only these are written back. `shared` holds what the input at hand needs of state that has keys of its own.
    """

    account_id: str
    cases: dict[str, C]
    touched: set[str]
    changed: bool
    shared: dict[str, Any]
