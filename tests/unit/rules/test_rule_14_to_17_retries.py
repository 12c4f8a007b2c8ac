"""Charge requests, their answers, and the plan (rules 14 to 17)."""

from datetime import timedelta

import pytest

from dunning.domain import ids
from dunning.domain.events import Failure, PaymentMethod, RetryRequested, StageChanged
from tests.builders import (
    BANK_DEBIT,
    HARD,
    NEEDS_CUSTOMER,
    OTHER_VISA,
    SOFT,
    TECHNICAL,
    VISA,
    Story,
    failed,
    instant,
    new_card,
    only_retries,
    paid,
    signal,
)

FIRST_RETRY = f"{ids.case_id('acc_1', 'in_1', 1)}:2"


def test_each_distance_counts_from_the_attempt_before() -> None:
    story = Story(only_retries(), charges="fail").reads(failed("03-02 10:00")).until("06-01 00:00")

    assert story.lines("charge") == [
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-06 10:00 charge in_1 #3 4900 EUR",
        "03-11 10:00 charge in_1 #4 4900 EUR",
        "03-18 10:00 charge in_1 #5 4900 EUR",
    ]
    assert story.lines("retry")[-1] == "03-18 10:00 retry in_1 requested>exhausted"
    assert story.outputs(StageChanged)[-1].reason == "retries_exhausted"


def test_a_request_is_void_after_a_day_for_cards_two_weeks_otherwise_and_never_later_than_the_window() -> None:
    def valid_for(method: object, **keys: object) -> timedelta:
        story = Story(only_retries(**keys)).reads(failed("03-02 10:00", payment_method=method)).until("03-03 10:00")
        request = story.outputs(RetryRequested)[0]
        return request.not_after - request.not_before  # type: ignore[no-any-return]  # both are times

    assert valid_for(failed("03-02 10:00").payment_method) == timedelta(days=1)
    assert valid_for(BANK_DEBIT) == timedelta(days=14)
    assert valid_for(None) == timedelta(days=14)
    assert valid_for(BANK_DEBIT, timeout="2h") == timedelta(hours=2)
    assert valid_for(BANK_DEBIT, window="5d") == timedelta(days=4)


def test_a_request_that_nobody_answers_is_a_technical_failure_at_its_end() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00")).until("03-06 10:00")

    assert story.lines("retry", "charge")[3:] == [
        "03-04 10:00 retry in_1 requested>scheduled",
        "03-04 10:10 retry in_1 scheduled>requested",
        "03-04 10:10 charge in_1 #3 4900 EUR",
        "03-05 10:10 retry in_1 requested>scheduled",
        "03-05 11:10 retry in_1 scheduled>requested",
        "03-05 11:10 charge in_1 #4 4900 EUR",
    ]


def test_an_answer_after_its_time_changes_the_class_only() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))

    answer = failed("03-04 09:00", attempt_number=2, retry_id=FIRST_RETRY)
    story.at("03-04 10:05", answer).until("03-07 10:00")

    assert story.since("03-04", "retry", "charge") == [
        "03-04 10:00 retry in_1 requested>scheduled",
        "03-07 10:00 retry in_1 scheduled>requested",
        "03-07 10:00 charge in_1 #3 4900 EUR",
    ]


def test_a_late_answer_that_needs_the_customer_or_is_hard_stops_what_was_planned() -> None:
    def after(failure: object) -> list[str]:
        story = Story(only_retries()).reads(failed("03-02 10:00"))
        answer = failed("03-04 09:00", attempt_number=2, retry_id=FIRST_RETRY, failure=failure)
        return story.at("03-04 10:05", answer).until("04-01 00:00").since("03-04 10:01")

    assert after(HARD) == ["03-04 10:05 retry in_1 scheduled>waiting_for_customer"]
    assert after(NEEDS_CUSTOMER) == ["03-04 10:05 retry in_1 scheduled>waiting_for_customer"]


