"""Pauses, disputes and extensions: nothing goes out meanwhile, and open dates move (rule 27)."""

from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from account_enforcement.case import EnforcedAccount
from dunning.domain import ids
from dunning.domain.events import Customer, Failure, Input, PaymentFailed, Signal, StageChanged
from notification_dispatcher.case import NoticeAccount
from tests.builders import (
    ADA,
    LADDER,
    OTHER_VISA,
    PAST_DUE,
    RETRIES,
    SUSPENDED,
    WARNING,
    Story,
    a_notice,
    a_policy,
    failed,
    instant,
    moved,
    new_card,
    only_retries,
    overdue,
    paid,
    signal,
)

FIRST = failed("03-02 10:00")
LADDER_ONLY = a_policy(retries=None)
EXPIRED, TECHNICAL = Failure("expired_card"), Failure("processing_error")
NO_TECHNICAL = {"after": ["1d", "3d"], "technical_after": []}  # unanswered requests count as planned retries


def paused(at: str, **more: Any) -> Signal:
    """An operator pauses `in_1`; with `invoice_id=None` all of the account."""
    given = {"invoice_id": "in_1", "reason": "asked for time", **more}
    return signal("case.paused", at, **{**given, "until": instant(given["until"]) if "until" in given else None})


def resumed(at: str, **more: Any) -> Signal:
    return signal("case.resumed", at, **{"invoice_id": "in_1", **more})


def disputed(at: str) -> Signal:
    return signal("dispute.opened", at)


def settled(at: str) -> Signal:
    return signal("dispute.closed", at)


def extended(at: str, by: str) -> Signal:
    return signal("case.extended", at, by=by)


def retry_moves(story: Story) -> list[tuple[str, str]]:
    moves = [each for each in story.outputs(StageChanged) if each.track == "retry"]
    return [(f"{each.from_stage}>{each.to_stage}", each.reason) for each in moves]


def test_every_open_date_moves_by_the_length_of_the_pause_and_what_happened_stays() -> None:
    story = Story(LADDER_ONLY).reads(FIRST, paused("03-06 09:00"), resumed("03-08 21:00")).until("06-01 00:00")

    assert story.lines() == [
        "03-02 10:00 notice payment_failed email sent",
        "03-02 10:00 account in_1 active>past_due",
        "03-02 10:00 status acc_1 active>past_due",
        "03-05 10:00 notice reminder email sent",
        "03-11 22:00 notice formal email sent",
        "03-15 22:00 notice warning email sent",
        "03-18 22:00 account in_1 past_due>suspended",
        "03-18 22:00 status acc_1 past_due>suspended",
        "03-18 22:00 notice suspended email sent",
        "04-03 22:00 notice final email sent",
        "04-18 22:00 account in_1 suspended>terminated",
        "04-18 22:00 status acc_1 suspended>terminated",
    ]


def test_the_retry_track_is_paused_and_its_plan_moves_too() -> None:
    story = Story(only_retries(**NO_TECHNICAL)).reads(FIRST, paused("03-02 22:00"), resumed("03-05 22:00"))
    story.until("03-08 00:00")

    assert story.lines("retry", "charge") == [
        "03-02 10:00 retry in_1 none>scheduled",
        "03-02 22:00 retry in_1 scheduled>paused",
        "03-05 22:00 retry in_1 paused>scheduled",
        "03-06 10:00 retry in_1 scheduled>requested",
        "03-06 10:00 charge in_1 #2 4900 EUR",
        "03-07 10:00 retry in_1 requested>scheduled",
    ]
    assert retry_moves(story)[1:3] == [("scheduled>paused", "paused"), ("paused>scheduled", "resumed")]


def test_a_pause_with_until_ends_by_itself() -> None:
    story = Story(a_policy(ladder=LADDER[:2], retries=NO_TECHNICAL)).reads(
        FIRST, paused("03-02 22:00", until="03-04 22:00")
    )

    assert story.until("03-07 11:00").since("03-02 22:00") == [
        "03-02 22:00 retry in_1 scheduled>paused",
        "03-04 22:00 retry in_1 paused>scheduled",
        "03-05 10:00 retry in_1 scheduled>requested",
        "03-05 10:00 charge in_1 #2 4900 EUR",
        "03-06 10:00 retry in_1 requested>scheduled",
        "03-07 10:00 notice reminder email sent",
    ]


