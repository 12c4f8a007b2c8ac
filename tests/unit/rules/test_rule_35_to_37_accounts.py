"""The account as a whole: status, what reinstates it, termination and the way back (rules 35 to 37)."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from account_enforcement.case import OPEN_CASES_LISTED_MAX, AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.contracts.encode import encode
from dunning.contracts.topics import MESSAGE_BYTES_MAX
from dunning.domain import ids
from dunning.domain.book import Book
from dunning.domain.events import (
    AccountStatus,
    Customer,
    Input,
    NextStep,
    NoticeResult,
    Owed,
    PolicyRef,
    StageChanged,
    TimerDue,
)
from tests.builders import (
    ADA,
    HARD,
    LADDER,
    PAST_DUE,
    TECHNICAL,
    Story,
    a_notice,
    a_policy,
    bounced,
    failed,
    instant,
    moved,
    new_card,
    paid,
    policies,
    signal,
)

WARNED = [
    PAST_DUE,
    a_notice("warning", "1d"),
    {"rung": "suspended", "at": "3d", "account": "suspended", "warned_by": "warning"},
    a_notice("final", "5d"),
    {"rung": "terminated", "at": "8d", "account": "terminated", "warned_by": "final", "collections": True},
]
FIRST = failed("03-02 10:00")  # terminated on 03-10 10:00


def second(failed_at: str, **more: Any) -> Any:
    """A failure of another invoice of the account."""
    return failed(failed_at, **{"invoice_id": "in_2", "payment_id": "pay_2", **more})


def accounts(*rungs: dict[str, Any], **keys: Any) -> Story:
    return Story(a_policy(ladder=list(rungs) or WARNED, retries=None, **keys))


def statuses(story: Story) -> list[AccountStatus]:
    return story.outputs(AccountStatus)


def test_the_status_is_the_worst_stage_of_the_open_cases() -> None:
    story = accounts().reads(FIRST, second("03-05 12:00"), paid("03-06 10:00")).until("03-06 10:00")

    assert story.lines("account", "status") == [
        "03-02 10:00 account in_1 active>past_due",
        "03-02 10:00 status acc_1 active>past_due",
        "03-05 10:00 account in_1 past_due>suspended",
        "03-05 10:00 status acc_1 past_due>suspended",
        "03-05 12:00 account in_2 active>past_due",
        "03-06 10:00 account in_1 suspended>active",
        "03-06 10:00 status acc_1 suspended>past_due",
    ]


def test_the_status_is_written_once_per_input_or_timer_when_something_changed() -> None:
    story = accounts(PAST_DUE).reads(FIRST, second("03-02 10:30", amount_due_minor=100, currency="USD"))

    story.reads(paid("03-02 11:00", remaining=900), paid("03-02 12:00"), moved("03-02 13:00", email="x@example.com"))
    story.until("04-01 00:00")

    told = [(each.previous_status, each.status, len(each.open_cases), each.to_reinstate) for each in statuses(story)]
    assert told == [
        ("active", "active", 1, ()),
        ("active", "past_due", 1, (Owed("EUR", 4900),)),
        ("past_due", "past_due", 2, (Owed("EUR", 4900),)),
        ("past_due", "past_due", 2, (Owed("EUR", 4900), Owed("USD", 100))),
        ("past_due", "past_due", 2, (Owed("EUR", 900), Owed("USD", 100))),
        ("past_due", "past_due", 1, (Owed("USD", 100),)),
    ]
    assert [each.sequence for each in statuses(story)] == [1, 2, 3, 4, 5, 6]
    assert len({each.since for each in statuses(story)[1:]}) == 1


def test_days_alone_write_nothing_but_are_told() -> None:
    story = (
        accounts(PAST_DUE)
        .reads(FIRST)
        .until("03-12 00:00")
        .reads(paid("03-12 09:00", remaining=1))
        .until("03-30 00:00")
    )

    assert [each.open_cases[0].days_overdue for each in statuses(story)] == [0, 0, 10]


def test_reasons() -> None:
    story = accounts().reads(FIRST, signal("invoice.voided", "03-06 10:00")).until("03-06 10:00")

    moves = [(each.to_stage, each.reason) for each in story.outputs(StageChanged) if each.track == "account"]
    assert moves == [("past_due", "payment_failed"), ("suspended", "grace_period_expired"), ("active", "voided")]
    assert [each.reason for each in statuses(story)][1:] == ["payment_failed", "grace_period_expired", "voided"]


def test_a_write_off_whose_words_are_a_termination_is_none() -> None:
    """The reason of `case.closed` is free text, and its words are not ours to act on."""
    off = signal("case.closed", "03-06 10:00", reason="terminated")
    story = accounts().reads(FIRST, off).until("03-06 10:00")

    moves = [(each.to_stage, each.reason) for each in story.outputs(StageChanged) if each.track == "account"]
    assert moves[-1] == ("active", "terminated")
    assert (statuses(story)[-1].status, statuses(story)[-1].reason) == ("active", "terminated")


@pytest.mark.parametrize(
    ("ending", "when"),
    [
        (paid("03-02 12:00"), "03-02 12:00"),  # no account rung had happened: no transition names the policy
        (signal("invoice.voided", "03-05 10:00"), "03-05 10:00"),
        (signal("case.closed", "03-05 10:00", reason="written_off"), "03-05 10:00"),
        (signal("invoice.adjusted", "03-05 10:00", amount_remaining_minor=0), "03-05 10:00"),
        (None, "03-10 10:00"),  # terminated
        (signal("account.reinstated", "03-12 10:00"), "03-12 10:00"),
    ],
)
def test_a_status_without_an_open_case_names_the_policy_of_the_case_that_it_was_about(ending: Any, when: str) -> None:
    """The contract lets `next` alone be null; the invoice before it, of another policy, has nothing to do with it."""
    other = a_policy(id="other", match={"currencies": ["USD"]}, priority=1, ladder=[PAST_DUE], retries=None)
    ladder = [{**PAST_DUE, "at": "2d"}] if when == "03-02 12:00" else WARNED
    story = Story(other, a_policy(version=3, ladder=ladder, retries=None))
    story.reads(
        second("03-01 10:00", invoice_id="in_0", currency="USD"), paid("03-01 12:00", invoice_id="in_0", currency="USD")
    )
    story.reads(FIRST, *([ending] if ending else [])).until(when)

    last = statuses(story)[-1]
    assert (last.effective_at, last.open_cases, last.policy) == (instant(when), (), PolicyRef("standard", 3))
    assert all(each.policy is not None for each in statuses(story))
    assert dict(encode(last).headers)["ce_correlationid"].decode() == ids.case_id("acc_1", "in_1", 1)


def test_a_status_tells_of_the_case_that_changed_not_of_the_one_that_is_left() -> None:
    """Whoever follows a case by `correlationid` finds the status that its payment brought."""
    story = accounts().reads(FIRST, second("03-02 12:00"), paid("03-03 10:00")).until("03-03 10:00")

    told = [dict(encode(each).headers)["ce_correlationid"].decode() for each in statuses(story)]
    in_1, in_2 = (ids.case_id("acc_1", invoice_id, 1) for invoice_id in ("in_1", "in_2"))
    assert told == [in_1, in_1, in_2, in_2, in_1]


def test_termination_closes_its_case_and_is_the_status_until_reinstatement() -> None:
    story = Story(a_policy(ladder=WARNED)).reads(failed("03-02 10:00", failure=HARD)).until("03-30 00:00")

    assert story.since("03-10") == [
        "03-10 10:00 account in_1 suspended>terminated",
        "03-10 10:00 status acc_1 suspended>terminated",
        "03-10 10:00 retry in_1 waiting_for_customer>cancelled",
    ]
    last = statuses(story)[-1]
    assert (last.status, last.open_cases, last.to_reinstate) == ("terminated", (), ())
    assert [each.details for each in story.outputs(StageChanged) if each.to_stage == "terminated"] == [
        {"rung": "terminated", "collections": True}
    ]


def test_a_payment_while_terminated_is_recorded_without_a_transition() -> None:
    story = accounts().reads(FIRST, paid("03-12 10:00")).until("04-01 00:00")

    assert story.since("03-11") == []


def test_the_terminated_invoice_opens_no_case_until_reinstatement() -> None:
    story = Story(a_policy(ladder=WARNED)).reads(FIRST, failed("03-12 10:00", attempt_number=9))
    story.reads(signal("account.reinstated", "03-13 10:00", reason="paid by cheque"))
    story.at("03-14 09:00", failed("03-12 12:00", attempt_number=10))

    story.reads(failed("03-14 10:00", attempt_number=11)).until("03-14 10:00")

    assert story.since("03-11") == [
        "03-13 10:00 status acc_1 terminated>active",
        "03-14 10:00 retry in_1 none>scheduled",
        "03-14 10:00 account in_1 active>past_due",
        "03-14 10:00 status acc_1 active>past_due",
    ]
    assert story.outputs(StageChanged)[-1].case_id == ids.case_id("acc_1", "in_1", 2)


@pytest.mark.parametrize("read_first", ["the_failure", "the_reinstatement"])
def test_a_failure_of_after_the_reinstatement_opens_the_next_case_whichever_is_read_first(read_first: str) -> None:
    """Signals and failures are two topics; the platform may charge at once and fail (rules 7 and 8)."""
    back = signal("account.reinstated", "03-12 10:00", reason="by hand")
    events: list[Input] = [failed("03-12 10:01", attempt_number=9), back]
    if read_first == "the_reinstatement":
        events.reverse()

    story = Story(a_policy(ladder=WARNED)).reads(FIRST).at("03-12 10:02", *events).until("03-13 10:01")

    assert story.since("03-12", "retry", "account", "charge", "notice") == [
        "03-12 10:02 retry in_1 none>scheduled",
        "03-12 10:02 account in_1 active>past_due",
        "03-13 10:01 retry in_1 scheduled>requested",
        "03-13 10:01 charge in_1 #10 4900 EUR",
        "03-13 10:01 notice warning email sent",
    ]
    assert story.outputs(StageChanged)[-1].case_id == ids.case_id("acc_1", "in_1", 2)


def test_a_failure_that_was_read_while_terminated_opens_a_case_where_an_earlier_payment_undoes_that() -> None:
    story = accounts().reads(FIRST, failed("03-12 10:00", attempt_number=9)).at("03-12 12:00", paid("03-09 10:00"))

    assert story.until("03-12 12:00").since("03-12", "account") == [
        "03-12 12:00 account in_1 terminated>active",
        "03-12 12:00 account in_1 active>past_due",
    ]


def test_a_simulated_charge_fails_as_its_case_did_also_where_that_failure_was_read_while_terminated() -> None:
    """Rule 46: what `--charges fail` repeats is the case's last `failure`, not the invoice's former case's."""
    retries = {"after": ["1d"], "technical_after": ["1h", "2h"]}
    story = Story(a_policy(ladder=WARNED, retries=retries), charges="fail").reads(FIRST)
    story.reads(failed("03-12 10:00", attempt_number=9, failure=TECHNICAL))

    story.at("03-12 12:00", signal("account.reinstated", "03-11 10:00", reason="by hand")).until("03-12 20:00")

    assert [line for line in story.since("03-12") if "charge" in line] == [
        "03-12 12:00 charge in_1 #10 4900 EUR",
        "03-12 14:00 charge in_1 #11 4900 EUR",
    ]