@pytest.mark.parametrize("failure", [HARD, NEEDS_CUSTOMER])
@pytest.mark.parametrize(("technical_after", "stage"), [(["10m"], "scheduled"), ([], "exhausted")])
def test_a_late_answer_that_no_charge_can_cure_waits_for_the_customer_where_the_plan_was_full_as_well(
    failure: Failure, technical_after: list[str], stage: str
) -> None:
    """As an answer in time does: how the charge was declined, and what it was, count as of its time-out."""
    story = Story(only_retries(after=["1d"], technical_after=technical_after)).reads(failed("03-02 10:00"))

    answer = failed("03-04 10:05", attempt_number=2, retry_id=FIRST_RETRY, failure=failure)
    story.reads(answer).until("04-01 00:00")

    assert story.since("03-04 10:01") == [f"03-04 10:05 retry in_1 {stage}>waiting_for_customer"]


def test_a_late_hard_answer_for_another_card_leaves_a_full_plan_exhausted() -> None:
    story = Story(only_retries(after=["1d"], technical_after=[])).reads(failed("03-02 10:00"))

    answer = failed("03-04 10:05", attempt_number=2, failure=HARD, payment_method=OTHER_VISA)
    story.reads(answer).until("04-01 00:00")

    assert story.since("03-04") == ["03-04 10:00 retry in_1 requested>exhausted"]


def test_a_late_answer_while_the_next_request_is_out_leaves_that_alone() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))

    story.at("03-04 12:00", failed("03-04 09:00", attempt_number=2, retry_id=FIRST_RETRY)).until("03-05 10:10")

    assert story.since("03-04 10:10", "retry", "charge") == [
        "03-04 10:10 retry in_1 scheduled>requested",
        "03-04 10:10 charge in_1 #3 4900 EUR",
        "03-05 10:10 retry in_1 requested>scheduled",
    ]


def test_an_answer_is_known_by_its_retry_id_or_by_payment_and_attempt_number() -> None:
    def stages_after(answer_number: int, **more: object) -> list[str]:
        story = Story(only_retries()).reads(failed("03-02 10:00"))
        story.reads(failed("03-03 12:00", attempt_number=answer_number, **more)).until("03-03 12:00")
        return story.since("03-03 12:00")

    answered = ["03-03 12:00 retry in_1 requested>scheduled"]
    assert stages_after(2) == answered
    assert stages_after(5, payment_id="other", retry_id=FIRST_RETRY) == answered
    assert stages_after(2, initiated_by="customer") == []
    assert stages_after(2, payment_id="other") == []
    assert stages_after(2, retry_id="another") == []


def test_a_customers_own_try_counts_for_the_distance_and_uses_nothing_up() -> None:
    story = Story(only_retries(), charges="fail").reads(failed("03-02 10:00"))

    story.reads(failed("03-02 20:00", payment_id="pay_2", attempt_number=5, initiated_by="customer")).until(
        "03-30 00:00"
    )

    assert story.lines("charge") == [
        "03-03 20:00 charge in_1 #6 4900 EUR",
        "03-06 20:00 charge in_1 #7 4900 EUR",
        "03-11 20:00 charge in_1 #8 4900 EUR",
        "03-18 20:00 charge in_1 #9 4900 EUR",
    ]


def test_a_customers_try_while_a_request_is_out_moves_what_follows_its_answer() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 15:00", payment_id="pay_2", attempt_number=3, initiated_by="customer"))

    story.at("03-03 16:00", failed("03-03 12:00", attempt_number=2, retry_id=FIRST_RETRY)).until("03-06 15:00")

    assert story.since("03-03 11", "retry", "charge") == [
        "03-03 16:00 retry in_1 requested>scheduled",
        "03-06 15:00 retry in_1 scheduled>requested",
        "03-06 15:00 charge in_1 #4 4900 EUR",
    ]


def test_a_part_of_the_money_in_answer_leads_on_at_the_next_distance() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))

    story.reads(paid("03-03 12:00", remaining=1900, retry_id=FIRST_RETRY)).until("03-06 12:00")

    assert story.since("03-03 12", "retry", "charge") == [
        "03-03 12:00 retry in_1 requested>scheduled",
        "03-06 12:00 retry in_1 scheduled>requested",
        "03-06 12:00 charge in_1 #3 1900 EUR",
    ]