@pytest.mark.parametrize(
    ("begins", "ends"),
    [(paused("03-03 12:00"), resumed("03-03 12:00")), (disputed("03-03 12:00"), settled("03-03 12:00"))],
)
def test_what_ends_in_the_instant_in_which_it_begins_holds_nothing(begins: Signal, ends: Signal) -> None:
    story = Story(LADDER_ONLY).reads(FIRST, begins, ends).until("03-06 00:00")

    assert story.lines("reminder") == ["03-05 10:00 notice reminder email sent"]


def test_a_dispute_holds_like_a_pause_and_says_so() -> None:
    story = Story(a_policy(ladder=LADDER[:2], retries=NO_TECHNICAL)).reads(
        FIRST, disputed("03-02 22:00"), settled("03-12 22:00")
    )

    assert story.until("03-15 12:00").since("03-02 22:00", "retry", "notice") == [
        "03-02 22:00 retry in_1 scheduled>paused",
        "03-12 22:00 retry in_1 paused>scheduled",
        "03-13 10:00 retry in_1 scheduled>requested",
        "03-14 10:00 retry in_1 requested>scheduled",
        "03-15 10:00 notice reminder email sent",
    ]
    assert retry_moves(story)[1] == ("scheduled>paused", "disputed")


def test_an_open_request_is_revoked_and_made_anew_after_the_pause_under_the_next_number() -> None:
    story = Story(only_retries(after=["1d"], technical_after=[])).reads(
        FIRST, paused("03-03 12:00"), resumed("03-10 12:00")
    )

    assert story.until("03-13 00:00").since("03-03 10:00") == [
        "03-03 10:00 retry in_1 scheduled>requested",
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 12:00 retry in_1 requested>paused",
        "03-10 12:00 retry in_1 paused>scheduled",
        "03-10 12:00 retry in_1 scheduled>requested",
        "03-10 12:00 charge in_1 #3 4900 EUR",
        "03-11 12:00 retry in_1 requested>exhausted",
    ]


@pytest.mark.parametrize(
    ("meanwhile", "charged"),
    [
        ((), ["03-02 11:00 charge in_1 #2 4900 EUR", "03-02 14:00 charge in_1 #3 4900 EUR"]),
        (
            (failed("03-02 13:00", payment_id="pay_2", initiated_by="customer", payment_method=OTHER_VISA),),
            ["03-02 11:00 charge in_1 #2 4900 EUR"],
        ),
    ],
)
def test_a_charge_at_once_that_a_pause_revoked_is_made_when_it_is_over_unless_the_customer_tried_since(
    meanwhile: tuple[PaymentFailed, ...], charged: list[str]
) -> None:
    story = Story(only_retries()).reads(FIRST, new_card("03-02 11:00"), paused("03-02 12:00"))

    story.reads(*meanwhile, resumed("03-02 14:00")).until("03-02 15:00")

    assert story.lines("charge") == charged


def test_the_answer_to_a_request_that_was_charged_before_its_revocation_was_read_counts() -> None:
    answer = failed("03-03 11:00", attempt_number=2, payment_id="pay_1")

    story = Story(only_retries(max_retries=1)).reads(FIRST, paused("03-03 12:00"))
    story.at("03-03 13:00", answer).reads(resumed("03-10 12:00")).until("03-20 00:00")

    assert story.since("03-03 10:00", "retry", "charge") == [
        "03-03 10:00 retry in_1 scheduled>requested",
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 12:00 retry in_1 requested>paused",
        "03-03 13:00 retry in_1 paused>exhausted",
    ]


def test_it_counts_too_where_the_retry_was_made_anew_before_it_was_read() -> None:
    answer = failed("03-03 11:00", attempt_number=2, payment_id="pay_1")

    story = Story(only_retries(after=["1d"], max_retries=2, technical_after=[]))
    story.reads(FIRST, paused("03-03 12:00"), resumed("03-03 13:00")).at("03-03 14:00", answer).until("03-20 00:00")

    assert story.lines("charge") == [
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 13:00 charge in_1 #3 4900 EUR",
    ]


