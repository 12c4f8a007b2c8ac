"""How cases open, close and follow each other (rules 7 to 11)."""

from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunning.domain import ids
from dunning.domain.events import AccountStatus, PaymentSucceeded, RetryRequested, Signal, StageChanged
from tests.builders import LADDER, PAST_DUE, Story, a_notice, a_policy, failed, only_retries, paid, signal


def test_a_failure_before_the_success_that_closed_the_case_changes_nothing_however_late_it_comes() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), paid("03-04 09:00"))

    story.at("03-05 08:00", failed("03-03 10:00", attempt_number=2)).until("03-30 00:00")

    assert story.since("03-04 09:01") == []


def test_a_failure_after_the_success_is_a_returned_payment_and_opens_the_next_case() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), paid("03-02 12:00"))

    story.reads(failed("03-06 12:00", attempt_number=3)).until("03-07 12:00")

    assert story.since("03-06") == [
        "03-06 12:00 retry in_1 none>scheduled",
        "03-06 12:00 account in_1 active>past_due",
        "03-06 12:00 status acc_1 active>past_due",
        "03-07 12:00 retry in_1 scheduled>requested",
        "03-07 12:00 charge in_1 #4 4900 EUR",
    ]
    assert story.outputs(RetryRequested)[-1].case_id == ids.case_id("acc_1", "in_1", 2)


def test_a_late_success_closes_the_case_and_hands_the_later_failures_over_to_the_next() -> None:
    story = Story(only_retries(), charges={2: None}).reads(failed("03-02 10:00"))
    story.at("03-02 20:00", failed("03-02 20:00", payment_id="pay_2", attempt_number=2, initiated_by="customer"))

    story.at("03-02 22:00", paid("03-02 12:00")).until("03-03 20:00")

    assert story.since("03-02 22") == [
        "03-02 22:00 retry in_1 scheduled>recovered",
        "03-02 22:00 retry in_1 none>scheduled",
        "03-02 22:00 account in_1 past_due>active",
        "03-02 22:00 status acc_1 past_due>active",
        "03-02 22:00 account in_1 active>past_due",
        "03-02 22:00 status acc_1 active>past_due",
        "03-03 20:00 retry in_1 scheduled>requested",
        "03-03 20:00 charge in_1 #3 4900 EUR",
        "03-03 20:00 retry in_1 requested>scheduled",
    ]


def test_an_open_request_goes_over_to_the_next_case_without_being_made_again() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))
    story.at("03-03 11:00", failed("03-03 11:00", payment_id="pay_2", attempt_number=7, initiated_by="customer"))
    story.at("03-03 12:00", paid("03-02 12:00"))
    first = ids.case_id("acc_1", "in_1", 1)

    answer = failed("03-03 13:00", attempt_number=2, retry_id=f"{first}:2")
    story.at("03-03 13:00", answer).until("03-06 13:00")

    assert story.since("03-03 12", "retry", "charge") == [
        "03-03 12:00 retry in_1 requested>recovered",
        "03-03 12:00 retry in_1 none>scheduled",
        "03-03 12:00 retry in_1 scheduled>requested",
        "03-03 13:00 retry in_1 requested>scheduled",
        "03-06 13:00 retry in_1 scheduled>requested",
        "03-06 13:00 charge in_1 #8 4900 EUR",
    ]


def test_where_all_failures_came_after_the_success_what_was_done_counts_as_done_in_the_renumbered_case() -> None:
    story = Story().reads(failed("03-02 10:00")).at("03-06 00:00", paid("03-01 10:00")).until("03-09 10:00")

    assert story.since("03-06") == [
        "03-06 00:00 retry in_1 requested>recovered",
        "03-06 00:00 retry in_1 none>scheduled",
        "03-06 00:00 retry in_1 scheduled>requested",
        "03-06 00:00 account in_1 past_due>active",
        "03-06 00:00 account in_1 active>past_due",
        "03-06 11:10 retry in_1 requested>scheduled",
        "03-06 17:10 retry in_1 scheduled>requested",
        "03-06 17:10 charge in_1 #5 4900 EUR",
        "03-07 17:10 retry in_1 requested>scheduled",
        "03-09 10:00 notice formal email sent",
    ]
    assert story.outputs(RetryRequested)[-1].case_id == ids.case_id("acc_1", "in_1", 2)


