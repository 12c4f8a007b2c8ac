"""A service that is ahead of its peers, or behind them, loses nothing (rules 7, 33 and 39)."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from account_enforcement.case import EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.contracts.encode import Message, encode
from dunning.domain import ids
from dunning.domain.events import Input, NoticeResult, PolicyRef, StageChanged, TimerDue
from dunning.domain.words import AccountStage, Channel, Track
from notification_dispatcher.case import NoticeAccount
from notification_dispatcher.decide import NoticeTrack
from retry_scheduler.case import RetryAccount
from retry_scheduler.decide import RetryTrack
from tests.builders import PAST_DUE, SUSPENDED, WARNING, a_notice, a_policy, failed, instant, paid, policies, signal
from tests.platform.world import service_of

LADDER = [PAST_DUE, WARNING, SUSPENDED, a_notice("after", "20d")]
IN_FORCE = policies(a_policy(ladder=LADDER, retries=None))
WITH_RETRIES = policies(a_policy(ladder=LADDER))
FIRST, SECOND, THIRD = (ids.case_id("acc_1", "in_1", number) for number in (1, 2, 3))


def delivered(case_id: str, at: str) -> NoticeResult:
    """The dispatcher's word that the warning reached the customer."""
    return NoticeResult(
        event_id=f"delivered {case_id}", sequence=1, causation_id="", notice_id=f"notice of {case_id}",
        case_ids=(case_id,), account_id="acc_1", invoice_id="in_1", rung="warning", channel="email",
        template="suspension_warning", locale="en", outcome="delivered", reason=None, provider=None,
        provider_message_id=None, at=instant(at),
    )  # fmt: skip


def suspended(case_id: str, at: str) -> StageChanged:
    """Account enforcement's word that it suspended a case."""
    return StageChanged(
        event_id=f"suspended {case_id}", sequence=2, causation_id="", case_id=case_id, account_id="acc_1",
        invoice_id="in_1", track="account", from_stage="past_due", to_stage="suspended", reason="grace_period_expired",
        effective_at=instant(at), policy=PolicyRef("standard", 1), next=None, amount_minor=4900, currency="EUR",
        details={"rung": "suspended"},
    )  # fmt: skip


def terminated(case_id: str, at: str) -> StageChanged:
    """Account enforcement's word that it terminated a case."""
    return replace(suspended(case_id, at), from_stage="suspended", to_stage="terminated", details={"rung": "end"})


def after(track: Any, account: Any, inputs: Sequence[Input], at: str) -> Any:
    """The invoice's case after these inputs, read at one instant."""
    for event in inputs:
        track.decide(account, event, instant(at))
    return account.cases["in_1"]


def enforced(*inputs: Input) -> Any:
    return after(AccountTrack(lambda: IN_FORCE), EnforcedAccount("acc_1"), inputs, "03-14 00:00")


def retried(*inputs: Input) -> Any:
    return after(RetryTrack(lambda: WITH_RETRIES), RetryAccount("acc_1"), inputs, "03-16 10:00")


def dispatched(*inputs: Input) -> Any:
    track = NoticeTrack(lambda: IN_FORCE, frozenset(Channel), frozenset())
    return after(track, NoticeAccount("acc_1"), inputs, "03-16 10:00")


@pytest.mark.parametrize("name", ["retry_scheduler", "notification_dispatcher"])
def test_no_stage_that_is_passed_over_unread_would_be_wanted(name: str) -> None:
    service = service_of(name, 1)
    account_s = suspended(FIRST, "03-14 00:00")
    stages = [replace(account_s, track=track, to_stage=stage) for track in Track for stage in (*AccountStage, "x")]

    unread = [each for each in stages if source_in(encode(each)) in service.unheard["dunning.stage.changed"]]

    assert {each.track for each in unread} == {"retry", "notice"}
    assert not any(map(service.wanted, unread))


def source_in(message: Message) -> bytes:
    return dict(message.headers)["ce_source"]


def test_a_delivery_that_is_heard_of_before_the_failure_counts() -> None:
    case = enforced(
        delivered(FIRST, "03-13 10:00"), failed("03-02 10:00"), TimerDue("", "acc_1", "in_1", instant("03-14 00:00"))
    )

    assert (case.stage, case.due_at) == ("past_due", instant("03-16 10:00"))