def test_a_simulated_charge_fails_as_its_case_did_however_many_failures_of_before_are_read_meanwhile() -> None:
    story = Story(a_policy(retries={"after": ["1d"]}), charges="fail").reads(paid("03-01 10:00"), FIRST)

    of_before = (failed("02-28 10:00", attempt_number=number, payment_method=None) for number in range(10, 80))
    story.at("03-02 12:00", *of_before)

    assert story.until("03-04 00:00").lines("charge") == ["03-03 10:00 charge in_1 #80 4900 EUR"]


def test_a_reinstatement_takes_back_a_stage_of_before_also_where_a_case_of_another_number_stands_there_since() -> None:
    """A payment of before the failure gives the case another number; its stage is as old as it was."""
    story = accounts().reads(FIRST).at("03-03 00:00", paid("03-01 10:00"))

    story.at("03-03 06:00", signal("account.reinstated", "03-02 12:00", reason="by hand")).until("03-03 08:00")

    assert story.since("03-03", "account") == [
        "03-03 00:00 account in_1 past_due>active",
        "03-03 00:00 account in_1 active>past_due",
        "03-03 06:00 account in_1 past_due>active",
    ]


def test_what_waits_for_the_end_of_a_termination_holds_nothing_of_the_customer_and_less_after_an_erasure() -> None:
    shelf = policies(a_policy(ladder=WARNED, retries=None, timezone="account"))
    track, account = AccountTrack(lambda: shelf), EnforcedAccount("acc_1")
    account.cases["in_1"] = AccountCase("in_1", Book(currency="EUR", terminated_at=instant("03-10 10:00")))
    event = failed("03-12 10:00", customer=replace(ADA, timezone="Asia/Tokyo"))

    track.decide(account, event, instant("03-12 10:00"))
    (waits,) = msgspec.convert(msgspec.to_builtins(account.cases["in_1"]), AccountCase).book.waiting
    assert waits.customer == Customer(timezone="Asia/Tokyo", country=ADA.country)

    track.decide(account, signal("account.erased", "03-12 11:00"), instant("03-12 11:00"))
    assert [each.customer for each in account.cases["in_1"].book.waiting] == [None]


