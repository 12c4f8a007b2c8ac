"""One input and what is decided on it, as it grows; and how a case closes."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from dunning.domain.case import Account, Case
from dunning.domain.decision import Decision
from dunning.domain.events import Input, PaymentSucceeded, Signal, TimerDue

A = TypeVar("A", bound=Account[Any])


class Turn(Struct, Generic[A]):
    """One input for one account: what is given, and the decision as it grows."""

    account: A
    now: datetime
    cause: Input
    decision: Decision = field(default_factory=Decision)
    touched: set[str] = field(default_factory=set)

    @property
    def cause_id(self) -> str:
        """`causationid` of what follows."""
        return self.cause.event_id

    @property
    def traceparent(self) -> str | None:
        """The trace that came in, passed on."""
        return getattr(self.cause, "traceparent", None)

    @property
    def news_until(self) -> datetime:
        """Up to when the news was read at least: what falls due later waits for a wake-up of its own (rule 40)."""
        read_until = self.cause.news_until if isinstance(self.cause, TimerDue) else None
        return self.now if read_until is None else min(self.now, read_until)

    def touch(self, case: Case) -> None:
        """Mark a case to be saved and reckoned."""
        account, invoice_id = self.account, case.invoice_id
        if invoice_id not in self.touched:
            self.touched.add(invoice_id)
            account.touched.add(invoice_id)
        account.cases[invoice_id] = case

    def count(self, word: str) -> None:
        """Count something that changed nothing else."""
        self.decision.counted.append(word)


class Closing(Struct, frozen=True):
    """Why and when a case closes. `amount_minor` is what was owed until then."""

    at: datetime
    reason: str
    by_money: bool
    amount_minor: int
    handed_over: bool = False  # later failures and an open request go on in the next case (rule 7)
    inherited: bool = False  # all that was done counts as done in the next case, which replaces this one
    event: PaymentSucceeded | Signal | None = None
    terminated: bool = False  # by the ladder; the reason cannot tell, for an operator's words may be the same