def test_a_delivery_of_the_renumbered_case_counts_once_the_success_was_read() -> None:
    opened = (failed("03-02 10:00"), delivered(SECOND, "03-13 10:00"))
    timer = TimerDue("", "acc_1", "in_1", instant("03-14 00:00"))

    assert enforced(*opened, timer).due_at is None
    assert enforced(*opened, paid("03-01 10:00"), timer).due_at == instant("03-16 10:00")


def test_a_delivery_of_the_case_before_does_not_count() -> None:
    case = enforced(
        paid("03-01 10:00"),
        failed("03-02 10:00"),
        delivered(FIRST, "03-13 10:00"),
        TimerDue("", "acc_1", "in_1", instant("03-14 00:00")),
    )

    assert case.due_at is None


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_delivery_of_the_case_whose_number_a_renumbered_case_had_does_not_count(order: Sequence[int]) -> None:
    """What failed first was not read here, so its case's number went to the next one; the dispatcher had read it."""
    told: list[Input] = [failed("03-02 10:00"), delivered(FIRST, "02-27 10:00"), paid("03-01 10:00")]

    case = enforced(*(told[place] for place in order))

    assert case.deliveries_of("warning") == []


def test_a_suspension_of_the_case_whose_number_a_renumbered_case_had_does_not_count() -> None:
    early: list[Input] = [suspended(FIRST, "02-27 10:00"), paid("03-01 10:00"), failed("03-02 10:00")]
    late: list[Input] = [failed("03-02 10:00"), paid("03-01 10:00"), suspended(FIRST, "02-27 10:00")]

    assert [dispatched(*told).happened for told in (early, late)] == [{}, {}]


def test_a_suspension_that_is_heard_of_before_the_failure_or_the_success_is_not_forgotten() -> None:
    early = dispatched(suspended(FIRST, "03-16 10:00"), failed("03-02 10:00"))
    renumbered = dispatched(failed("03-02 10:00"), suspended(SECOND, "03-16 10:00"), paid("03-01 10:00"))

    assert (early.next_rung, early.due_at) == (3, instant("03-22 10:00"))
    assert (renumbered.next_rung, renumbered.due_at) == (3, instant("03-22 10:00"))


def suspending_twice(details: dict[str, Any]) -> Any:
    """The dispatcher's case after one suspension by a ladder that suspends a second time."""
    ladder = [PAST_DUE, WARNING, SUSPENDED, {**SUSPENDED, "rung": "suspended_for_good", "at": "20d"}]
    in_force = policies(a_policy(ladder=[*ladder, a_notice("after", "25d")], retries=None))
    track = NoticeTrack(lambda: in_force, frozenset(Channel), frozenset())
    news = replace(suspended(FIRST, "03-16 10:00"), details=details)
    return after(track, NoticeAccount("acc_1"), (failed("03-02 10:00"), news), "03-16 10:00")


@pytest.mark.parametrize(
    ("details", "happened", "next_rung"),
    [
        ({"rung": "suspended"}, "suspended", 3),
        ({"rung": "suspended_for_good"}, "suspended_for_good", 4),
        ({"rung": "after"}, "suspended", 3),  # which does not suspend
        ({"rung": "of a ladder that is no more"}, "suspended", 3),
        ({}, "suspended", 3),
    ],
)
def test_a_suspension_is_that_of_the_rung_that_it_names_or_else_of_the_first_that_suspends(
    details: dict[str, Any], happened: str, next_rung: int
) -> None:
    case = suspending_twice(details)

    assert (list(case.happened), case.next_rung) == ([happened], next_rung)


def test_news_of_the_next_case_that_is_heard_before_anything_of_the_one_before_is_kept_for_it() -> None:
    one_after_the_other = (failed("03-01 10:00"), paid("03-01 12:00"), failed("03-02 10:00", attempt_number=2))
    timer = TimerDue("", "acc_1", "in_1", instant("03-14 00:00"))

    behind = dispatched(suspended(SECOND, "03-16 10:00"), *one_after_the_other)
    enforcing = enforced(delivered(SECOND, "03-13 10:00"), *one_after_the_other, timer)

    assert (behind.next_rung, behind.due_at) == (3, instant("03-22 10:00"))
    assert (enforcing.stage, enforcing.due_at) == ("past_due", instant("03-16 10:00"))


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_that_is_heard_behind_the_payment_before_it_is_no_obstacle_to_the_next_case(tell: Any) -> None:
    """Account enforcement undoes it itself when it reads the payment (rule 37)."""
    opened = (failed("03-02 10:00", payment_method=None), paid("03-15 10:00"), terminated(FIRST, "03-15 11:00"))

    case = tell(*opened, failed("03-15 12:00", attempt_number=2, payment_method=None))

    assert (case.open, case.case_id) == (True, SECOND)


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_that_is_heard_before_an_older_payment_is_one_until_that_is_read(tell: Any) -> None:
    opened = (failed("03-02 10:00", payment_method=None), terminated(FIRST, "03-15 11:00"))
    again = failed("03-15 12:00", attempt_number=2, payment_method=None)

    assert not tell(*opened, again).open
    assert tell(*opened, paid("03-15 10:00"), again).case_id == SECOND