def test_what_no_policy_takes_by_the_end_of_a_termination_is_no_fault_of_what_ends_it() -> None:
    """The first failure was matched, for it says the segment that the policy wants."""
    story = accounts(match={"segments": ["self_serve"]}).reads(failed("03-02 10:00", segment="self_serve"))
    story.reads(failed("03-12 10:01", attempt_number=9)).at("03-12 10:02", signal("account.reinstated", "03-12 10:00"))

    assert story.until("04-01 00:00").since("03-12") == ["03-12 10:02 status acc_1 terminated>active"]


def test_an_earlier_dated_payment_undoes_a_termination() -> None:
    story = Story(a_policy(ladder=WARNED)).reads(failed("03-02 10:00", failure=HARD))

    story.at("03-12 10:00", paid("03-10 09:59")).until("04-01 00:00")

    assert story.since("03-11") == [
        "03-12 10:00 retry in_1 cancelled>recovered",
        "03-12 10:00 account in_1 terminated>active",
        "03-12 10:00 status acc_1 terminated>active",
    ]


@pytest.mark.parametrize("closing", [paid("03-09 10:00"), signal("invoice.voided", "03-09 10:00")])
def test_an_undone_termination_tells_what_was_owed_also_where_the_invoice_was_paid_meanwhile(closing: Input) -> None:
    story = accounts().reads(FIRST, paid("03-11 10:00")).at("03-12 10:00", closing).until("04-01 00:00")

    undone = [each for each in story.outputs(StageChanged) if each.from_stage == "terminated"]
    assert [(each.to_stage, each.amount_minor) for each in undone] == [("active", 4900)]


