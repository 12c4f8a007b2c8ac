"""What holds for every history: nothing twice, nothing early, nothing after the money, in whatever order it is read."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from random import Random
from typing import Any, TypeVar

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.contracts.encode_inputs import payment_failed_data, payment_succeeded_data, signal_data
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning.domain.decision import Decision
from dunning.domain.events import (
    AccountStatus,
    Customer,
    Input,
    NoticeResult,
    Output,
    PaymentFailed,
    PaymentMethod,
    PaymentSucceeded,
    RetryRequested,
    Signal,
    StageChanged,
    TimerDue,
)
from dunning.domain.words import Channel
from dunning.runtime.repository import StateRepository
from dunning_cli.simulation.lines import InputLine
from dunning_cli.simulation.processor import Processor, Scripted, Silent
from dunning_cli.simulation.simulate import Simulation
from dunning_cli.simulation.world import World
from notification_dispatcher.case import NoticeAccount, NoticeCase
from retry_scheduler.case import RetryAccount, RetryCase
from tests.builders import (
    ADA,
    HARD,
    NEEDS_CUSTOMER,
    OTHER_VISA,
    SOFT,
    TECHNICAL,
    VISA,
    a_notice,
    a_policy,
    failed,
    paid,
    policies,
    signal,
)  # fmt: skip
from tests.marked import with_marks

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
STARTS = (  # around clock changes and a leap day
    "2026-03-27 22:30", "2026-10-24 00:30", "2028-02-28 13:15", "2026-03-07 07:30", "2026-12-31 23:59",
)  # fmt: skip
LADDER = [
    {**a_notice("hello", "0d", "email", "sms"), "account": "past_due"},
    a_notice("reminder", "2d", "email", fallback=["sms"]),
    {"rung": "limited", "at": "3d", "account": "restricted"},
    a_notice("warning", "4d", "sms", fallback=["email", "letter"]),
    a_notice("suspended", "6d12h", "email", account="suspended", warned_by="warning", template="suspended"),
    a_notice("final", "8d", "email", fallback=["in_app"]),
    {"rung": "terminated", "at": "12d", "account": "terminated", "warned_by": "final"},
]
RETRIES = {"after": ["1d", "2d"], "max_retries": 3, "window": "9d", "hours": ["06:00", "22:00"]}
CAPPED = {"quiet_hours": {"sms": ["20:00", "09:00"]}, "caps": {"email": {"1d": 1}, "all": {"7d": 5}}}
POLICIES = [
    policies(a_policy(timezone="account", ladder=LADDER, retries=RETRIES)),
    policies(a_policy(timezone="account", ladder=LADDER, retries={"after": ["36h"]}, anchor="due_date")),
    policies(a_policy(timezone="account", ladder=LADDER, retries=None, contact=CAPPED)),
    policies(a_policy(timezone="UTC", ladder=LADDER[:2], retries={"after": [], "technical_after": ["1h"]})),
    policies(
        a_policy(
            ladder=LADDER,
            retries=RETRIES,
            conditions={
                "reminder": {"tags_none": ["vip"]},
                "suspended": {"unpaid_invoices_at_least": 2, "balance_at_least": {"EUR": 4000}},
            },
        )
    ),
]


@dataclass(frozen=True)
class Heard:
    """An event and when it is read."""

    at: datetime
    event: PaymentFailed | PaymentSucceeded | Signal


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(0, most * 4).map(lambda quarters: timedelta(minutes=15 * quarters))


customers = st.builds(
    lambda zone, email, phone: replace(ADA, timezone=zone, email=email, phone=phone),
    st.sampled_from((*ZONES, None)),
    st.sampled_from(("a@example.com", "b@example.com", None)),
    st.sampled_from(("+491", None)),
)
methods: st.SearchStrategy[PaymentMethod | None] = st.sampled_from((VISA, OTHER_VISA, None))
failures = st.builds(
    lambda number, invoice, failure, method, customer, by, due: failed(
        "01-01 00:00", attempt_number=number, payment_id=f"pay_{number}", invoice_id=invoice, failure=failure,
        payment_method=method, customer=customer, initiated_by=by, amount_due_minor=4000 + number,
        due_at=utc("2026-03-20 12:00") if due else None,
    ),
    st.integers(1, 6),
    st.sampled_from(("in_1", "in_1", "in_2")),
    st.sampled_from((SOFT, SOFT, SOFT, TECHNICAL, HARD, NEEDS_CUSTOMER)),
    methods,
    customers | st.none(),
    st.sampled_from((None, "customer")),
    st.booleans(),
)  # fmt: skip
successes = st.builds(
    lambda remaining, invoice: paid("01-01 00:00", remaining=remaining, invoice_id=invoice),
    st.sampled_from((0, 0, 1500)),
    st.sampled_from(("in_1", "in_2")),
)
pauses: st.SearchStrategy[Signal] = st.one_of(
    st.builds(
        lambda kind, invoice: signal(kind, "01-01 00:00", invoice_id=invoice, reason="asked for time"),
        st.sampled_from(("case.paused", "case.resumed", "case.resumed")),
        st.sampled_from(("in_1", "in_2", None)),
    ),
    st.sampled_from(
        (
            signal("dispute.opened", "01-01 00:00"),
            signal("dispute.closed", "01-01 00:00"),
            signal("case.extended", "01-01 00:00", by="1d6h"),
        )
    ),
)
signals = st.one_of(
    st.builds(
        lambda m: signal("payment_method.updated", "01-01 00:00", payment_method=m), st.sampled_from((VISA, OTHER_VISA))
    ),
    st.builds(lambda c: signal("customer.updated", "01-01 00:00", customer=c), customers),
    st.builds(
        lambda rung, channel, permanent: signal(
            "notice.bounced", "01-01 00:00", rung=rung, channel=channel, permanent=permanent
        ),
        st.sampled_from(("hello", "reminder", "warning", "final")),
        st.sampled_from((Channel.EMAIL, Channel.SMS)),
        st.booleans(),
    ),
    st.builds(
        lambda channel, allowed: signal("consent.changed", "01-01 00:00", channel=channel, allowed=allowed),
        st.sampled_from((Channel.EMAIL, Channel.SMS)),
        st.booleans(),
    ),
    st.builds(
        lambda left: signal("invoice.adjusted", "01-01 00:00", amount_remaining_minor=left), st.sampled_from((0, 700))
    ),
    st.sampled_from(
        (
            signal("invoice.voided", "01-01 00:00"),
            signal("case.closed", "01-01 00:00", reason="written_off"),
            signal("retry.now", "01-01 00:00"),
            signal("account.reinstated", "01-01 00:00", reason="goodwill"),
            signal("account.tagged", "01-01 00:00", tag="vip"),
            signal("account.untagged", "01-01 00:00", tag="vip"),
            signal("account.erased", "01-01 00:00"),
        )
    ),
    pauses,
)

E = TypeVar("E", bound=PaymentFailed | PaymentSucceeded | Signal)


def at_its_time(event: E, own: datetime) -> E:
    names = {"PaymentFailed": "failed_at", "PaymentSucceeded": "succeeded_at", "Signal": "at"}
    return replace(event, **{names[type(event).__name__]: own})


@st.composite
def histories(draw: st.DrawFn) -> list[Heard]:
    """A failure, then up to nine things within a month, some of them read days after they happened."""
    start = utc(draw(st.sampled_from(STARTS)))
    first = Heard(start, at_its_time(draw(failures), start))
    heard = [first]
    for event in draw(st.lists(failures | successes | signals, max_size=9)):
        own = start + draw(hours(20 * 24))
        heard.append(Heard(own + draw(st.just(timedelta()) | hours(5 * 24)), at_its_time(event, own)))
    return sorted(heard, key=lambda each: each.at)


processors: st.SearchStrategy[Processor] = st.sampled_from(
    (Silent(), Scripted(succeeds=False), Scripted(succeeds=True))
)
scenes = st.tuples(histories(), st.sampled_from(POLICIES), processors)
Scene = tuple[list[Heard], Any, Processor]


def line_of(number: int, heard: Heard) -> InputLine:
    match heard.event:
        case PaymentFailed():
            topic, data = PAYMENT_FAILED, payment_failed_data(heard.event)
        case PaymentSucceeded():
            topic, data = PAYMENT_SUCCEEDED, payment_succeeded_data(heard.event)
        case _:
            topic, data = SIGNALS, signal_data(heard.event)
    return InputLine(number, heard.at, topic, orjson.dumps(data))


def simulated(scene: Scene, lines: Sequence[InputLine]) -> list[bytes]:
    told = Simulation(scene[1], scene[2]).run(lines, lines[-1].at + timedelta(days=90))
    return [line.text for line in told.lines]


def played(scene: Scene, world: World) -> World:
    """What changes is marked, or the store would not keep it."""
    with_marks(world)
    for heard in scene[0]:
        world.run_timers(heard.at, inclusive=False)
        world.read(heard.event, heard.at)
    world.run_timers(scene[0][-1].at + timedelta(days=90), inclusive=True)
    return world


@FEW
@given(scenes)
def test_every_event_twice_is_every_event_once_and_the_same_input_gives_the_same_bytes(scene: Scene) -> None:
    lines = [line_of(number, heard) for number, heard in enumerate(scene[0])]

    once = simulated(scene, lines)
    doubled = simulated(scene, [line for line in lines for _ in range(2)])
    at_once = [dataclasses.replace(line, at=lines[-1].at) for line in lines]
    again = simulated(scene, sorted([*lines, *at_once], key=lambda line: line.at))

    assert doubled == once
    assert again == once


class Forgetful(World):
    """Keeps rows, not objects: every decision is made on what a row brings back, and only on the rows it may expect."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.codecs: tuple[StateRepository[Any, Any], ...] = (
            StateRepository(RetryAccount, RetryCase),
            StateRepository(NoticeAccount, NoticeCase),
            StateRepository(EnforcedAccount, AccountCase),
        )

    def _decide(self, number: int, event: Input, now: datetime) -> Decision:
        room, codec = self.rooms[number], self.codecs[number]
        whole = room.accounts.get(event.account_id) or codec.new_account(event.account_id)
        needed = [
            codec.encode_case(whole, invoice_id)
            for invoice_id, case in sorted(whole.cases.items())
            if case.is_open or invoice_id == getattr(event, "invoice_id", None) or _names(event, case)
        ]
        loaded = codec.decode_account(event.account_id, codec.encode_account(whole), needed)
        room.accounts[event.account_id] = loaded
        decision = super()._decide(number, event, now)
        for invoice_id, case in whole.cases.items():
            loaded.cases.setdefault(invoice_id, case)
        return decision


