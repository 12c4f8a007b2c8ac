"""A tiny service to try the kernel with: it counts what it reads of each invoice, and wakes up a day later.

Kernel tests use it so that they say nothing about real services and no real service can break them. Every input that
names an invoice publishes exactly one transition, so a test can count effects. Three orders can be given in a failure's
code: `toy_reject` (the input is a dead letter), `toy_errand` (an errand is given; a success withdraws it), and
`toy_quiet` (counted, but no timer).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from dunning.domain.decision import Decision, Errand
from dunning.domain.events import (
    ErrandReport,
    Input,
    NextStep,
    NoticeResult,
    PaymentFailed,
    PaymentSucceeded,
    PolicyRef,
    Signal,
    StageChanged,
    TimerDue,
)
from dunning.domain.ids import case_id, id_named
from dunning.domain.words import Track
from dunning.runtime.migrate import Migration, kernel_migrations, migrate
from dunning.runtime.service import Column, Service

NAME = "toy"
TOPICS = ("payment.failed", "payment.succeeded", "dunning.signals")
POLICY = PolicyRef("toy", 1)
WAKE_AFTER = timedelta(days=1)
WAKES_MAX = 3

NONE, SCHEDULED, EXHAUSTED, RECOVERED = "none", "scheduled", "exhausted", "recovered"


@dataclass(slots=True)
class ToyCase:
    """An invoice with the number of inputs that named it. `sequence` is that of its last published transition."""

    invoice_id: str
    case_id: str
    stage: str = NONE
    count: int = 0
    wakes: int = 0
    sequence: int = 0
    amount_minor: int = 0
    currency: str = "EUR"
    due_at: datetime | None = None
    errand_id: str | None = None
    kept_longer: bool = True

    @property
    def is_open(self) -> bool:
        """Open until it is paid."""
        return self.stage != RECOVERED


@dataclass(slots=True)
class ToyAccount:
    """An account with one fact of its own: how many inputs it saw."""

    account_id: str
    seen: int = 0
    cases: dict[str, ToyCase] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    changed: bool = False
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _AccountFacts:
    """What is stored of an account beside its cases."""

    seen: int


class ToyRepository:
    """Rows are JSON of the dataclasses."""

    columns: Sequence[Column[Any]] = (
        Column("case_id", "text", lambda case: case.case_id),
        Column("stage", "text", lambda case: case.stage),
        Column("count", "integer", lambda case: case.count),
    )

    def __init__(self) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._account = msgspec.json.Decoder(_AccountFacts)
        self._case = msgspec.json.Decoder(ToyCase)

    def new_account(self, account_id: str) -> ToyAccount:
        return ToyAccount(account_id)

    def encode_account(self, account: ToyAccount) -> bytes:
        return self._encode(_AccountFacts(account.seen))

    def decode_account(self, account_id: str, state: bytes, cases: Sequence[bytes]) -> ToyAccount:
        decoded = [self._case.decode(case) for case in cases]
        return ToyAccount(account_id, self._account.decode(state).seen, {case.invoice_id: case for case in decoded})

    def encode_case(self, account: ToyAccount, invoice_id: str) -> bytes:
        return self._encode(account.cases[invoice_id])

    def case_ids(self, account_id: str, state: bytes) -> Sequence[str]:  # noqa: ARG002
        return [self._case.decode(state).case_id]


def case_id_of(account_id: str, invoice_id: str) -> str:
    """The id of an invoice's only case."""
    return case_id(account_id, invoice_id, 1)


def decide(account: ToyAccount, event: Input, now: datetime) -> Decision:
    """Count the input; move its case along; publish one transition for it."""
    if isinstance(event, PaymentFailed) and event.failure.code == "toy_reject":
        return Decision(rejected="toy_reject")
    account.seen += 1
    account.changed = True
    if event.invoice_id is None:
        return Decision(counted=["no_invoice"])
    case = account.cases.setdefault(
        event.invoice_id, ToyCase(event.invoice_id, case_id_of(account.account_id, event.invoice_id))
    )
    decision = Decision()
    from_stage = case.stage
    case.count += 1
    _apply(case, event, decision)
    account.touched.add(case.invoice_id)
    decision.events.append(_transition(account, case, event, from_stage, now))
    return decision


def _apply(case: ToyCase, event: Input, decision: Decision) -> None:
    match event:
        case PaymentFailed():
            case.stage, case.wakes = SCHEDULED, 0
            case.amount_minor, case.currency = event.amount_due_minor, event.currency
            case.due_at = None if event.failure.code == "toy_quiet" else event.failed_at + WAKE_AFTER
            if event.failure.code == "toy_errand":
                decision.errands.append(_errand(case, event))
        case PaymentSucceeded():
            case.stage, case.due_at, case.amount_minor = RECOVERED, None, event.amount_remaining_minor
            if case.errand_id is not None:
                decision.withdrawn.append(case.errand_id)
        case TimerDue():
            case.wakes += 1
            if case.wakes < WAKES_MAX:
                case.due_at = event.due_at + WAKE_AFTER
            else:
                case.stage, case.due_at = EXHAUSTED, None
        case ErrandReport():
            case.errand_id = None
        case Signal() | StageChanged() | NoticeResult():
            pass


def _errand(case: ToyCase, event: PaymentFailed) -> Errand:
    case.errand_id = f"{case.case_id}:errand:{case.count}"
    return Errand(
        errand_id=case.errand_id,
        account_id=event.account_id,
        invoice_id=event.invoice_id,
        kind="toy",
        not_before=event.failed_at,
        payload={"event_id": event.event_id, "count": case.count},
    )


def _transition(account: ToyAccount, case: ToyCase, event: Input, from_stage: str, now: datetime) -> StageChanged:
    case.sequence += 1
    return StageChanged(
        event_id=id_named(f"{case.case_id}/{Track.RETRY}/{case.sequence}"),
        sequence=case.sequence,
        causation_id=event.event_id,
        case_id=case.case_id,
        account_id=account.account_id,
        invoice_id=case.invoice_id,
        track=Track.RETRY,
        from_stage=from_stage,
        to_stage=case.stage,
        reason=type(event).__name__,
        effective_at=now,
        policy=POLICY,
        next=NextStep(SCHEDULED, case.due_at) if case.due_at else None,
        amount_minor=case.amount_minor,
        currency=case.currency,
        details={"count": case.count, **({"outcome": event.outcome} if isinstance(event, ErrandReport) else {})},
    )


def toy_service() -> Service[ToyAccount]:
    """The service as the kernel runs it; it wants everything on its topics."""
    return Service(name=NAME, topics=TOPICS, decide=decide, repository=ToyRepository(), wanted=lambda _: True)


def toy_migrations() -> list[Migration]:
    """The kernel's tables with the toy's columns; they lie here because no deployment shall ever have them."""
    own = """
        alter table cases
            add column case_id text collate "C" not null,
            add column stage   text not null,
            add column count   integer not null,
            add constraint counts_something check (count > 0)
    """
    return [*kernel_migrations(), Migration("toy/0001_cases.pre.sql", "pre", own)]


async def migrate_toy(url: str, *, shards: int | None = None) -> list[str]:
    """Make the toy's schema in a database."""
    return await migrate(url, NAME, shards=shards, migrations=toy_migrations())