@pytest.mark.parametrize("later_first", [True, False])
def test_an_undone_termination_tells_the_same_in_whatever_order_the_two_payments_are_read(later_first: bool) -> None:
    earlier, later = paid("03-09 10:00"), paid("03-11 10:00")
    order = (later, earlier) if later_first else (earlier, later)

    story = Story(a_policy(ladder=WARNED)).reads(FIRST).at("03-12 10:00", *order).until("04-01 00:00")

    told = [each for each in story.outputs(StageChanged) if each.effective_at >= instant("03-12 10:00")]
    assert [(each.from_stage, each.to_stage, each.reason, each.amount_minor) for each in told] == [
        ("cancelled", "recovered", "paid_elsewhere", 4900),
        ("closed", "recovered", "paid", 4900),
        ("terminated", "active", "paid", 4900),
    ]


def test_a_payment_at_the_instant_of_termination_or_later_does_not_undo_it() -> None:
    story = accounts().reads(FIRST).at("03-12 10:00", paid("03-10 10:00")).until("04-01 00:00")

    assert story.since("03-11") == []


def test_an_earlier_dated_void_undoes_a_termination() -> None:
    story = accounts().reads(FIRST).at("03-12 10:00", signal("invoice.voided", "03-09 10:00")).until("04-01 00:00")

    assert story.since("03-11") == [
        "03-12 10:00 account in_1 terminated>active",
        "03-12 10:00 status acc_1 terminated>active",
    ]


def test_meanwhile_other_cases_keep_their_retries_while_their_ladders_stop() -> None:
    ladder = [PAST_DUE, a_notice("plain", "2h"), *WARNED[1:]]
    story = Story(a_policy(ladder=ladder), charges="fail").reads(
        FIRST, second("03-09 10:00"), second("03-11 10:00", invoice_id="in_3")
    )

    assert story.until("03-12 11:00").since("03-09", "in_2", "in_3", "notice") == [
        "03-09 10:00 retry in_2 none>scheduled",
        "03-09 10:00 account in_2 active>past_due",
        "03-09 12:00 notice plain email sent",
        "03-10 10:00 retry in_2 scheduled>requested",
        "03-10 10:00 charge in_2 #2 4900 EUR",
        "03-10 10:00 retry in_2 requested>scheduled",
        "03-10 10:00 notice warning email sent",
        "03-11 10:00 retry in_3 none>scheduled",
        "03-12 10:00 retry in_3 scheduled>requested",
        "03-12 10:00 charge in_3 #2 4900 EUR",
        "03-12 10:00 retry in_3 requested>scheduled",
    ]