def _names(event: Input, case: Any) -> bool:
    """A receipt by the notice's id finds its case in the store."""
    notice_id = getattr(event, "notice_id", None)
    return notice_id is not None and any(notice.id == notice_id for notice in getattr(case, "notices", ()))


@FEW
@given(scenes)
def test_states_survive_their_rows_after_every_step(scene: Scene) -> None:
    kept = played(scene, World(scene[1], scene[2]))
    reread = played(scene, Forgetful(scene[1], scene[2]))

    assert [each.output for each in reread.published] == [each.output for each in kept.published]


def _counted_for(output: Output) -> str:
    """Whose sequence it is: a case's, of an account's status the account's (rule 2)."""
    match output:
        case AccountStatus():
            return output.account_id
        case NoticeResult():
            return output.case_ids[0]
    return output.case_id


def check_chains(world: World) -> None:
    sequences: dict[tuple[str, ...], list[int]] = defaultdict(list)
    chains: dict[tuple[str, str], list[StageChanged]] = defaultdict(list)
    outputs = [each.output for each in world.published]
    for output in outputs:
        sequences[type(output).__name__, _counted_for(output), getattr(output, "track", "")].append(output.sequence)
        if isinstance(output, StageChanged):
            chains[output.case_id, output.track].append(output)

    for numbers in sequences.values():
        assert numbers == list(range(1, len(numbers) + 1))
    for (_, track), chain in chains.items():
        assert chain[0].from_stage == ("active" if track == "account" else "none")
        assert all(before.to_stage == after.from_stage for before, after in pairwise(chain))
    assert max(Counter(output.event_id for output in outputs).values(), default=1) == 1


