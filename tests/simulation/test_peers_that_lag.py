"""Who reads everything at once and late agrees with account enforcement, which read it as it came (rules 8 and 39).

Failures, money, voids and reinstatements of one or two invoices come at their own times or hours to days later. What
account enforcement made of them, terminations among it, is read with them by a retry scheduler and a dispatcher that
were away: every topic in its order, the topics side by side at random.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from msgspec.structs import replace

from dunning.domain.events import Input, PaymentFailed, PaymentSucceeded, Signal, StageChanged
from dunning.domain.words import RESTRICTING, AccountStage, Channel, Track
from dunning_cli.simulation.world import World
from notification_dispatcher.case import NoticeAccount
from notification_dispatcher.decide import NoticeTrack
from retry_scheduler.case import RetryAccount
from retry_scheduler.decide import RetryTrack
from tests.builders import PAST_DUE, a_notice, a_policy, failed, paid, policies, signal

HISTORIES, ORDERS = 120, 6
START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=16)
LADDER = [
    PAST_DUE,
    a_notice("warning", "1d", template="suspension_warning"),
    {"rung": "suspended", "at": "2d", "account": "suspended", "warned_by": "warning", "lead": "1d"},
    a_notice("final", "3d", template="final_notice"),
    {"rung": "terminated", "at": "4d", "account": "terminated", "warned_by": "final", "lead": "1d"},
]
POLICIES = policies(a_policy(ladder=LADDER, retries={"after": ["1d", "3d"]}))
TOPICS = (PaymentFailed, PaymentSucceeded, Signal, StageChanged)

Event = PaymentFailed | PaymentSucceeded | Signal


def history(rng: Random) -> list[tuple[datetime, Event]]:
    """What comes and when. Money and voids may be late for days; reinstatements come in the order of their times."""
    found = []
    for number in range(1, rng.randint(5, 9)):
        own = START + timedelta(hours=rng.randint(0, 264), minutes=rng.randint(1, 50))
        kind = (
            "failed" if number == 1 else rng.choices(["failed", "paid", "part", "back", "void"], [5, 4, 1, 3, 0.6])[0]
        )
        late = {"failed": (0, 0, 0, 0, 3), "back": (0,)}.get(kind, (0, 0, 0, 0, 6, 30, 80))
        found.append(
            (own + timedelta(hours=rng.choice(late)), event(kind, own, number, rng.choice(("in_1", "in_1", "in_2"))))
        )
    return sorted(found, key=lambda each: each[0])


def event(kind: str, own: datetime, number: int, invoice_id: str) -> Event:
    match kind:
        case "failed":
            more: dict[str, Any] = {"invoice_id": invoice_id, "payment_id": f"pay_{number}", "payment_method": None}
            return replace(failed("03-02 00:00", attempt_number=number, **more), failed_at=own)
        case "paid" | "part":
            remaining = 1000 if kind == "part" else 0
            return replace(paid("03-02 00:00", remaining, invoice_id=invoice_id), succeeded_at=own)
        case "back":
            return replace(signal("account.reinstated", "03-02 00:00"), at=own)
        case _:
            return replace(signal("invoice.voided", "03-02 00:00", invoice_id=invoice_id), at=own)


def as_it_came(came: Sequence[tuple[datetime, Event]]) -> tuple[Any, list[StageChanged]]:
    """Account enforcement's account in the end, and what it told of restrictions."""
    world = World(POLICIES)
    for at, each in came:
        world.run_timers(at, inclusive=False)
        world.read(each, at)
    world.run_timers(END, inclusive=True)
    outputs = [published.output for published in world.take_published()]
    told = [each for each in outputs if isinstance(each, StageChanged) and each.track == Track.ACCOUNT]
    return world.rooms[2].accounts["acc_1"], [each for each in told if each.to_stage in RESTRICTING]


def side_by_side(rng: Random, events: Sequence[Input]) -> list[Input]:
    """The topics merged at random, some records of one at a time."""
    left = [topic for kind in TOPICS if (topic := [each for each in events if isinstance(each, kind)])]
    order: list[Input] = []
    while left:
        topic = rng.choice(left)
        taken = rng.choice((1, 1, 2, 5))
        order += topic[:taken]
        del topic[:taken]
        left = [each for each in left if each]
    return order


def scheduler(events: Sequence[Input]) -> Any:
    track, account = RetryTrack(lambda: POLICIES), RetryAccount("acc_1")
    for each in events:
        if not isinstance(each, StageChanged) or each.to_stage == AccountStage.TERMINATED:
            track.decide(account, each, END)
    return account


def dispatcher(events: Sequence[Input]) -> Any:
    track = NoticeTrack(lambda: POLICIES, frozenset(Channel), frozenset())
    account = NoticeAccount("acc_1")
    for each in events:
        track.decide(account, each, END)
    return account


def standing(account: Any) -> tuple[bool, dict[str, tuple[str, list[int], int]]]:
    cases = {
        case.invoice_id: (case.case_id, [attempt.number for attempt in case.book.attempts], case.book.amount_minor)
        for case in account.open_cases()
    }
    return account.is_terminated, cases


def test_who_was_away_ends_with_the_same_open_cases_as_account_enforcement() -> None:
    terminations = 0
    for seed in range(HISTORIES):
        rng = Random(seed)
        came = history(rng)
        enforced, told = as_it_came(came)
        terminations += any(each.to_stage == AccountStage.TERMINATED for each in told)
        for _ in range(ORDERS):
            order = side_by_side(rng, [*(each for _, each in came), *told])
            for account in (scheduler(order), dispatcher(order)):
                assert standing(account) == standing(enforced), (seed, type(account).__name__)
    assert terminations > HISTORIES / 2