@pytest.mark.parametrize("tell", [dispatched, retried])
@pytest.mark.parametrize("heard", range(4))
def test_a_termination_of_the_next_case_is_kept_for_it_whatever_was_read_of_the_one_before(
    tell: Any, heard: int
) -> None:
    """Whoever was away for long reads the topics side by side; account enforcement had read all of it (rule 8)."""
    read = [
        failed("03-02 10:00", payment_method=None),
        failed("03-04 10:00", attempt_number=2, payment_method=None),
        paid("03-03 10:00"),
    ]
    for others in permutations(read):
        case = tell(*others[:heard], terminated(SECOND, "03-15 10:00"), *others[heard:])
        assert (case.open, case.case_id, case.closed_reason) == (False, SECOND, "terminated")
        assert case.book.terminated_at == instant("03-15 10:00")


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_that_an_earlier_payment_undid_stops_nothing_where_only_that_was_read_before(tell: Any) -> None:
    settled = failed("03-02 10:00", payment_method=None)
    again = failed("03-15 12:00", attempt_number=2, payment_method=None)

    case = tell(paid("03-03 10:00"), terminated(FIRST, "03-15 10:00"), settled, again)

    assert (case.open, case.case_id) == (True, SECOND)


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_that_is_heard_before_the_failure_closes_its_case_when_that_is_read(tell: Any) -> None:
    first = failed("03-02 10:00", payment_method=None)
    behind, ahead = tell(first, terminated(FIRST, "03-15 10:00")), tell(terminated(FIRST, "03-15 10:00"), first)

    assert (ahead.open, ahead.case_id) == (behind.open, behind.case_id) == (False, FIRST)
    assert (ahead.stage, ahead.closed_reason) == (behind.stage, behind.closed_reason)
    assert ahead.book.terminated_at == instant("03-15 10:00")


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_that_is_heard_behind_its_reinstatement_leaves_what_failed_later_in_the_next_case(
    tell: Any,
) -> None:
    opened = (failed("03-02 10:00", payment_method=None), failed("03-15 12:00", attempt_number=2, payment_method=None))
    back, heard = signal("account.reinstated", "03-15 11:00"), terminated(FIRST, "03-15 10:00")

    for order in ((*opened, back, heard), (*opened, heard, back), (opened[0], back, heard, opened[1])):
        case = tell(*order)
        assert (case.open, case.case_id, case.book.first.number) == (True, SECOND, 2)