def test_the_notice_track_of_a_renumbered_case_stands_at_the_last_rung_that_said_something() -> None:
    ladder = [a_notice("hello", "0d"), {**PAST_DUE, "at": "1d"}, a_notice("later", "9d")]
    story = Story(a_policy(ladder=ladder, retries=None)).reads(failed("03-02 10:00"))

    story.at("03-06 00:00", paid("03-01 10:00")).until("03-06 00:00")

    last = [each for each in story.outputs(StageChanged) if each.track == "notice"][-1]
    assert (last.from_stage, last.to_stage, last.reason) == ("none", "hello", "carried_over")


def test_a_carried_over_stage_has_the_reason_of_its_rung() -> None:
    story = Story(a_policy(ladder=[PAST_DUE, {"rung": "limited", "at": "3d", "account": "restricted"}]))

    story.reads(failed("03-02 10:00")).at("03-06 00:00", paid("03-01 10:00")).until("03-07 00:00")

    moves = [(each.to_stage, each.reason) for each in story.outputs(StageChanged) if each.track == "account"]
    assert moves == [
        ("past_due", "payment_failed"),
        ("restricted", "grace_period_expired"),
        ("active", "paid"),
        ("restricted", "grace_period_expired"),
    ]


def test_a_reinstated_stage_is_carried_over_as_it_stood() -> None:
    story = Story(a_policy(ladder=[PAST_DUE])).reads(failed("03-02 10:00"), signal("account.reinstated", "03-03 10:00"))

    story.at("03-06 00:00", paid("03-01 10:00")).until("03-07 00:00")

    assert story.since("03-06", "account", "status") == []


@pytest.mark.parametrize(
    ("earlier", "number"),
    [
        ((), 1),
        ((paid("03-01 10:00"),), 2),
        ((paid("02-01 10:00"), paid("03-01 10:00")), 3),
        ((signal("invoice.adjusted", "03-01 10:00", invoice_id="in_1", amount_remaining_minor=0),), 2),
        ((paid("03-01 10:00", remaining=100),), 1),
    ],
)
def test_a_case_is_numbered_by_the_closings_before_its_first_failure_seen_or_unseen(
    earlier: tuple[object, ...], number: int
) -> None:
    story = Story(only_retries())
    for event in earlier:
        story.reads(event)  # type: ignore[arg-type]  # any kind of input

    story.reads(failed("03-02 10:00")).until("03-02 10:00")

    assert story.outputs(StageChanged)[0].case_id == ids.case_id("acc_1", "in_1", number)


def test_the_case_id_is_the_same_for_everybody() -> None:
    assert ids.case_id("acc_1", "in_1", 1) == "6ed6f10f-951c-5744-9711-55dcaa05d552"


@pytest.mark.parametrize("ending", ["invoice.voided", "case.closed"])
def test_after_a_void_or_write_off_failures_change_nothing_whatever_their_time(ending: str) -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), signal(ending, "03-02 11:00", reason="written_off"))
    story.reads(failed("03-05 10:00", attempt_number=2)).until("03-30 00:00")

    early = Story(only_retries()).reads(signal(ending, "03-02 09:00", reason="written_off"))
    early.reads(failed("03-05 10:00")).until("03-30 00:00")

    assert story.since("03-02 11") == [
        "03-02 11:00 retry in_1 scheduled>cancelled",
        "03-02 11:00 account in_1 past_due>active",
        "03-02 11:00 status acc_1 past_due>active",
    ]
    assert early.lines() == []


def test_of_a_void_and_a_payment_the_one_that_is_read_first_closes_the_case_for_good() -> None:
    """Its end was published, and nobody is to be charged or restricted any more in either order (0003)."""
    settled, voided = paid("03-02 12:00"), signal("invoice.voided", "03-02 14:00")

    def ends(*order: PaymentSucceeded | Signal) -> list[str]:
        story = Story(only_retries()).reads(failed("03-02 10:00")).at("03-02 15:00", *order)
        return story.until("03-20 10:00").since("03-02 15:00", "retry")

    assert ends(settled, voided) == ["03-02 15:00 retry in_1 scheduled>recovered"]
    assert ends(voided, settled) == ["03-02 15:00 retry in_1 scheduled>cancelled"]