def test_a_failure_that_names_what_a_part_of_the_money_had_answered_changes_nothing_of_a_full_plan() -> None:
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00"))
    story.reads(paid("03-03 12:00", remaining=1900, retry_id=FIRST_RETRY))

    story.reads(failed("03-03 14:00", attempt_number=2, failure=NEEDS_CUSTOMER)).until("04-01 00:00")

    assert story.since("03-03 12", "retry") == ["03-03 12:00 retry in_1 requested>exhausted"]


def test_a_part_of_the_money_dated_before_a_time_out_leaves_that_the_last_attempt() -> None:
    story = Story(only_retries(after=["1d"], technical_after=["1h", "3h"])).reads(failed("03-02 10:00"))
    second = FIRST_RETRY.replace(":2", ":3")  # asked for an hour after the first had timed out, on 03-04 at 10:00

    story.at("03-04 11:05", paid("03-04 09:00", remaining=1900, retry_id=second)).until("03-04 14:00")

    assert story.since("03-04 11:00", "retry", "charge") == [
        "03-04 11:00 retry in_1 scheduled>requested",
        "03-04 11:00 charge in_1 #3 4900 EUR",
        "03-04 11:05 retry in_1 requested>scheduled",
        "03-04 13:00 retry in_1 scheduled>requested",
        "03-04 13:00 charge in_1 #4 1900 EUR",
    ]


def test_a_part_of_the_money_from_elsewhere_leaves_the_request_open() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00")).reads(paid("03-03 12:00", remaining=1900))

    assert story.until("03-04 10:10").since("03-03 12", "retry", "charge") == [
        "03-04 10:00 retry in_1 requested>scheduled",
        "03-04 10:10 retry in_1 scheduled>requested",
        "03-04 10:10 charge in_1 #3 1900 EUR",
    ]


def test_the_attempt_number_of_a_success_is_seen_too() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), paid("03-02 12:00", remaining=900, attempt_number=4))

    assert story.until("03-03 10:00").lines("charge") == ["03-03 10:00 charge in_1 #5 900 EUR"]


def test_what_should_have_been_charged_in_the_past_is_charged_now() -> None:
    story = Story(only_retries()).at("03-05 09:00", failed("03-02 10:00")).until("03-05 09:00")

    assert story.lines("charge") == ["03-05 09:00 charge in_1 #2 4900 EUR"]


def test_technical_distances_are_used_up_once_then_technical_failures_use_the_plan() -> None:
    story = Story(only_retries(), charges="fail").reads(failed("03-02 10:00", failure=TECHNICAL)).until("06-01 00:00")

    assert story.lines("charge") == [
        "03-02 10:10 charge in_1 #2 4900 EUR",
        "03-02 11:10 charge in_1 #3 4900 EUR",
        "03-02 17:10 charge in_1 #4 4900 EUR",
        "03-03 17:10 charge in_1 #5 4900 EUR",
        "03-06 17:10 charge in_1 #6 4900 EUR",
        "03-11 17:10 charge in_1 #7 4900 EUR",
        "03-18 17:10 charge in_1 #8 4900 EUR",
    ]
    assert story.lines("retry")[-1] == "03-18 17:10 retry in_1 requested>exhausted"


def test_a_technical_answer_in_between_uses_up_no_planned_distance() -> None:
    charges = {2: TECHNICAL, 3: SOFT, 4: TECHNICAL, 5: SOFT}
    story = Story(only_retries(technical_after=["10m"]), charges=charges).reads(failed("03-02 10:00"))

    assert story.until("06-01 00:00").lines("charge") == [
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 10:10 charge in_1 #3 4900 EUR",
        "03-06 10:10 charge in_1 #4 4900 EUR",
        "03-11 10:10 charge in_1 #5 4900 EUR",
        "03-18 10:10 charge in_1 #6 4900 EUR",
    ]


def test_where_there_are_more_retries_than_distances_the_last_one_repeats() -> None:
    story = Story(only_retries(after=["1d", "2d"], max_retries=4), charges="fail").reads(failed("03-02 10:00"))

    assert story.until("06-01 00:00").lines("charge") == [
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-05 10:00 charge in_1 #3 4900 EUR",
        "03-07 10:00 charge in_1 #4 4900 EUR",
        "03-09 10:00 charge in_1 #5 4900 EUR",
    ]