def test_the_ladders_of_other_cases_go_on_when_a_termination_is_undone() -> None:
    story = accounts().reads(FIRST, second("03-09 20:00")).at("03-11 10:00", paid("03-09 10:00")).until("03-13 10:00")

    assert story.since("03-10 10:01") == [
        "03-11 10:00 account in_1 terminated>active",
        "03-11 10:00 status acc_1 terminated>past_due",
        "03-11 10:00 notice warning email sent",
        "03-13 10:00 account in_2 past_due>suspended",
        "03-13 10:00 status acc_1 past_due>suspended",
    ]


@pytest.mark.parametrize("ending", [signal("account.reinstated", "03-11 10:00"), paid("03-09 10:00")])
def test_a_warning_that_came_back_while_terminated_falls_back_afterwards(ending: Input) -> None:
    warning = a_notice("warning", "1d", fallback=["sms"])
    story = accounts(PAST_DUE, warning, *WARNED[2:]).reads(FIRST, second("03-08 20:00", customer=None))
    story.reads(bounced("03-10 12:00", "warning", invoice_id="in_2"))

    story.at("03-11 10:00", ending).until("03-13 10:00")

    assert story.since("03-09 12:00", "notice")[-3:] == [
        "03-09 20:00 notice warning email sent",
        "03-10 12:00 notice warning email bounced",
        "03-11 10:00 notice warning sms sent",
    ]
    assert story.since("03-13", "account")[0].startswith("03-13 10:00 account in_2 ")


@pytest.mark.parametrize("ending", [signal("account.reinstated", "03-11 10:00"), paid("03-09 10:00")])
def test_an_address_that_is_said_while_terminated_gets_its_warning_afterwards(ending: Input) -> None:
    story = accounts().reads(FIRST, second("03-08 20:00", customer=None))
    story.reads(bounced("03-10 09:00", "warning", invoice_id="in_2"), moved("03-10 12:00", email="new@example.com"))

    story.at("03-11 10:00", ending).until("03-13 10:00")

    assert story.since("03-10 08:00", "warning") == [
        "03-10 09:00 notice warning email bounced",
        "03-11 10:00 notice warning email sent",
    ]


def test_reinstatement_sets_every_open_case_active_and_passes_the_rungs_dated_before_it() -> None:
    story = accounts().reads(
        FIRST, second("03-08 10:00"), signal("account.reinstated", "03-12 10:00", reason="by hand")
    )

    assert story.until("04-01 00:00").since("03-10 10:01") == [
        "03-12 10:00 account in_2 past_due>active",
        "03-12 10:00 status acc_1 terminated>active",
        "03-13 10:00 notice final email sent",
        "03-16 10:00 account in_2 active>terminated",
        "03-16 10:00 status acc_1 active>terminated",
    ]
    reinstated = [each for each in story.outputs(StageChanged) if each.reason == "reinstated"]
    assert [(each.invoice_id, each.to_stage) for each in reinstated] == [("in_2", "active")]


def test_a_suspended_account_is_reinstated_too_and_later_rungs_keep_their_dates() -> None:
    story = accounts().reads(FIRST, signal("account.reinstated", "03-06 10:00", reason="goodwill")).until("04-01 00:00")

    assert story.since("03-06") == [
        "03-06 10:00 account in_1 suspended>active",
        "03-06 10:00 status acc_1 suspended>active",
        "03-07 10:00 notice final email sent",
        "03-10 10:00 account in_1 active>terminated",
        "03-10 10:00 status acc_1 active>terminated",
    ]


def test_a_status_that_only_a_reinstatement_changes_says_so() -> None:
    story = accounts().reads(FIRST, signal("account.reinstated", "03-12 10:00", reason="by hand")).until("03-12 10:00")

    last = statuses(story)[-1]
    assert (last.previous_status, last.status, last.reason) == ("terminated", "active", "reinstated")