def test_a_closing_gives_its_reason() -> None:
    story = Story().reads(failed("03-02 10:00"), signal("case.closed", "03-02 11:00", reason="written_off"))

    story.until("03-02 11:00")

    last = {each.track: each for each in story.outputs(StageChanged)}
    assert {track: (each.to_stage, each.reason) for track, each in last.items()} == {
        "retry": ("cancelled", "written_off"),
        "notice": ("closed", "written_off"),
        "account": ("active", "written_off"),
    }
    assert story.outputs(AccountStatus)[-1].reason == "written_off"


def test_at_one_instant_success_wins() -> None:
    one_way = Story(only_retries()).reads(failed("03-02 10:00"), paid("03-02 10:00")).until("03-30 00:00")
    other_way = Story(only_retries()).reads(paid("03-02 10:00"), failed("03-02 10:00")).until("03-30 00:00")

    assert one_way.lines() == ["03-02 10:00 retry in_1 none>scheduled", "03-02 10:00 retry in_1 scheduled>recovered"]
    assert other_way.lines() == []


def test_a_partial_payment_lowers_what_is_asked_and_the_latest_dated_word_decides() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), paid("03-02 14:00", remaining=1900))
    story.at("03-02 15:00", paid("03-02 12:00", remaining=2900)).until("03-03 10:00")

    assert story.lines("charge") == ["03-03 10:00 charge in_1 #2 1900 EUR"]


def test_a_later_failure_does_not_change_the_amount_and_an_earlier_one_does() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))
    story.at("03-02 12:00", failed("03-02 12:00", attempt_number=2, amount_due_minor=100, initiated_by="customer"))
    story.until("03-03 12:00")

    story.at("03-03 13:00", failed("03-01 12:00", attempt_number=1, payment_id="pay_0", amount_due_minor=700))
    story.until("03-05 00:00")

    assert story.lines("charge")[:2] == [
        "03-03 12:00 charge in_1 #3 4900 EUR",
        "03-04 12:10 charge in_1 #4 700 EUR",
    ]


def test_an_earlier_failure_that_is_read_later_moves_the_ladder() -> None:
    story = Story(a_policy(ladder=LADDER[:2])).reads(failed("03-02 10:00"))
    story.at("03-02 12:00", failed("03-01 08:00", payment_id="pay_0")).until("03-09 00:00")

    assert story.lines("notice") == [
        "03-02 10:00 notice payment_failed email sent",
        "03-04 08:00 notice reminder email sent",
    ]


def test_adjusted_to_nothing_is_a_full_payment_in_every_respect() -> None:
    adjusted = signal("invoice.adjusted", "03-02 12:00", amount_remaining_minor=0)
    story = Story(only_retries()).reads(failed("03-02 10:00"), adjusted, failed("03-04 10:00", attempt_number=2))

    story.until("03-04 10:00")

    assert story.lines("retry") == [
        "03-02 10:00 retry in_1 none>scheduled",
        "03-02 12:00 retry in_1 scheduled>recovered",
        "03-04 10:00 retry in_1 none>scheduled",
    ]
    assert story.outputs(StageChanged)[-1].case_id == ids.case_id("acc_1", "in_1", 2)


def test_an_adjustment_changes_what_is_asked() -> None:
    adjusted = signal("invoice.adjusted", "03-02 12:00", amount_remaining_minor=1200)

    story = Story(only_retries()).reads(failed("03-02 10:00"), adjusted).until("03-03 10:00")

    assert story.lines("charge") == ["03-03 10:00 charge in_1 #2 1200 EUR"]


def test_another_currency_is_a_dead_letter() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))

    story.reads(paid("03-02 11:00", currency="USD"), failed("03-02 12:00", attempt_number=2, currency="USD"))

    assert story.set_aside == ["other_currency", "other_currency"]
    assert story.until("03-03 10:00").lines("charge") == ["03-03 10:00 charge in_1 #2 4900 EUR"]


@given(name=st.text(max_size=40))
def test_ids_are_those_of_the_standard_library(name: str) -> None:
    assert ids.event_id("type", name, 7) == str(uuid5(NAMESPACE_URL, f"type/{name}/7"))
