"""What `case show` says of pauses, disputes, conditions and kept facts."""

from typing import Any

import pytest

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.domain.events import Input, Signal
from dunning_cli.cases.expected import Expected, account_expected, notice_expected, retry_expected
from dunning_cli.cases.kept import kept_signals
from dunning_cli.cases.read import Held
from dunning_cli.story import timeline
from notification_dispatcher.case import NoticeAccount, NoticeCase
from retry_scheduler.case import RetryCase
from tests.builders import LADDER, PAST_DUE, Story, a_notice, a_policy, failed, instant, policies, signal

FIRST = failed("03-02 10:00")
LIMITED = {"rung": "limited", "at": "3d", "account": "restricted"}
CONDITIONS = {"formal": {"unpaid_invoices_at_least": 2, "tags_none": ["vip"]}}


def signals_told(*inputs: Input) -> list[tuple[str, str]]:
    story = Story()
    for event in inputs:
        story.world.read(event, instant("03-10 00:00"))
    held = {room.name: Held(room.accounts["acc_1"], room.accounts["acc_1"].cases["in_1"]) for room in story.world.rooms}
    case = held["retry_scheduler"].case
    assert case is not None
    lines = timeline(kept_signals(held, case))
    return [(line.at.strftime("%m-%d %H:%M"), line.text) for line in lines]


def paused(at: str, **more: Any) -> Signal:
    return signal("case.paused", at, **{"invoice_id": "in_1", "reason": "asked for time", **more})


def with_details(kind: str, at: str, **details: Any) -> Signal:
    """A signal whose data matters beyond the fields of its own."""
    return signal(kind, at, invoice_id=None if kind == "payment_method.expiring" else "in_1", details=details)


def test_every_signal_that_is_kept_has_its_sentence() -> None:
    card = {"brand": "visa", "last4": "4242", "fingerprint": "fp_1", "exp_month": 3}
    parts = [
        {"due_at": "2026-04-01T00:00:00Z", "amount_minor": 2450},
        {"due_at": "2026-05-01T00:00:00Z", "amount_minor": 2450},
    ]

    assert signals_told(
        FIRST,
        paused("03-03 10:00", until=instant("03-04 12:30")),
        paused("03-04 10:00", invoice_id=None, reason="moving house"),
        signal("case.resumed", "03-05 10:00", invoice_id="in_1"),
        signal("dispute.opened", "03-05 11:00"),
        signal("dispute.closed", "03-05 12:00"),
        signal("case.extended", "03-06 10:00", by="1d12h"),
        signal("account.tagged", "03-06 11:00", tag="vip"),
        with_details("promise.made", "03-07 10:00", pay_by="2026-03-09T10:00:00Z"),
        with_details("plan.agreed", "03-08 10:00", installments=parts),
        with_details("payment_method.expiring", "03-09 10:00", payment_method=card),
    ) == [
        ("03-03 10:00", 'An operator paused the case until 2026-03-04 12:30 ("asked for time").'),
        ("03-04 10:00", 'An operator paused all cases of the account until case.resumed ("moving house").'),
        ("03-05 10:00", "An operator ended the pause."),
        ("03-05 11:00", "The customer disputes the invoice."),
        ("03-05 12:00", "The dispute is over."),
        ("03-06 10:00", "An operator gave more time: open dates move by 1d12h."),
        ("03-06 11:00", "The account was tagged: vip."),
        ("03-07 10:00", "The customer promised to pay by 2026-03-09 10:00."),
        ("03-08 10:00", "Payment in installments was agreed: 2, the last due 2026-05-01 00:00."),
        ("03-09 10:00", "The payment method expires soon (visa ending in 4242)."),
    ]


def test_what_was_over_before_the_case_is_not_told_but_a_pause_under_way_is() -> None:
    before = (
        paused("02-01 10:00", until=instant("02-02 10:00")),
        signal("account.untagged", "02-03 10:00", tag="vip"),
        with_details("promise.made", "02-04 10:00", pay_by="2026-02-09T10:00:00Z"),
    )

    assert signals_told(FIRST, *before) == []
    assert [at for at, _ in signals_told(FIRST, *before, paused("02-20 10:00", invoice_id=None))] == ["02-20 10:00"]


def test_of_each_kind_the_newest_is_kept_in_whatever_order_they_are_read() -> None:
    promises = [
        with_details("promise.made", f"03-0{day} 10:00", pay_by=f"2026-03-{day}1T10:00:00Z") for day in (1, 2, 3)
    ]
    promises[0] = with_details("promise.made", "03-04 10:00", pay_by="2026-03-20T10:00:00Z")

    assert signals_told(*promises, FIRST) == [("03-04 10:00", "The customer promised to pay by 2026-03-20 10:00.")]


def expected_after(policy: dict[str, Any], at: str, *inputs: Any) -> dict[str, Expected]:
    """What comes next on each track; of several on one, the first."""
    story, shelf, now = Story(policy).reads(*inputs).until(at), policies(policy), instant(at)
    found: dict[str, Expected] = {}
    for room in story.world.rooms:
        account = room.accounts["acc_1"]
        case = account.cases["in_1"]
        (pinned,) = shelf
        match account, case:
            case _, RetryCase():
                expected = [retry_expected(case, pinned, now)]
            case NoticeAccount(), NoticeCase():
                expected = list(notice_expected(account, case, pinned, {}, now))
            case EnforcedAccount(), AccountCase():
                expected = [account_expected(account, case, pinned, now)]
            case _:
                raise AssertionError(case)
        found[expected[0].track] = expected[0]
    return found


@pytest.mark.parametrize(
    ("began", "until", "why"),
    [
        (paused("03-03 09:00", until=instant("03-09 09:00")), "03-09 09:00", "paused until 2026-03-09T09:00:00Z"),
        (paused("03-03 09:00"), None, "paused until case.resumed"),
        (signal("dispute.opened", "03-03 09:00"), None, "disputed until dispute.closed"),
    ],
    ids=["until", "paused", "disputed"],
)
def test_what_holds_a_case_is_said_on_every_track(began: Signal, until: str | None, why: str) -> None:
    expected = expected_after(a_policy(), "03-04 00:00", FIRST, began)

    assert expected["retry"] == Expected("retry", "nothing is charged", instant(until) if until else None, why)
    if until is None:
        assert (expected["notice"].at, expected["notice"].condition) == (None, why)
        assert expected["account"].condition == f"at the earliest: {why}"
    else:  # their dates have moved behind the pause
        assert (expected["notice"].at, expected["notice"].condition) == (instant("03-11 10:00"), "")


def test_a_rung_that_waits_for_its_conditions_says_which() -> None:
    policy = a_policy(ladder=[PAST_DUE, a_notice("formal", "2d"), LIMITED], conditions=CONDITIONS, retries=None)

    expected = expected_after(policy, "03-10 00:00", signal("account.tagged", "03-01 10:00", tag="vip"), FIRST)

    why = "waits for its conditions: unpaid_invoices_at_least, tags_none"
    assert expected["notice"] == Expected("notice", "send formal by email", None, why)
    assert expected["account"].condition == f"at the earliest: after formal; {why}"


def test_whom_nothing_reaches_is_suspended_after_a_time_and_it_says_so() -> None:
    ladder = [*LADDER[:4], {**LADDER[4], "unreachable": "10d"}]
    nobody = failed("03-02 10:00", customer=None)

    expected = expected_after(a_policy(ladder=ladder, retries=None), "03-17 00:00", nobody)

    assert expected["account"] == Expected(
        "account",
        "account is suspended",
        instant("03-26 10:00"),
        "warning reached the customer on no channel: unreachable after 10d",
    )