def test_what_happened_behind_a_reinstatement_that_is_read_late_stands() -> None:
    story = accounts().reads(FIRST).at("03-05 12:00", signal("account.reinstated", "03-05 09:00", reason="goodwill"))

    assert story.until("03-05 12:00").since("03-05") == [
        "03-05 10:00 account in_1 past_due>suspended",
        "03-05 10:00 status acc_1 past_due>suspended",
    ]


def test_a_held_rung_dated_before_the_reinstatement_is_passed() -> None:
    story = accounts().reads(FIRST, bounced("03-03 11:00", "warning"), signal("account.reinstated", "03-06 10:00"))

    story.reads(moved("03-06 12:00", email="new@example.com")).until("04-01 00:00")

    assert story.since("03-06") == [
        "03-06 10:00 account in_1 past_due>active",
        "03-06 10:00 status acc_1 past_due>active",
        "03-07 10:00 notice final email sent",
        "03-10 10:00 account in_1 active>terminated",
        "03-10 10:00 status acc_1 active>terminated",
    ]


def test_money_for_another_invoice_leaves_the_termination_alone() -> None:
    story = accounts().reads(FIRST, second("03-09 20:00"), paid("03-11 10:00", invoice_id="in_2")).until("04-01 00:00")

    assert story.since("03-11") == ["03-11 10:00 account in_2 past_due>active"]


def test_a_waiting_warning_of_the_terminated_case_is_suppressed_with_that_reason() -> None:
    ladder = [a_notice("final", "0d"), a_notice("extra", "7d", "email", "sms"), {**WARNED[-1], "at": "7d1h"}]
    story = accounts(*ladder).reads(failed("03-02 01:00")).until("04-01 00:00")

    assert story.since("03-09") == [
        "03-09 01:00 notice extra email sent",
        "03-09 02:00 account in_1 active>terminated",
        "03-09 02:00 status acc_1 active>terminated",
        "03-09 02:00 notice extra sms suppressed",
    ]
    assert [each.reason for each in story.outputs(NoticeResult) if each.outcome == "suppressed"] == ["terminated"]


def test_a_new_card_while_terminated_pays_the_other_case() -> None:
    story = Story(a_policy(ladder=WARNED), charges="succeed").reads(
        failed("03-02 10:00", failure=HARD), second("03-09 20:00", failure=HARD), new_card("03-11 10:00")
    )

    assert story.until("04-01 00:00").since("03-11") == [
        "03-11 10:00 retry in_2 waiting_for_customer>scheduled",
        "03-11 10:00 retry in_2 scheduled>requested",
        "03-11 10:00 charge in_2 #2 4900 EUR",
        "03-11 10:00 retry in_2 requested>recovered",
        "03-11 10:00 account in_2 past_due>active",
    ]


def test_status_of_an_account_that_is_paid_in_part_of_its_invoices_only() -> None:
    story = Story(a_policy(ladder=LADDER[:1], retries=None)).reads(FIRST, second("03-02 11:00"))

    story.reads(signal("case.closed", "03-02 12:00", reason="goodwill")).until("03-02 12:00")

    assert [case.invoice_id for case in statuses(story)[-1].open_cases] == ["in_2"]
    assert statuses(story)[-1].to_reinstate == (Owed("EUR", 4900),)