def test_a_revoked_request_is_used_up_once_however_often_it_is_answered() -> None:
    answers = [failed("03-03 11:00", attempt_number=2), failed("03-03 11:30", attempt_number=2, payment_id="pay_2")]
    answers[1] = replace(answers[1], retry_id=ids.retry_id(ids.case_id("acc_1", "in_1", 1), 2))

    story = Story(only_retries(after=["1d"], max_retries=3, technical_after=[]))
    story.reads(FIRST, paused("03-03 12:00"), resumed("03-03 13:00")).at("03-03 14:00", *answers)

    assert story.until("04-01 00:00").lines("charge") == [
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 13:00 charge in_1 #3 4900 EUR",
        "03-05 13:00 charge in_1 #4 4900 EUR",
    ]


def test_the_next_distance_counts_from_that_answer_too() -> None:
    answer = failed("03-03 18:00", attempt_number=2, payment_id="pay_1")

    story = Story(only_retries(after=["1d", "3d"])).reads(FIRST, paused("03-03 12:00"), resumed("03-03 13:00"), answer)
    story.reads(paused("03-03 20:00"), resumed("03-04 20:00")).until("03-07 18:00")  # the second request is revoked too

    assert story.lines("charge") == [
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 13:00 charge in_1 #3 4900 EUR",
        "03-07 18:00 charge in_1 #4 4900 EUR",
    ]


def test_a_charge_that_went_through_although_it_was_revoked_recovers_the_case() -> None:
    success = paid("03-03 11:00", retry_id="", attempt_number=2, payment_id="pay_1")

    story = Story(only_retries()).reads(FIRST, paused("03-03 12:00")).at("03-03 13:00", success).until("04-01 00:00")

    assert story.since("03-03 12:00", "retry", "charge") == [
        "03-03 12:00 retry in_1 requested>paused",
        "03-03 13:00 retry in_1 paused>recovered",
    ]


def test_the_window_moves_with_the_plan() -> None:
    story = Story(only_retries(after=["1d", "1d"], window="2d")).reads(FIRST, paused("03-02 12:00"))

    assert story.reads(resumed("03-12 12:00")).until("04-01 00:00").lines("charge") == [
        "03-13 10:00 charge in_1 #2 4900 EUR",
    ]
    assert retry_moves(story)[-1] == ("requested>exhausted", "retries_exhausted")


def test_a_pause_of_the_account_holds_all_its_cases_and_those_that_open_during_it() -> None:
    second = failed("03-04 10:00", invoice_id="in_2", payment_id="pay_2")

    story = Story(a_policy(ladder=[PAST_DUE], retries=NO_TECHNICAL))
    story.reads(FIRST, paused("03-03 09:00", invoice_id=None), second, resumed("03-06 09:00", invoice_id=None))

    assert story.until("03-07 11:00").since("03-03 00:00") == [
        "03-03 09:00 retry in_1 scheduled>paused",
        "03-04 10:00 retry in_2 none>paused",
        "03-06 09:00 retry in_1 paused>scheduled",
        "03-06 09:00 retry in_2 paused>scheduled",
        "03-06 09:00 account in_2 active>past_due",
        "03-06 10:00 retry in_1 scheduled>requested",
        "03-06 10:00 charge in_1 #2 4900 EUR",
        "03-07 09:00 retry in_2 scheduled>requested",
        "03-07 09:00 charge in_2 #2 4900 EUR",
        "03-07 10:00 retry in_1 requested>scheduled",
    ]


def test_resuming_one_invoice_ends_the_account_s_pause_for_it_alone_and_resuming_the_account_ends_all() -> None:
    second = failed("03-02 10:00", invoice_id="in_2", payment_id="pay_2")
    everything = {"invoice_id": None}

    one = Story(only_retries()).at("03-02 10:00", FIRST, second).reads(paused("03-02 11:00", **everything))
    one.reads(resumed("03-02 12:00")).until("03-10 00:00")
    both = Story(only_retries()).at("03-02 10:00", FIRST, second)
    both.reads(paused("03-02 11:00"), paused("03-02 11:30", invoice_id="in_2"), resumed("03-02 12:00", **everything))

    assert one.since("03-02 12:00", "retry")[0] == "03-02 12:00 retry in_1 paused>scheduled"
    assert one.lines("in_2")[-1] == "03-02 11:00 retry in_2 scheduled>paused"
    assert both.until("03-02 12:00").since("03-02 12:00") == [
        "03-02 12:00 retry in_1 paused>scheduled",
        "03-02 12:00 retry in_2 paused>scheduled",
    ]