@FEW
@given(scenes)
def test_sequences_have_no_gaps_and_every_stage_follows_the_one_before(scene: Scene) -> None:
    check_chains(played(scene, World(scene[1], scene[2])))


class Lagging(World):
    """Services that read their peers' news late, in order, while they go on with their own inputs and timers."""

    lag: Random

    def _settle(self, now: datetime) -> None:
        held = []
        while self._news and self.lag.random() < 0.6:
            held.append(self._news.pop())
        super()._settle(now)
        self._news.extend(reversed(held))


@FEW
@given(scenes, st.randoms(use_true_random=False))
def test_services_that_lag_behind_each_other_still_tell_whole_stories(scene: Scene, lag: Random) -> None:
    world = Lagging(scene[1], scene[2])
    world.lag = lag

    check_chains(played(scene, world))


@FEW
@given(scenes)
def test_no_attempt_is_asked_for_twice_and_never_while_another_is_open(scene: Scene) -> None:
    requests = [each.output for each in played(scene, World(scene[1], scene[2])).published]
    asked = Counter((each.invoice_id, each.attempt_number) for each in requests if isinstance(each, RetryRequested))

    assert max(asked.values(), default=1) == 1


@FEW
@given(scenes, st.sampled_from(("in_1", "in_2")))
def test_nothing_follows_the_money(scene: Scene, invoice_id: str) -> None:
    history, end = scene[0], scene[0][-1].at + timedelta(hours=1)
    payment = at_its_time(paid("01-01 00:00", invoice_id=invoice_id), end)

    world = played(([*history, Heard(end, payment)], scene[1], scene[2]), World(scene[1], scene[2]))

    after = [
        each.output
        for each in world.published
        if each.at > end and getattr(each.output, "invoice_id", "") == invoice_id
    ]
    assert after == []