def test_with_no_retries_the_plan_is_full_from_the_start() -> None:
    story = Story(only_retries(after=[], max_retries=0)).reads(failed("03-02 10:00")).until("03-30 00:00")

    assert story.lines("retry") == ["03-02 10:00 retry in_1 none>exhausted"]


def test_hours_are_half_open_and_local() -> None:
    def charged(failed_at: str, zone: str = "UTC") -> str:
        policy = {**only_retries(hours=["08:00", "20:00"]), "timezone": zone}
        return Story(policy).reads(failed(failed_at)).until("03-30 00:00").lines("charge")[0][:11]

    assert charged("03-02 08:00") == "03-03 08:00"
    assert charged("03-02 07:59") == "03-03 08:00"
    assert charged("03-02 19:59") == "03-03 19:59"
    assert charged("03-02 20:00") == "03-04 08:00"
    assert charged("03-02 19:30", "Europe/Berlin") == "03-04 07:00"


def test_a_retry_may_come_at_the_windows_end_but_not_later() -> None:
    at_its_end = Story(only_retries(window="4d"), charges="fail").reads(failed("03-02 10:00")).until("06-01 00:00")
    behind = Story(only_retries(window="3d23h"), charges="fail").reads(failed("03-02 10:00")).until("06-01 00:00")

    assert at_its_end.lines("retry")[-2:] == [
        "03-06 10:00 retry in_1 scheduled>requested",
        "03-06 10:00 retry in_1 requested>exhausted",
    ]
    assert behind.lines("retry")[-1] == "03-03 10:00 retry in_1 requested>exhausted"


def test_hours_that_push_a_retry_behind_the_window_leave_none() -> None:
    story = Story(only_retries(hours=["08:00", "09:00"], window="26h")).reads(failed("03-02 10:00"))

    assert story.until("03-30 00:00").lines("retry") == ["03-02 10:00 retry in_1 none>exhausted"]


def test_a_request_still_open_at_the_windows_end_exhausts_the_plan_there() -> None:
    story = Story(only_retries(window="36h")).reads(failed("03-02 10:00")).until("03-30 00:00")

    assert story.lines("retry") == [
        "03-02 10:00 retry in_1 none>scheduled",
        "03-03 10:00 retry in_1 scheduled>requested",
        "03-03 22:00 retry in_1 requested>exhausted",
    ]


def test_exhausted_is_finished_so_no_cancelled_follows_but_money_does() -> None:
    def ends(*events: object) -> list[str]:
        story = Story(only_retries(after=[])).reads(failed("03-02 10:00"))
        return story.reads(*events).until("03-30 00:00").since("03-03", "retry")  # type: ignore[arg-type]  # any input

    assert ends(signal("invoice.voided", "03-03 10:00")) == []
    assert ends(paid("03-03 10:00")) == ["03-03 10:00 retry in_1 exhausted>recovered"]


def test_waiting_for_the_customer_does_not_end_with_the_window() -> None:
    story = Story(only_retries(window="2d")).reads(failed("03-02 10:00", failure=HARD)).until("06-01 00:00")

    assert story.lines("retry") == ["03-02 10:00 retry in_1 none>waiting_for_customer"]


def test_a_new_method_after_the_window_is_charged_with_its_whole_time() -> None:
    story = Story(only_retries(window="2d")).reads(failed("03-02 10:00", failure=HARD), new_card("03-20 10:00"))

    request = story.until("03-20 10:00").outputs(RetryRequested)[0]

    assert (request.not_before, request.not_after) == (instant("03-20 10:00"), instant("03-21 10:00"))


def test_a_failure_that_answers_a_request_of_the_case_before_is_one_like_any_other_in_the_next() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), paid("03-03 12:00"), new_card("03-05 10:00"))
    story.reads(failed("03-10 10:00", attempt_number=2))  # the debit that we asked for comes back
    story.at("03-10 12:00", failed("03-08 10:00", attempt_number=3, payment_id="pay_2", initiated_by="customer"))

    assert story.until("03-11 10:00").since("03-10", "retry") == [
        "03-10 10:00 retry in_1 none>scheduled",
        "03-11 10:00 retry in_1 scheduled>requested",
    ]
    assert story.outputs(RetryRequested)[-1].payment_method_id == VISA.id