BEGIN, END = paused("03-06 09:00"), resumed("03-09 09:00")
OVERLAPS = {
    "dispute inside the pause": (BEGIN, disputed("03-07 09:00"), settled("03-08 09:00"), END),
    "dispute outlasts the pause": (BEGIN, disputed("03-07 09:00"), resumed("03-08 09:00"), settled("03-09 09:00")),
    "one after the other": (
        paused("03-06 09:00", until="03-07 09:00"), disputed("03-07 09:00"), settled("03-09 09:00"),
    ),
    "two disputes": (disputed("03-06 09:00"), disputed("03-08 09:00"), settled("03-09 09:00"), settled("03-10 09:00")),
    "paused anew until": (BEGIN, paused("03-08 09:00", until="03-09 09:00")),
    "of invoice and account": (
        paused("03-06 09:00", until="03-08 09:00"), paused("03-07 09:00", invoice_id=None, until="03-09 09:00"),
    ),
    "resumed twice": (BEGIN, END, resumed("03-09 09:30")),
}  # fmt: skip


@pytest.mark.parametrize("signals", OVERLAPS.values(), ids=OVERLAPS.keys())
def test_what_overlaps_counts_once(signals: tuple[Signal, ...]) -> None:
    story = Story(LADDER_ONLY).reads(FIRST, *signals).until("03-12 10:00")

    assert story.since("03-06 00:00", "notice") == ["03-12 10:00 notice formal email sent"]  # three days later


def test_an_extension_moves_open_dates_and_nothing_that_happened() -> None:
    story = Story(a_policy(ladder=LADDER[:3]), charges="fail").reads(FIRST, extended("03-03 00:00", "2d12h"))
    story.until("03-12 22:00")

    assert story.lines("charge", "notice") == [
        "03-02 10:00 notice payment_failed email sent",
        "03-05 22:00 charge in_1 #2 4900 EUR",
        "03-07 22:00 notice reminder email sent",
        "03-08 22:00 charge in_1 #3 4900 EUR",
        "03-11 22:00 notice formal email sent",
    ]


def test_an_extension_counts_in_calendar_days_and_during_a_pause_too() -> None:
    berlin = a_policy(retries=None, timezone="Europe/Berlin", ladder=[a_notice("hello", "0d"), a_notice("later", "1d")])

    across = Story(berlin).reads(failed("03-27 10:00"), extended("03-27 12:00", "3d")).until("04-10 00:00")
    inside = Story(berlin).reads(failed("03-02 10:00"), paused("03-02 12:00"), extended("03-05 12:00", "2d"))

    assert across.lines()[-1] == "03-31 09:00 notice later email sent"  # 11:00 in Berlin before and after the change
    assert (
        inside.reads(resumed("03-06 12:00")).until("04-10 00:00").lines()[-1] == "03-09 10:00 notice later email sent"
    )


def test_an_extension_or_a_pause_that_was_over_before_the_first_failure_moves_nothing() -> None:
    before = (extended("02-20 00:00", "9d"), paused("02-21 00:00"), resumed("02-25 00:00"))

    story = Story(LADDER_ONLY).reads(*before, FIRST).until("03-09 10:00")

    assert story.lines("notice")[-1] == "03-09 10:00 notice formal email sent"


def test_of_a_pause_that_is_under_way_when_the_case_opens_only_the_rest_counts() -> None:
    story = Story(LADDER_ONLY).reads(paused("02-20 10:00"), FIRST, resumed("03-03 10:00")).until("03-06 10:00")

    assert story.lines() == [
        "03-03 10:00 notice payment_failed email sent",
        "03-03 10:00 account in_1 active>past_due",
        "03-03 10:00 status acc_1 active>past_due",
        "03-06 10:00 notice reminder email sent",
    ]


