"""What makes a service: its topics, its `decide`, its repository, and (where it acts on the world) its errands.

The kernel is generic: everything that it knows of a service is this.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from dunning.domain.account import AccountState, SharedState
from dunning.domain.decision import Decision, Errand, Postpone
from dunning.domain.events import ErrandReport, Input, Output, TimerDue

Connect = Callable[[], AbstractAsyncContextManager[Any]]  # to the service's schema, outside of turns
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

    def case_ids(self, account_id: str, state: bytes) -> Sequence[str]:
        """Of all cases that the invoice of this row ever had: their stories go when it is forgotten (rule 9)."""


@dataclass(frozen=True, slots=True)
class SharedRows(Generic[A]):
    """State that several accounts share, under keys of its own, such as the attempts to charge one card.

    `keys` names what the decision on an input may read or change, once its account is loaded; `now` is the database's
    clock. What is not named is not at hand, so it names rather too much than too little.
    """

    keys: Callable[[A, Input, datetime], Collection[str]]
    new: Callable[[], SharedState]
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], SharedState]
    kept_until: Callable[[Any], datetime]  # when it decides nothing any more


Begin = Callable[[], Awaitable[bool]]
"""The last word before the world is touched; False: the errand was withdrawn or is in other hands, leave it be."""

Perform = Callable[[Errand, Begin], Awaitable[ErrandReport | Postpone]]
"""Does an errand: prepares it, awaits `begin`, then touches the world and says what became of it.

After `begin` said False the answer is not looked at. An exception before `begin` counts as `Postpone`; one after it
means that nobody knows what became of the errand: it is reported as `unknown`.
"""


class Keeper(Protocol):
    """Something that a service keeps up to date beside the work, such as its policies."""

    name: str

    async def start(self, connect: Connect) -> None:
        """Before anything is read. Raises Problem when the service cannot work without it."""

    async def run(self, health: Any) -> None:
        """Beside the work, for as long as it lasts; what is amiss is told in `health`."""


class Companion(Protocol):
    """Something of the world that a service looks after beside the work, such as a box that bounces come to."""

    name: str

    async def run(self, store: Any, health: Any) -> None:
        """For as long as the service works; what is away is waited for, and told in `health`."""


class Guard(Protocol[A]):  # type: ignore[misc]
    """Stands between what is due and its decision: may hold accounts back, in the very transaction (rule 45)."""

    async def released(
        self, tx: Any, horizon: datetime, limit: int, but_not: Collection[str]
    ) -> list[tuple[str, str, datetime]]:
        """Lock accounts that were held back and may go on, the news being read up to `horizon`; returns account,
        invoice and since when it waits."""

    async def admit(self, tx: Any, accounts: Mapping[str, A], inputs: Sequence[TimerDue], now: datetime) -> None:
        """Before these wake-ups are decided."""

    async def note(self, tx: Any, outputs: Sequence[Output], now: datetime) -> None:
        """After they were decided."""

    async def watch(self, connect: Connect, health: Any) -> None:
        """Beside the work, for as long as it lasts: tell how it stands."""


@dataclass(frozen=True, slots=True)
class Service(Generic[A]):
    """A service as the kernel runs it."""

    name: str  # "retry_scheduler": also the consumer group, the schema and the source of its events
    topics: tuple[str, ...]  # without prefix
    decide: Decide[A]
    repository: Repository[A]
    wanted: Callable[[Input], bool]  # of the inputs on its topics, those that can matter (e.g. stages of one track)
    unheard: Mapping[str, frozenset[bytes]] = field(default_factory=dict)  # by topic: in `ce_source`, and never wanted
    keepers: tuple[Keeper, ...] = ()
    companions: tuple[Companion, ...] = ()
    guard: Guard[A] | None = None
    shared: SharedRows[A] | None = None
    thing_of: Callable[[Input], str | None] | None = None  # by whose id an input without an invoice names its case
    observing: Decide[A] | None = None  # `decide` where nobody is touched (rule 42); None: the same
    observing_guard: Guard[A] | None = None  # lets go on there what the `guard` had held back
