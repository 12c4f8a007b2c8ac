"""What makes a service: its topics, its `decide`, its repository, and (where it acts on the world) its errands.

The kernel is generic: everything that it knows of a service is this.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from dunning.domain.account import AccountState
from dunning.domain.decision import Decision, Errand
from dunning.domain.events import ErrandReport, Input

A = TypeVar("A", bound=AccountState[Any])


class Decide(Protocol[A]):  # type: ignore[misc]
    """The pure heart of a service: changes the account in place and returns what follows.

    Total and deterministic; `now` is the database's clock at the turn. A rejected input leaves the account as it was.
    """

    def __call__(self, account: A, event: Input, now: datetime) -> Decision: ...


@dataclass(frozen=True, slots=True)
class Column(Generic[A]):
    """A projection of a case into the table: for constraints, queries and metrics. The truth is `state`."""

    name: str
    sql_type: str
    value: Callable[[Any], Any]  # from the case


class Repository(Protocol[A]):
    """How a service's accounts and cases become rows and come back."""

    columns: Sequence[Column[Any]]

    def new_account(self, account_id: str) -> A: ...

    def encode_account(self, account: A) -> bytes: ...

    def decode_account(self, account_id: str, state: bytes, cases: Sequence[bytes]) -> A: ...

    def encode_case(self, account: A, invoice_id: str) -> bytes: ...


Perform = Callable[[Errand], Awaitable[ErrandReport]]


@dataclass(frozen=True, slots=True)
class Service(Generic[A]):
    """A service as the kernel runs it."""

    name: str  # "retry_scheduler": also the consumer group, the schema and the source of its events
    topics: tuple[str, ...]  # without prefix
    decide: Decide[A]
    repository: Repository[A]
    wanted: Callable[[Input], bool]  # of the inputs on its topics, those that can matter (e.g. stages of one track)
