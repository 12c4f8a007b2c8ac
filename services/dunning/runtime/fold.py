"""Deciding on many inputs, between the locking of their accounts and the commit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from dunning.domain.account import AccountState
from dunning.domain.decision import CannotDecideYet, Decision, Errand, MoneyMoved
from dunning.domain.events import Input, Output, StageChanged
from dunning.runtime.metrics import Metrics
from dunning.runtime.service import Decide, Service
from dunning.runtime.shared import AtHand, take_shared
from dunning.runtime.store import OutboxRow, Transaction
from dunning.runtime.stretch import Stretch

A = TypeVar("A", bound=AccountState[Any])
Write = Callable[[Output], OutboxRow]


class DecisionsFailed(Exception):
    """`decide` raised; nothing of the fold may be kept. The culprits are named by their place among the inputs."""

    def __init__(self, culprits: Mapping[int, Exception]) -> None:
        super().__init__(f"{len(culprits)} decisions failed: {next(iter(culprits.values()))!r}")
        self.culprits = culprits


@dataclass(slots=True)
class Outcome:
    """What follows from a fold, in order, and what it changed."""

    accounts: Mapping[str, Any] = field(default_factory=dict)
    shared: AtHand[Any] | None = None
    rows: list[OutboxRow] = field(default_factory=list)
    errands: list[Errand] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)  # place among the inputs, reason
    counted: Counter[str] = field(default_factory=Counter)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    outputs: list[Output] = field(default_factory=list)
    money: list[MoneyMoved] = field(default_factory=list)
    earliest_due_at: datetime | None = None
    worked_seconds: float = 0.0

    async def record(self, tx: Transaction[Any]) -> None:
        """Write the accounts, what they share and what follows, in the transaction that locked them."""
        await tx.save(self.accounts.values())
        if self.rows:
            await tx.publish(self.rows)
        if self.errands:
            await tx.give_errands(self.errands)
        if self.withdrawn:
            await tx.withdraw_errands(self.withdrawn)
        if self.shared is not None:
            await self.shared.save(tx)

    def count(self, metrics: Metrics) -> None:
        """Add to the metrics what was committed."""
        for word, times in self.counted.items():
            metrics.noted.labels(word).inc(times)
        for (track, stage), times in self.transitions.items():
            metrics.transitions.labels(track, stage).inc(times)
        metrics.observe(self.outputs, self.money)


async def decided(
    tx: Transaction[A],
    service: Service[A],
    write: Write,
    accounts: Mapping[str, A],
    inputs: Sequence[Input],
    now: datetime,
) -> Outcome:
    """Apply the inputs to their accounts, which the transaction has locked, and to what these share; `record` writes
    it. Raises DecisionsFailed, as `fold` does."""
    shared = await take_shared(tx, service.shared, accounts, inputs, now)
    outcome = await fold(service.decide, write, accounts, inputs, now)
    outcome.shared = shared
    return outcome


async def fold(
    decide: Decide[Any], write: Write, accounts: Mapping[str, Any], inputs: Sequence[Input], now: datetime
) -> Outcome:
    """Apply the inputs to their accounts in order. Raises DecisionsFailed when any of them could not be decided.

    An account whose decision failed is half changed, so its later inputs are not tried; those of others are, to find
    all culprits at once. An account with thousands of cases makes this long: Kafka must hear from us in the meantime,
    and other lanes go on.
    """
    outcome = Outcome(accounts)
    culprits: dict[int, Exception] = {}
    spoiled: set[str] = set()
    stretch = Stretch()
    for place, event in enumerate(inputs):
        if stretch.is_over:
            await stretch.pause()
        if event.account_id in spoiled:
            continue
        try:
            decision = decide(accounts[event.account_id], event, now)
            if decision.rejected is None:
                _collect(outcome, decision, write)
            else:
                outcome.rejected.append((place, decision.rejected))
        except CannotDecideYet:  # nothing is wrong with the input
            raise
        except Exception as error:  # noqa: BLE001 - whatever a decision raises concerns this one input
            culprits[place] = error
            spoiled.add(event.account_id)
    if culprits:
        raise DecisionsFailed(culprits)
    outcome.earliest_due_at = _earliest_due(accounts)
    outcome.worked_seconds = stretch.worked_seconds
    return outcome


def _collect(outcome: Outcome, decision: Decision, write: Write) -> None:
    for event in decision.events:
        outcome.rows.append(write(event))
        if isinstance(event, StageChanged):
            outcome.transitions[event.track, event.to_stage] += 1
    outcome.outputs += decision.events
    outcome.money += decision.money
    outcome.errands += decision.errands
    outcome.withdrawn += decision.withdrawn
    outcome.counted.update(decision.counted)


def _earliest_due(accounts: Mapping[str, Any]) -> datetime | None:
    """When the first of the changed cases wants to be woken: the timers need not look before."""
    dues = (
        account.cases[invoice_id].due_at
        for account in accounts.values()
        for invoice_id in account.touched
        if invoice_id in account.cases
    )
    return min((due for due in dues if due is not None), default=None)