@FEW
@given(scenes)
def test_no_rung_comes_before_its_date_and_nobody_is_suspended_without_a_warning(scene: Scene) -> None:
    world = played(scene, World(scene[1], scene[2]))
    earliest = min(each.event.failed_at for each in scene[0] if isinstance(each.event, PaymentFailed))
    anchor = min(earliest, utc("2026-03-20 12:00")) if scene[1] is POLICIES[1] else earliest
    warned: dict[tuple[str, str], datetime] = {}
    for published in world.published:
        output = published.output
        if getattr(output, "outcome", "") == "delivered":
            warned.setdefault((output.invoice_id, output.rung), published.at)  # type: ignore[union-attr]  # a result
        if isinstance(output, StageChanged) and output.details.get("rung") == "suspended" and output.track == "account":
            assert published.at >= anchor + timedelta(days=6, hours=10)
            assert published.at >= warned[output.invoice_id, "warning"] + timedelta(days=2, hours=10)
        if isinstance(output, StageChanged) and output.to_stage == "terminated":
            assert published.at >= anchor + timedelta(days=12) - timedelta(hours=2)
            assert published.at >= warned[output.invoice_id, "final"] + timedelta(days=4) - timedelta(hours=2)


@FEW
@given(st.sampled_from(STARTS), st.sampled_from(ZONES), st.sampled_from(POLICIES))
def test_no_retry_comes_before_its_distance(start: str, zone: str, policy: Any) -> None:
    first = at_its_time(failed("01-01 00:00", customer=replace(ADA, timezone=zone)), utc(start))

    world = played(
        ([Heard(first.failed_at, first)], policy, Scripted(succeeds=False)), World(policy, Scripted(succeeds=False))
    )

    charged = [first.failed_at, *(each.at for each in world.published if isinstance(each.output, RetryRequested))]
    assert all(after - before >= timedelta(hours=22) for before, after in pairwise(charged))


class Watched(World):
    """Counts how often the same timer fires at one instant."""

    fired: Counter[tuple[datetime, int, str]]

    def _decide(self, number: int, event: Input, now: datetime) -> Decision:
        if isinstance(event, TimerDue):
            self.fired[now, number, event.invoice_id] += 1
            assert self.fired[now, number, event.invoice_id] < 6, "a timer that makes no progress"
        return super()._decide(number, event, now)


@FEW
@given(scenes)
def test_a_timer_that_fired_never_leaves_the_same_due_time(scene: Scene) -> None:
    world = Watched(scene[1], scene[2])
    world.fired = Counter()

    played(scene, world)


def standing(world: World) -> dict[str, Any]:
    """The open cases with their ids, stages and amounts, and the account's status."""
    found: dict[str, Any] = {}
    for room in world.rooms:
        for account in room.accounts.values():
            for case in account.open_cases():
                found[f"{room.name} {case.invoice_id}"] = (
                    case.case_id,
                    case.number,
                    case.stage,
                    case.book.amount_minor,
                )
    enforced = world.rooms[2].accounts["acc_1"]
    assert isinstance(enforced, EnforcedAccount)
    found["status"] = enforced.published.status, enforced.published.to_reinstate
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_order_of_reading_the_payments_ends_in_the_same_cases(data: st.DataObject) -> None:
    start = utc("2026-03-20 10:00")
    policy = data.draw(st.sampled_from(POLICIES))
    times = data.draw(st.lists(st.integers(0, 400), min_size=2, max_size=5))
    events: list[PaymentFailed | PaymentSucceeded | Signal] = []
    for number, at in enumerate(times, 1):
        event = data.draw(failures | successes | pauses)
        if isinstance(event, PaymentFailed):  # a processor numbers its attempts in the order of their times
            event = replace(event, invoice_id="in_1", payment_id=f"pay_{number}", customer=Customer(timezone="UTC"))
        if not isinstance(event, Signal):
            event = replace(event, invoice_id="in_1")
        events.append(at_its_time(event, start + timedelta(hours=at)))
    read_at = start + timedelta(hours=500)

    def read(order: Sequence[PaymentFailed | PaymentSucceeded | Signal]) -> tuple[dict[str, Any], dict[str, Any]]:
        world = World(policy)
        for event in order:
            world.read(event, read_at)
        before = standing(world)
        world.run_timers(read_at, inclusive=True)
        return before, standing(world)

    expected = read(events)
    orders = list(permutations(events))
    for order in orders[:: max(1, len(orders) // 24)]:
        assert read(order) == expected