def test_money_closes_a_paused_case_and_the_account_s_status_follows_it() -> None:
    story = Story().reads(FIRST, paused("03-02 12:00"), paid("03-04 10:00")).until("06-01 00:00")

    assert story.since("03-02 11:00") == [
        "03-02 12:00 retry in_1 scheduled>paused",
        "03-04 10:00 retry in_1 paused>recovered",
        "03-04 10:00 account in_1 past_due>active",
        "03-04 10:00 status acc_1 past_due>active",
    ]


def test_a_write_off_cancels_a_paused_track() -> None:
    story = Story(only_retries()).reads(
        FIRST, disputed("03-02 12:00"), signal("case.closed", "03-04 10:00", reason="won")
    )

    assert story.until("06-01 00:00").lines("retry")[-1] == "03-04 10:00 retry in_1 paused>cancelled"


def test_a_notice_that_waits_for_quiet_hours_waits_for_the_pause_too() -> None:
    quiet = a_policy(ladder=[a_notice("hello", "0d")], retries=None, contact={"quiet_hours": ["21:00", "08:00"]})

    night = (
        Story(quiet).reads(failed("03-02 22:00"), paused("03-02 23:00"), resumed("03-04 09:00")).until("03-05 00:00")
    )
    closed = Story(quiet).reads(failed("03-02 22:00"), paused("03-02 23:00"), paid("03-04 09:00")).until("03-05 00:00")
    again = (
        Story(quiet).reads(failed("03-02 22:00"), paused("03-02 23:00"), resumed("03-03 23:00")).until("03-05 00:00")
    )

    assert night.lines("notice") == ["03-04 09:00 notice hello email sent"]
    assert closed.lines("notice") == ["03-04 09:00 notice hello email suppressed"]
    assert again.lines("notice") == ["03-04 08:00 notice hello email sent"]


def test_a_suspension_that_waited_for_its_warning_comes_when_the_pause_is_over() -> None:
    story = Story(a_policy(ladder=[PAST_DUE, WARNING, SUSPENDED, a_notice("after", "20d")], retries=None))
    no_email = failed("03-02 10:00", customer=None)
    address = signal("customer.updated", "03-15 10:00", customer=FIRST.customer)

    story.reads(no_email, address, paused("03-16 10:00"), resumed("03-17 10:00")).until("04-10 00:00")

    assert story.since("03-15 00:00", "notice", "account") == [
        "03-15 10:00 notice warning email sent",
        "03-19 10:00 account in_1 past_due>suspended",
        "03-25 10:00 notice after email sent",
    ]


def test_what_was_suspended_while_the_dispatcher_knew_of_a_pause_is_told_afterwards() -> None:
    story = Story(a_policy(ladder=LADDER[:5], retries=None)).reads(FIRST).until("03-16 10:00")
    case = story.world.rooms[1].accounts["acc_1"].cases["in_1"]

    assert isinstance(story.world.rooms[1].accounts["acc_1"], NoticeAccount)
    assert case.happened == {"suspended": instant("03-16 10:00")}
    assert story.lines("notice")[-1] == "03-16 10:00 notice suspended email sent"


def test_a_new_method_is_charged_when_the_pause_is_over() -> None:
    story = Story(only_retries()).reads(FIRST, paused("03-02 12:00"), new_card("03-02 13:00"), resumed("03-02 14:00"))

    assert story.until("03-02 14:00").since("03-02 11:00") == [
        "03-02 12:00 retry in_1 scheduled>paused",
        "03-02 14:00 retry in_1 paused>scheduled",
        "03-02 14:00 retry in_1 scheduled>requested",
        "03-02 14:00 charge in_1 #2 4900 EUR",
    ]


def test_what_waits_for_the_customer_is_paused_and_waits_again_and_what_is_finished_stays_so() -> None:
    waiting = Story(only_retries()).reads(failed("03-02 10:00", failure=EXPIRED))
    finished = Story(only_retries(after=["1d"]), charges="fail").reads(FIRST).until("03-05 00:00")
    nothing = Story(only_retries()).reads(overdue("03-02 10:00"))

    for story in (waiting, finished, nothing):
        story.reads(paused("03-06 10:00"), resumed("03-07 10:00")).until("03-08 00:00")

    assert waiting.since("03-06 00:00", "retry") == [
        "03-06 10:00 retry in_1 waiting_for_customer>paused",
        "03-07 10:00 retry in_1 paused>waiting_for_customer",
    ]
    assert finished.since("03-06 00:00", "retry") == []
    assert nothing.lines("retry") == []