def test_a_late_answer_that_names_what_was_charged_waits_for_the_customer_after_the_window_too() -> None:
    """It changes class and method of the time-out that finished the plan; another invoice's card is another matter."""
    story = Story(only_retries(after=["3d"], window="7d")).reads(failed("03-02 10:00", payment_method=None))
    story.reads(failed("03-11 10:00", invoice_id="in_2", payment_id="pay_2", payment_method=VISA))

    late = failed("03-10 10:00", attempt_number=2, failure=NEEDS_CUSTOMER, payment_method=OTHER_VISA)
    story.at("03-11 12:00", late).until("03-11 12:00")

    assert [line for line in story.lines("retry") if "in_1" in line] == [
        "03-02 10:00 retry in_1 none>scheduled",
        "03-05 10:00 retry in_1 scheduled>requested",
        "03-09 10:00 retry in_1 requested>exhausted",
        "03-11 12:00 retry in_1 exhausted>waiting_for_customer",
    ]


def test_a_late_answer_that_names_a_card_charged_before_waits_for_the_customer_too() -> None:
    """What it names is known as of the time-out, when the card that was entered since was older."""
    story = Story(only_retries(after=[], technical_after=[])).reads(failed("03-02 10:00"), new_card("03-05 10:00"))

    story.reads(failed("03-20 10:00", attempt_number=2, failure=NEEDS_CUSTOMER)).until("04-01 00:00")

    assert story.since("03-05", "retry")[1:] == [
        "03-05 10:00 retry in_1 scheduled>requested",
        "03-06 10:00 retry in_1 requested>exhausted",
        "03-20 10:00 retry in_1 exhausted>waiting_for_customer",
    ]


def test_what_a_late_answer_to_an_earlier_request_names_does_not_end_a_plan_that_goes_on() -> None:
    """Stripe's rule for India would end it, had the card been known before the answer to the request behind it."""
    story = Story(only_retries(after=["1d", "7d"], technical_after=["1h"]))
    story.reads(failed("03-02 10:00", processor="stripe"), failed("03-05 09:00", attempt_number=3)).until("03-06 10:00")

    card_in_india = PaymentMethod(id="pm_in", type="card", country="IN")
    late = failed("03-06 10:00", attempt_number=2, failure=HARD, payment_method=card_in_india)
    story.at("03-07 09:00", late).until("03-12 09:00")

    assert story.since("03-04 11", "retry", "charge") == [
        "03-04 11:00 retry in_1 scheduled>requested",
        "03-04 11:00 charge in_1 #3 4900 EUR",
        "03-05 09:00 retry in_1 requested>scheduled",
        "03-12 09:00 retry in_1 scheduled>requested",
        "03-12 09:00 charge in_1 #4 4900 EUR",
    ]


def test_a_late_answer_that_names_a_card_charged_before_ends_the_plan_as_of_its_time_out() -> None:
    """The card that was entered last was asked for, the one of before was charged: Stripe does not try it again."""
    card_in_india = PaymentMethod(id="pm_in", type="card", country="IN")
    story = Story(only_retries(after=["5d"], technical_after=[]))
    story.reads(failed("03-02 10:00", payment_method=card_in_india, processor="stripe"), new_card("03-05 10:00"))

    others = {"attempt_number": 9, "payment_id": "p_9", "payment_method": card_in_india, "failure": HARD}
    story.reads(failed("03-08 10:00", attempt_number=2, payment_method=card_in_india), failed("03-09 10:00", **others))

    assert story.until("04-01 00:00").lines("retry") == [
        "03-02 10:00 retry in_1 none>exhausted",
        "03-05 10:00 retry in_1 exhausted>scheduled",
        "03-05 10:00 retry in_1 scheduled>requested",
        "03-06 10:00 retry in_1 requested>scheduled",
        "03-08 10:00 retry in_1 scheduled>exhausted",
    ]