def test_a_status_of_thousands_of_open_cases_lists_the_worst_and_fits_its_topic() -> None:
    loaded = policies(a_policy(ladder=[PAST_DUE]))
    track, account = AccountTrack(lambda: loaded), EnforcedAccount("\N{GRINNING FACE}" * 200)
    at = instant("03-02 10:00")
    invoices = [f"{number:04}".ljust(200, "\N{GRINNING FACE}") for number in range(OPEN_CASES_LISTED_MAX + 2)]
    event = replace(failed("03-02 10:00"), account_id=account.account_id, amount_due_minor=2**63 // 2000)
    for invoice_id in invoices:
        track.decide(account, replace(event, event_id=invoice_id, invoice_id=invoice_id), at)

    decision = track.decide(account, TimerDue("timer", account.account_id, invoices[-1], at), at)

    (status,) = [output for output in decision.events if isinstance(output, AccountStatus)]
    listed = [case.invoice_id for case in status.open_cases]
    assert (status.status, status.open_cases_total) == ("past_due", OPEN_CASES_LISTED_MAX + 2)
    assert listed == [*invoices[: OPEN_CASES_LISTED_MAX - 1], invoices[-1]]
    assert len(encode(status).value) < MESSAGE_BYTES_MAX - 4096


def test_a_void_dated_before_the_termination_undoes_it_and_the_notice_track_stays_closed() -> None:
    story = accounts().reads(FIRST)

    story.at("03-12 10:00", signal("invoice.voided", "03-09 10:00", invoice_id="in_1")).until("04-01 00:00")

    assert story.since("03-12") == [
        "03-12 10:00 account in_1 terminated>active",
        "03-12 10:00 status acc_1 terminated>active",
    ]


def test_a_payment_that_undoes_the_termination_of_a_voided_invoice_opens_no_next_case() -> None:
    """What failed after the money would be the next case's, had the invoice not been voided while terminated (10)."""
    story = accounts().reads(
        FIRST, failed("03-03 10:00", attempt_number=2), signal("invoice.voided", "03-12 10:00", invoice_id="in_1")
    )

    story.at("03-13 10:00", paid("03-02 12:00")).until("04-01 00:00")

    assert story.since("03-12") == [
        "03-13 10:00 account in_1 terminated>active",
        "03-13 10:00 status acc_1 terminated>active",
    ]


def test_a_late_restriction_does_not_bring_back_the_rungs_that_a_reinstatement_passed() -> None:
    restricted = {"rung": "restricted", "at": "4d", "account": "restricted"}
    story = accounts(a_notice("first", "0d"), restricted).reads(signal("account.reinstated", "03-02 11:00"))

    story.at("03-10 10:00", FIRST).until("04-01 00:00")

    assert story.lines() == ["03-10 10:00 account in_1 active>restricted", "03-10 10:00 status acc_1 active>restricted"]


def test_a_rung_that_was_passed_does_not_come_behind_a_later_one_when_the_ladder_moves() -> None:
    ladder = [a_notice("one", "0d"), a_notice("two", "2d"), a_notice("three", "4d")]
    story = Story(a_policy(ladder=ladder, retries=None, anchor="due_date"))
    story.reads(signal("account.reinstated", "03-03 00:00")).at("03-03 12:00", FIRST)

    story.reads(failed("03-05 10:00", attempt_number=2, due_at=instant("03-04 00:00"))).until("04-01 00:00")

    assert story.lines("notice") == [
        "03-04 10:00 notice two email sent",
        "03-08 00:00 notice three email sent",
    ]


@pytest.mark.parametrize(("two", "roll"), [("2d", None), ("2d6h", {"business_days": "next"})])
def test_a_rung_that_was_passed_comes_where_only_the_other_track_is_behind_it(
    two: str, roll: dict[str, Any] | None
) -> None:
    """The account track passed `past_due` and did nothing since; that a notice went out is no step of it, though the
    account looks at it where `roll` may put it last."""
    ladder = [PAST_DUE, a_notice("two", two), {"rung": "restricted", "at": "6d", "account": "restricted"}]
    story = Story(a_policy(ladder=ladder, retries=None, anchor="due_date", roll=roll))
    story.reads(signal("account.reinstated", "03-03 00:00")).at("03-03 12:00", FIRST)

    story.reads(failed("03-05 10:00", attempt_number=2, due_at=instant("03-04 00:00"))).until("04-01 00:00")

    assert [line[12:] for line in story.lines("notice")] == ["notice two email sent"]
    assert story.lines("account") == [
        "03-05 10:00 account in_1 active>past_due",
        "03-10 00:00 account in_1 past_due>restricted",
    ]


def test_a_step_that_the_notices_had_passed_moves_those_that_are_still_to_come() -> None:
    """It is late where news dates it behind the reinstatement that had passed it; its own notice is not said any more,
    for a later one was."""
    restricted = a_notice("restricted", "12h", "in_app", account="restricted")
    ladder = [restricted, a_notice("two", "2d"), a_notice("three", "4d")]
    story = Story(a_policy(ladder=ladder, retries=None, anchor="due_date"))
    story.reads(signal("account.reinstated", "03-03 00:00")).at("03-03 12:00", FIRST)

    story.reads(failed("03-05 10:00", attempt_number=2, due_at=instant("03-04 00:00"))).until("04-01 00:00")

    assert story.lines("notice", "account") == [
        "03-04 10:00 notice two email sent",
        "03-05 10:00 account in_1 active>restricted",
        "03-08 22:00 notice three email sent",
    ]


def test_a_rung_that_was_passed_stays_so_where_one_with_conditions_is_behind_it() -> None:
    """The account track walks up such a rung itself, for its conditions may stop what comes behind it (38)."""
    ladder = [PAST_DUE, a_notice("two", "2d"), {"rung": "restricted", "at": "6d", "account": "restricted"}]
    policy = a_policy(ladder=ladder, retries=None, anchor="due_date", conditions={"two": {"tags_none": ["vip"]}})
    story = Story(policy).reads(signal("account.reinstated", "03-03 00:00")).at("03-03 12:00", FIRST)

    story.reads(failed("03-05 10:00", attempt_number=2, due_at=instant("03-04 00:00"))).until("04-01 00:00")

    assert story.lines("account") == ["03-10 00:00 account in_1 active>restricted"]


@pytest.mark.parametrize("read_at", ["03-10 10:00", "03-10 12:00"])
def test_of_a_termination_and_a_reinstatement_of_one_instant_the_reinstatement_wins(read_at: str) -> None:
    """In `simulate` the line is read before the timer of its instant; live it may come after it."""
    story = accounts().reads(FIRST, second("03-09 20:00"))

    story.at(read_at, signal("account.reinstated", "03-10 10:00", reason="by hand")).until("03-12 20:00")

    assert statuses(story)[-1].status == "suspended"
    assert story.since("03-11", "in_2") == ["03-12 20:00 account in_2 active>suspended"]


def test_a_rung_that_waits_for_the_one_above_it_is_not_passed_before_that_one() -> None:
    """Sunday's noon rolls to Monday noon; the rung of Monday morning waits for it, and a reinstatement in between
    passes neither."""
    ladder = [a_notice("sunday", "6d12h", "in_app"), a_notice("monday", "7d")]
    story = Story(a_policy(ladder=ladder, retries=None, roll={"business_days": "next"}))
    story.reads(failed("03-02 00:00"), signal("account.reinstated", "03-09 06:00", reason="goodwill"))

    assert story.until("04-01 00:00").lines("notice") == [
        "03-09 12:00 notice sunday in_app superseded",
        "03-09 12:00 notice monday email sent",
    ]


def test_a_condition_holds_the_account_s_rungs_whatever_the_notice_track_did_behind_it() -> None:
    """A pause that is read later moves `held` behind the reinstatement that had passed it. The notice track sent the
    next notice since and stays; the account track did nothing, so it waits for the condition."""
    ladder = [
        a_notice("held", "3d"),
        a_notice("next", "5d"),
        {"rung": "restricted", "at": "15d", "account": "restricted"},
    ]
    never = {"held": {"balance_at_least": {"USD": 1}}}
    story = Story(a_policy(ladder=ladder, retries=None, conditions=never))
    story.reads(failed("03-02 10:00"), signal("account.reinstated", "03-06 10:00", reason="goodwill"))
    story.reads(signal("case.resumed", "03-06 12:00")).until("03-10 00:00")

    story.at("03-10 12:00", signal("case.paused", "03-03 12:00", reason="asked")).until("04-01 00:00")

    assert story.lines("notice", "account") == ["03-07 10:00 notice next email sent"]


def test_a_change_of_the_account_names_the_next_rung_that_changes_it_and_its_date() -> None:
    """The notices between them are the other track's; behind the last there is none."""
    story = Story(a_policy(retries=None)).reads(failed("03-02 10:00")).until("06-01 00:00")

    changes = [each for each in story.outputs(StageChanged) if each.track == "account"]
    assert [(each.to_stage, each.next) for each in changes] == [
        ("past_due", NextStep("suspended", instant("03-16 10:00"))),
        ("suspended", NextStep("terminated", instant("04-16 10:00"))),
        ("terminated", None),
    ]


@pytest.mark.parametrize("money_first", [True, False])
def test_a_payment_of_before_the_termination_is_the_closing_whether_it_or_the_reinstatement_is_read_first(
    money_first: bool,
) -> None:
    story = Story().reads(failed("03-02 10:00")).at("04-20 10:00")
    late = [paid("04-01 10:00"), signal("account.reinstated", "04-20 10:00")]

    story.at("04-20 10:00", *(late if money_first else reversed(late)))
    story.reads(failed("04-22 10:00", attempt_number=9)).until("04-22 10:00")

    [case] = story.outputs(AccountStatus)[-1].open_cases
    assert "04-16 10:00 status acc_1 suspended>terminated" in story.lines("status")
    assert case.case_id == ids.case_id("acc_1", "in_1", 2)