def test_a_pause_that_was_announced_begins_at_its_time() -> None:
    story = Story(only_retries()).at("03-03 09:30", FIRST, paused("03-03 10:15", until="03-04 10:15"))

    assert story.until("03-04 11:00").lines("retry", "charge") == [
        "03-03 09:30 retry in_1 none>scheduled",
        "03-03 10:00 retry in_1 scheduled>requested",
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 10:15 retry in_1 requested>paused",
        "03-04 10:15 retry in_1 paused>scheduled",
        "03-04 10:15 retry in_1 scheduled>requested",
        "03-04 10:15 charge in_1 #3 4900 EUR",
    ]


def test_the_technical_hold_s_end_moves_too() -> None:
    technical = failed("03-02 10:00", failure=TECHNICAL)
    policy = a_policy(ladder=[a_notice("hello", "0d")], retries={**RETRIES, "technical_after": ["1h", "1h"]})

    story = Story(policy).reads(technical, paused("03-02 10:30"), resumed("03-02 15:30")).until("03-03 00:00")

    assert story.lines("notice") == ["03-02 17:00 notice hello email sent"]


def test_a_reinstatement_passes_rungs_by_the_dates_that_the_pause_moved_them_to() -> None:
    back = signal("account.reinstated", "03-10 12:00", reason="goodwill")

    before = Story(LADDER_ONLY).reads(FIRST, paused("03-06 10:00"), resumed("03-10 10:00"), back).until("03-20 00:00")
    after = Story(LADDER_ONLY).reads(FIRST, paused("03-06 10:00"), back, resumed("03-11 10:00")).until("03-20 00:00")
    never = Story(LADDER_ONLY).reads(FIRST, back).until("03-20 00:00")

    assert before.since("03-10 00:00", "notice") == [
        "03-13 10:00 notice formal email sent",
        "03-17 10:00 notice warning email sent",
    ]
    assert after.since("03-10 00:00", "notice")[0] == "03-14 10:00 notice formal email sent"
    assert never.since("03-10 00:00", "notice")[:1] == ["03-13 10:00 notice warning email sent"]


def test_a_reinstatement_during_a_pause_passes_nothing_whose_date_the_pause_moves() -> None:
    """Not while nobody knows how long that is either: the warning goes to the address that is said meanwhile (31)."""
    nobody = failed("03-02 10:00", customer=Customer(id="cus_1"))
    story = Story(a_policy(retries=None, ladder=[PAST_DUE, WARNING, SUSPENDED])).reads(nobody, paused("03-14 10:00"))

    story.reads(signal("account.reinstated", "03-18 10:00", reason="agreed"))
    story.reads(signal("customer.updated", "03-20 10:00", customer=ADA), resumed("03-24 10:00")).until("05-01 00:00")

    assert story.lines("notice")[-1] == "03-24 10:00 notice warning email sent"
    assert story.lines("account")[-1] == "03-27 10:00 account in_1 active>suspended"


def test_a_rung_whose_date_had_passed_when_the_case_opened_during_a_pause_is_due_and_not_moved() -> None:
    """So a reinstatement before the pause's end passes it: held ones included (37)."""
    rung = {"rung": "restricted", "at": "2d", "account": "restricted"}
    story = Story(a_policy(ladder=[rung], retries=None, anchor="due_date"))
    story.reads(paused("03-01 10:00"), failed("03-05 10:00", due_at=instant("03-01 00:00")))

    story.reads(signal("account.reinstated", "03-06 10:00", reason="agreed"), resumed("03-20 10:00"))

    assert story.until("05-01 00:00").lines("account") == []


