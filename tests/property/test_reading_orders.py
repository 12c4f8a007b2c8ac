"""Rule 8 on the retry track: in whatever order the facts are read, the case ends in the same stage, plan and request.

Before them a few retries may have been asked for, so that answers, tries of the customer, new methods, orders, pauses
and money meet an open request, a finished plan, or one under way.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from dunning.domain import ids
from dunning.domain.events import Input, PaymentFailed, PaymentSucceeded, Signal, TimerDue
from dunning.domain.pauses import MARKING
from dunning.domain.policy import Policies
from retry_scheduler.case import RetryAccount
from retry_scheduler.counting import CARD_LEDGERS
from retry_scheduler.decide import RetryTrack
from retry_scheduler.methods import present_method
from tests.builders import (
    BANK_DEBIT,
    HARD,
    NEEDS_CUSTOMER,
    OTHER_VISA,
    SOFT,
    TECHNICAL,
    VISA,
    failed,
    new_card,
    only_retries,
    overdue,
    paid,
    policies,
    signal,
)

Event = PaymentFailed | PaymentSucceeded | Signal
START = datetime(2026, 3, 20, 10, tzinfo=UTC)
POLICIES = [
    policies(only_retries(after=["1d", "2d"], window="9d", hours=["06:00", "22:00"])),
    policies(only_retries(after=["1d"], window="3d")),
    policies(only_retries(after=[], technical_after=["1h"])),
    policies(only_retries(after=["36h"], technical_after=[], max_retries=3)),
]
PASSED = (0, 0, 12, 25, 49, 73, 100)  # hours
METHODS = (VISA, VISA, OTHER_VISA, BANK_DEBIT, None)
ORDERS_MAX = 24
FOREVER = datetime.max.replace(tzinfo=UTC)


class Retrying:
    """The retry track of one account, without its peers."""

    def __init__(self, given: Policies) -> None:
        self.track = RetryTrack(lambda: given)
        self.account = RetryAccount("acc_1")
        self.ledgers: dict[str, Any] = {}

    def read(self, event: Input, now: datetime) -> None:
        keys = CARD_LEDGERS.keys(self.account, event, now)
        self.account.shared = {key: self.ledgers.setdefault(key, CARD_LEDGERS.new()) for key in keys}
        self.track.decide(self.account, event, now)
        self.account.touched.clear()

    def pass_time(self, until: datetime) -> None:
        while due := [(case.due, name) for name, case in self.account.cases.items() if case.due and case.due <= until]:
            now, invoice_id = min(due)
            self.read(TimerDue("timer", "acc_1", invoice_id, now), now)

    def standing(self) -> dict[str, Any]:
        return {
            case.invoice_id: (
                case.case_id,
                case.stage,
                case.plan and (case.plan.at, case.plan.kind),
                case.open_request and case.open_request.retry_id,
                (case.planned_used, case.technical_used),
                present_method(self.account, case),
                case.book.amount_minor,
            )
            for case in self.account.open_cases()
        }


@dataclass(frozen=True)
class History:
    """What is read at its own time and what that leads to; then what is read all at once, dated before and after."""

    policies: Policies
    before: list[Event]
    until: datetime
    facts: list[Event]


def history(rng: Random) -> History:
    """The case is open before, with a request or without, or its first failure is one of the facts."""
    first = failed("03-20 10:00", failure=rng.choice((SOFT, SOFT, TECHNICAL, NEEDS_CUSTOMER, HARD)))
    first = replace(first, payment_method=rng.choice((VISA, None)))
    hours = rng.sample(range(-2, 130), k=rng.choice((2, 3, 3, 4)))
    facts: list[Event] = [
        fact(rng, START + timedelta(hours=each, minutes=7), number) for number, each in enumerate(hours, 2)
    ]
    until = START + timedelta(hours=rng.choice(PASSED))
    if rng.random() < 0.3:
        return History(rng.choice(POLICIES), [], START, [first, *facts])
    return History(rng.choice(POLICIES), [first], until, facts)


def fact(rng: Random, at: datetime, number: int) -> Event:
    """Something that happened at an instant."""
    when = at.strftime("%m-%d %H:%M")
    retry_id = f"{ids.case_id('acc_1', 'in_1', 1)}:{rng.choice((2, 2, 3))}"
    more: dict[str, Any] = {"payment_id": f"pay_{number}", "attempt_number": number}
    match rng.choice(("answer", "answer", "try", "try", "other", "method", "method", "now", "halt", "money")):
        case "answer":
            return a_failure(rng, when, retry_id=retry_id, **more)
        case "try":
            return a_failure(rng, when, initiated_by="customer", **more)
        case "other":
            return a_failure(rng, when, invoice_id="in_2", **more)
        case "method":
            return new_card(when, rng.choice((VISA, OTHER_VISA, BANK_DEBIT)))
        case "now":
            return signal("retry.now", when)
        case "halt":
            kind = rng.choice(("case.paused", "case.resumed", "dispute.opened", "dispute.closed"))
            return signal(kind, when, invoice_id="in_1")
        case _:
            return paid(when, remaining=rng.choice((1500, 1500, 0)), retry_id=rng.choice((retry_id, None)))


def a_failure(rng: Random, when: str, **more: Any) -> PaymentFailed:
    if rng.random() < 0.1:
        return overdue(when, **more)
    failure = rng.choice((SOFT, SOFT, TECHNICAL, HARD, HARD, NEEDS_CUSTOMER))
    return failed(when, failure=failure, payment_method=rng.choice(METHODS), **more)


def ends(begun: Retrying, order: Sequence[Event], now: datetime) -> dict[str, Any]:
    """What is open after reading."""
    track, begun.track = begun.track, None  # type: ignore[assignment]  # not worth a copy
    read = deepcopy(begun)
    begun.track = read.track = track
    for event in order:
        read.read(event, now)
    return read.standing()


def difference(seed: int) -> str | None:
    """Two orders of reading that end otherwise, if there are such."""
    given = history(Random(seed))
    begun = Retrying(given.policies)
    for event in given.before:
        begun.read(event, START)
    begun.pass_time(given.until)
    read_at = START + timedelta(hours=131)
    orders = list(permutations(within_reason(given.facts, begun)))
    told: dict[str, Sequence[Event]] = {}
    for order in orders[:: max(1, len(orders) // ORDERS_MAX)]:
        told.setdefault(repr(ends(begun, order, read_at)), order)
    if len(told) == 1:
        return None
    return "\n".join([f"seed {seed}", *(f"{[short(e) for e in order]}\n    {end}" for end, order in told.items())])


def within_reason(facts: Sequence[Event], begun: Retrying) -> list[Event]:
    """A request is answered once. Rule 7 says itself how an open one depends on what was read before the money. And a
    failure dated after a request's end is not read before what happened to the request in its time: it ends it."""
    requests = [case.open_request for case in begun.account.open_cases() if case.open_request]
    ends = {request.retry_id: request.not_after for request in requests}
    is_settled = any(
        event.kind in MARKING if isinstance(event, Signal) else own_time(event) < ends.get(event.retry_id or "", START)
        for event in facts
    )
    answered: set[str] = set()
    kept: list[Event] = []
    for event in facts:
        retry_id = getattr(event, "retry_id", None)
        is_money = isinstance(event, PaymentSucceeded) and event.amount_remaining_minor == 0
        is_late = isinstance(event, PaymentFailed) and event.failed_at >= min(ends.values(), default=FOREVER)
        if not (retry_id in answered or (is_money and requests) or (is_late and is_settled)):
            kept.append(event)
        if retry_id is not None:
            answered.add(retry_id)
    return kept


def own_time(event: PaymentFailed | PaymentSucceeded) -> datetime:
    return event.failed_at if isinstance(event, PaymentFailed) else event.succeeded_at


def short(event: Event) -> str:
    """An event as a word."""
    match event:
        case PaymentFailed():
            method = event.payment_method.id if event.payment_method else "?"
            retry = event.retry_id[-2:] if event.retry_id else ""
            return f"{event.failed_at:%d %H} {event.invoice_id} {event.failure.code} {method} {retry}"
        case PaymentSucceeded():
            return f"{event.succeeded_at:%d %H} paid, left {event.amount_remaining_minor} {(event.retry_id or '')[-2:]}"
        case _:
            return f"{event.at:%d %H} {event.kind} {event.payment_method.id if event.payment_method else ''}"


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_every_order_of_reading_ends_in_the_same_stage_plan_and_request(first: int) -> None:
    differences = [found for seed in range(first, first + 100) if (found := difference(seed))]

    assert not differences, f"{len(differences)}: {differences[0]}"