def in_every_order(tell: Any, *inputs: Input) -> set[tuple[bool, str, int]]:
    """How the invoice may end: whether its case is open, which one it is, and what the next one's number would be."""
    cases = [tell(*order) for order in permutations(inputs)]
    return {(case.open, case.case_id if case.open else "", case.book.next_number) for case in cases}


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_that_is_heard_behind_a_later_payment_counts_as_where_it_is_heard_before(tell: Any) -> None:
    """The payment closed nothing, and the reinstatement behind it did: the next case is the third (rules 8 and 37)."""
    first, again = (failed(f"03-{day} 10:00", payment_method=None) for day in ("02", "13"))
    heard, back = terminated(FIRST, "03-11 10:00"), signal("account.reinstated", "03-12 10:00")

    assert in_every_order(tell, first, heard, paid("03-11 12:00"), back, again) == {(True, THIRD, 3)}


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_what_failed_before_the_reinstatement_opens_no_case_wherever_the_termination_is_heard(tell: Any) -> None:
    first, between = (failed(f"03-{at}", payment_method=None) for at in ("02 10:00", "11 14:00"))
    heard, back = terminated(FIRST, "03-11 10:00"), signal("account.reinstated", "03-12 10:00")

    assert in_every_order(tell, first, heard, paid("03-11 12:00"), between, back) == {(False, "", 3)}
    assert in_every_order(tell, first, heard, between, paid("03-11 16:00"), back) == {(False, "", 3)}


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_termination_is_undone_by_the_payment_that_closed_its_case_whatever_was_paid_later(tell: Any) -> None:
    """Of what was paid twice only the second payment is later."""
    first, again = (failed(f"03-{day} 10:00", payment_method=None) for day in ("02", "13"))
    others = terminated(FIRST, "03-11 10:00"), paid("03-05 10:00"), paid("03-12 10:00")

    for heard in permutations(others):
        for place in range(4):
            case = tell(*heard[:place], first, *heard[place:], again)
            assert (case.open, case.case_id) == (True, THIRD)


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_payment_that_undid_the_termination_is_the_closing_also_where_the_reinstatement_was_read_before(
    tell: Any,
) -> None:
    """What failed between the two opened the next case, and the reinstatement closed nothing (rules 7, 8 and 37)."""
    first, between, again = (
        failed(f"03-{at}", attempt_number=number, payment_method=None)
        for number, at in enumerate(("02 10:00", "11 14:00", "13 10:00"), 1)
    )
    heard, back, money = (
        terminated(FIRST, "03-11 10:00"),
        signal("account.reinstated", "03-12 10:00"),
        paid("03-05 10:00"),
    )

    for order in permutations((between, back, money)):
        case = tell(first, heard, *order, again)
        numbers = [attempt.number for attempt in case.book.attempts]
        assert (case.open, case.case_id, numbers) == (True, SECOND, [2, 3])
    for order in permutations((heard, back, money, again)):
        case = tell(first, *order)
        assert (case.open, case.case_id, case.book.next_number) == (True, SECOND, 2)


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_of_two_reinstatements_the_first_behind_the_termination_lifts_it_though_both_were_read_before(
    tell: Any,
) -> None:
    first, again = (failed(f"03-{day} 10:00", payment_method=None) for day in ("02", "13"))
    back = [signal("account.reinstated", f"03-{day} 10:00") for day in ("10", "12", "14")]
    heard = terminated(FIRST, "03-11 10:00")

    for read in ((*back, heard, first), (heard, *back, first), (first, *back, heard), (first, heard, *back)):
        case = tell(*read, again)
        assert (case.open, case.case_id) == (True, SECOND)


@pytest.mark.parametrize("tell", [dispatched, retried])
def test_a_payment_of_before_the_terminated_case_does_not_undo_it_where_all_of_it_is_unseen_and_void(tell: Any) -> None:
    heard = terminated(SECOND, "03-11 10:00"), signal("invoice.voided", "03-12 10:00")
    read = [failed("03-02 10:00", payment_method=None), paid("03-01 10:00")]

    for others in permutations(read):
        assert tell(*heard, *others).book.terminated_at == instant("03-11 10:00")


def test_what_may_count_again_after_a_reinstatement_says_nothing_of_the_customer() -> None:
    """The invoice is not at hand any more when the account is erased (rule 12)."""
    first, between = (failed(at, payment_method=None) for at in ("03-02 10:00", "03-11 14:00"))
    heard, back = terminated(FIRST, "03-11 10:00"), signal("account.reinstated", "03-12 10:00")

    for order in ((heard, between, back), (heard, back, between)):
        case = retried(first, *order)
        assert [(event.failed_at, event.customer) for event in case.book.waiting] == [(between.failed_at, None)]


@pytest.mark.parametrize("heard", range(3))
@pytest.mark.parametrize(("voided_at", "stops"), [("03-10 10:00", False), ("03-12 10:00", True)])
def test_a_void_of_after_the_termination_leaves_the_account_terminated_in_whatever_order_they_are_read(
    heard: int, voided_at: str, stops: bool
) -> None:
    track = NoticeTrack(lambda: IN_FORCE, frozenset(Channel), frozenset())
    inputs: list[Input] = [failed("03-02 10:00", payment_method=None), signal("invoice.voided", voided_at)]
    for read in permutations(inputs):
        account = NoticeAccount("acc_1")
        after(track, account, [*read[:heard], terminated(FIRST, "03-11 10:00"), *read[heard:]], "03-16 10:00")
        assert account.is_terminated is stops