def stages_after(order: tuple[Input, ...], policy: dict[str, Any]) -> dict[str, Any]:
    """Where everything stands when these were read at one instant, before any timer and after all that are due."""
    story = Story(policy)
    for event in order:
        story.world.read(event, instant("03-20 12:00"))
    found: dict[str, Any] = {}
    for when in ("before timers", "after them"):
        for room in story.world.rooms:
            account = room.accounts["acc_1"]
            found[f"{room.name} {when}"] = [
                (case.case_id, case.stage, case.next_at) for case in account.open_cases()
            ]  # fmt: skip
        enforced = story.world.rooms[2].accounts["acc_1"]
        assert isinstance(enforced, EnforcedAccount)
        found[f"status {when}"] = enforced.published.status
        story.until("03-20 12:00")
    return found


READ_IN_ANY_ORDER = {
    "over": (FIRST, paused("03-04 09:00"), resumed("03-12 09:00"), extended("03-05 09:00", "2d")),
    "still paused": (FIRST, paused("03-04 09:00"), resumed("03-06 09:00"), paused("03-18 09:00", invoice_id=None)),
    "disputed": (FIRST, disputed("03-04 09:00"), failed("03-05 10:00", attempt_number=2), new_card("03-06 10:00")),
    "reinstated": (FIRST, paused("03-04 09:00"), resumed("03-09 09:00"), signal("account.reinstated", "03-12 00:00")),
    "next case": (FIRST, paused("03-04 09:00"), paid("03-05 09:00"), failed("03-06 10:00", attempt_number=2)),
    "asked and answered": (
        FIRST,
        paused("03-04 09:00"),
        failed("03-04 10:00", attempt_number=2),
        resumed("03-07 09:00"),
    ),
}


@pytest.mark.parametrize("events", READ_IN_ANY_ORDER.values(), ids=READ_IN_ANY_ORDER.keys())
def test_the_order_of_reading_does_not_matter(events: tuple[PaymentFailed | Signal, ...]) -> None:
    policy = a_policy(retries={**RETRIES, "window": "20d"})
    expected = stages_after(events, policy)
    marks = [event for event in events if isinstance(event, Signal) and event.kind.startswith(("case.", "dispute."))]

    for order in permutations(events):
        assert stages_after(order, policy) == expected
        assert stages_after((*order, *(event for event in order if event in marks)), policy) == expected


def test_methods_and_declines_are_heard_while_paused() -> None:
    declined = failed("03-03 10:00", attempt_number=2, payment_method=OTHER_VISA, initiated_by="customer")

    story = Story(only_retries()).reads(FIRST, paused("03-02 12:00"), declined, resumed("03-05 12:00"))
    story.until("03-06 13:00")

    assert story.lines("charge") == ["03-06 12:00 charge in_1 #3 4900 EUR"]


def test_of_a_pause_and_a_dispute_that_begin_at_one_instant_the_dispute_is_the_reason() -> None:
    for both in permutations((paused("03-03 10:00"), disputed("03-03 10:00"))):
        story = Story(only_retries()).reads(*both).at("03-04 10:00", FIRST).until("03-04 10:00")

        assert retry_moves(story) == [("none>paused", "disputed")]


def test_a_notice_that_a_pause_held_into_quiet_hours_is_looked_at_when_these_are_over() -> None:
    ladder = [a_notice("one", "14h", "sms")]  # at midnight, so it waits for 08:00
    story = Story(a_policy(ladder=ladder, retries=None)).reads(
        FIRST, paused("03-03 01:00"), moved("03-04 10:00", phone=""), resumed("03-05 05:00")
    )

    story.reads(moved("03-05 07:00", phone="+4915199999999")).until("03-06 00:00")

    assert story.lines("notice") == ["03-05 08:00 notice one sms sent"]


@pytest.mark.parametrize(
    "news",
    [
        signal("account.reinstated", "03-03 12:00", reason="agreed"),
        signal("invoice.adjusted", "03-03 12:00", amount_remaining_minor=3900),
        extended("03-03 12:00", by="1d"),
    ],
)
def test_other_news_of_the_instant_at_which_a_pause_begins_does_not_put_off_what_it_revokes(news: Signal) -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))
    story.at("03-03 11:30", signal("case.paused", "03-03 12:00", reason="asked for time"))

    story.reads(news).until("04-01 00:00")

    assert story.since("03-03 10:01", "retry") == ["03-03 12:00 retry in_1 requested>paused"]
