"""New methods, classes of declines, and how the retry track ends (rules 18, 19, 21 and 22)."""

import pytest

from dunning.domain import ids
from dunning.domain.events import (
    Failure,
    PaymentFailed,
    PaymentMethod,
    PaymentSucceeded,
    RetryRequested,
    Signal,
    StageChanged,
)
from tests.builders import (
    HARD,
    NEEDS_CUSTOMER,
    OTHER_VISA,
    PAST_DUE,
    SOFT,
    TECHNICAL,
    VISA,
    Story,
    a_policy,
    failed,
    instant,
    new_card,
    only_retries,
    overdue,
    paid,
    signal,
)

FIRST_RETRY = f"{ids.case_id('acc_1', 'in_1', 1)}:2"


def test_a_new_method_is_charged_at_once_while_the_customer_is_waited_for() -> None:
    story = Story(only_retries(hours=["08:00", "20:00"])).reads(failed("03-02 10:00", failure=HARD))

    story.reads(new_card("03-04 23:00")).until("03-04 23:00")

    assert story.lines("retry", "charge") == [
        "03-02 10:00 retry in_1 none>waiting_for_customer",
        "03-04 23:00 retry in_1 waiting_for_customer>scheduled",
        "03-04 23:00 retry in_1 scheduled>requested",
        "03-04 23:00 charge in_1 #2 4900 EUR",
    ]
    assert story.outputs(RetryRequested)[0].payment_method_id == "pm_2"


def test_a_new_method_brings_a_planned_retry_forward_and_uses_nothing_up() -> None:
    story = Story(only_retries(), charges="fail").reads(failed("03-02 10:00"), new_card("03-02 12:00"))

    assert story.until("06-01 00:00").lines("charge") == [
        "03-02 12:00 charge in_1 #2 4900 EUR",
        "03-03 12:00 charge in_1 #3 4900 EUR",
        "03-06 12:00 charge in_1 #4 4900 EUR",
        "03-11 12:00 charge in_1 #5 4900 EUR",
        "03-18 12:00 charge in_1 #6 4900 EUR",
    ]


def test_a_new_method_revives_an_exhausted_case_once() -> None:
    story = Story(only_retries(after=["1d"]), charges="fail").reads(failed("03-02 10:00"), new_card("03-20 12:00"))

    assert story.until("06-01 00:00").since("03-03", "retry", "charge") == [
        "03-03 10:00 retry in_1 scheduled>requested",
        "03-03 10:00 charge in_1 #2 4900 EUR",
        "03-03 10:00 retry in_1 requested>exhausted",
        "03-20 12:00 retry in_1 exhausted>scheduled",
        "03-20 12:00 retry in_1 scheduled>requested",
        "03-20 12:00 charge in_1 #3 4900 EUR",
        "03-20 12:00 retry in_1 requested>exhausted",
    ]


def test_a_new_method_behind_the_window_is_charged_and_then_nothing_is_left() -> None:
    story = Story(only_retries(window="5d"), charges="fail").reads(failed("03-02 10:00", failure=HARD))

    story.world.processor = Story(charges={2: SOFT}).world.processor
    story.reads(new_card("03-20 12:00")).until("06-01 00:00")

    assert story.since("03-20", "retry") == [
        "03-20 12:00 retry in_1 waiting_for_customer>scheduled",
        "03-20 12:00 retry in_1 scheduled>requested",
        "03-20 12:00 retry in_1 requested>exhausted",
    ]


def test_while_a_request_is_out_a_new_method_is_kept_until_it_failed() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), new_card("03-03 12:00"))

    story.reads(failed("03-03 13:00", attempt_number=2, retry_id=FIRST_RETRY, failure=HARD)).until("03-03 13:00")

    assert story.since("03-03 10:01", "retry", "charge") == [
        "03-03 13:00 retry in_1 requested>scheduled",
        "03-03 13:00 retry in_1 scheduled>requested",
        "03-03 13:00 charge in_1 #3 4900 EUR",
    ]
    assert [each.payment_method_id for each in story.outputs(RetryRequested)] == ["pm_1", "pm_2"]


def test_a_kept_method_is_charged_at_once_after_the_time_out() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), new_card("03-03 12:00")).until("03-04 10:00")

    assert story.since("03-03 10:01", "retry", "charge") == [
        "03-04 10:00 retry in_1 requested>scheduled",
        "03-04 10:00 retry in_1 scheduled>requested",
        "03-04 10:00 charge in_1 #3 4900 EUR",
    ]


def test_a_method_that_was_declined_hard_is_ignored_when_it_comes_back() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00", failure=HARD), new_card("03-03 10:00", VISA))

    assert story.until("04-01 00:00").lines("retry") == ["03-02 10:00 retry in_1 none>waiting_for_customer"]


def test_a_hard_refusal_stops_the_same_method_in_all_cases_of_the_account() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00", invoice_id="in_2", payment_id="pay_2"))

    story.reads(failed("03-02 12:00", failure=HARD)).until("04-01 00:00")

    assert story.lines("retry") == [
        "03-02 10:00 retry in_2 none>scheduled",
        "03-02 12:00 retry in_2 scheduled>waiting_for_customer",
        "03-02 12:00 retry in_1 none>waiting_for_customer",
    ]


def test_a_hard_refusal_of_one_card_does_not_stop_the_other() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00", invoice_id="in_2", payment_id="pay_2"))

    story.reads(failed("03-02 12:00", failure=HARD, payment_method=OTHER_VISA)).until("03-03 10:00")

    assert story.lines("retry", "charge") == [
        "03-02 10:00 retry in_2 none>scheduled",
        "03-02 12:00 retry in_1 none>waiting_for_customer",
        "03-03 10:00 retry in_2 scheduled>requested",
        "03-03 10:00 charge in_2 #2 4900 EUR",
    ]


def test_a_customers_try_with_another_card_that_is_refused_hard_stops_nothing() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))
    tried = failed(
        "03-02 12:00", payment_id="pay_2", attempt_number=2, failure=HARD, payment_method=OTHER_VISA,
        initiated_by="customer",
    )  # fmt: skip

    story.reads(tried).until("03-03 12:00")

    assert story.lines("charge") == ["03-03 12:00 charge in_1 #3 4900 EUR"]
    assert story.outputs(RetryRequested)[0].payment_method_id == "pm_1"


def test_a_method_that_nobody_named_is_barred_for_its_own_case_only() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00", failure=HARD, payment_method=None))
    story.reads(failed("03-02 12:00", invoice_id="in_2", payment_id="pay_2", payment_method=None))

    assert story.reads(new_card("03-02 13:00")).until("03-02 13:00").lines("retry") == [
        "03-02 10:00 retry in_1 none>waiting_for_customer",
        "03-02 12:00 retry in_2 none>scheduled",
        "03-02 13:00 retry in_1 waiting_for_customer>scheduled",
        "03-02 13:00 retry in_1 scheduled>requested",
        "03-02 13:00 retry in_2 scheduled>requested",
    ]


def test_a_method_that_comes_in_the_very_instant_of_an_unnamed_refusal_is_a_new_one() -> None:
    story = Story(only_retries()).at("03-02 10:00", failed("03-02 10:00", failure=HARD, payment_method=None))

    assert story.at("03-02 10:00", new_card("03-02 10:00")).until("03-02 10:00").lines("charge") == [
        "03-02 10:00 charge in_1 #2 4900 EUR",
    ]


def test_a_new_method_that_is_refused_hard_waits_again() -> None:
    story = Story(only_retries(), charges={2: HARD}).reads(failed("03-02 10:00"), new_card("03-02 12:00"))

    assert story.until("04-01 00:00").lines("retry") == [
        "03-02 10:00 retry in_1 none>scheduled",
        "03-02 12:00 retry in_1 scheduled>requested",
        "03-02 12:00 retry in_1 requested>waiting_for_customer",
    ]


def test_the_customers_act_after_a_refusal_that_needs_it_is_a_new_method_or_a_try_of_its_own() -> None:
    def after(event: object) -> list[str]:
        story = Story(only_retries()).reads(failed("03-02 10:00", failure=NEEDS_CUSTOMER))
        return story.reads(event).until("03-04 10:00").since("03-03 09", "retry")[:2]  # type: ignore[arg-type]  # any input

    assert after(new_card("03-03 10:00", VISA)) == [
        "03-03 10:00 retry in_1 waiting_for_customer>scheduled",
        "03-03 10:00 retry in_1 scheduled>requested",
    ]
    assert after(failed("03-03 10:00", payment_id="pay_2", attempt_number=2, initiated_by="customer")) == [
        "03-03 10:00 retry in_1 waiting_for_customer>scheduled",
        "03-04 10:00 retry in_1 scheduled>requested",
    ]


def test_an_answer_that_calls_our_card_by_another_id_does_not_rename_it() -> None:
    """A tokeniser gives one card several ids; what else was said of it, such as its type, goes by the one we know."""
    by_another_id = PaymentMethod(id="pm_9", fingerprint=VISA.fingerprint)
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00"))

    story.reads(
        failed("03-03 11:00", attempt_number=2, payment_method=by_another_id), signal("retry.now", "03-04 10:00")
    )

    requests = story.until("03-04 10:00").outputs(RetryRequested)
    assert [each.payment_method_id for each in requests] == [VISA.id, VISA.id]


def test_an_order_to_retry_now_charges_the_present_method_unless_it_is_barred() -> None:
    def charged(failure: Failure) -> list[str]:
        story = Story(only_retries(hours=["08:00", "20:00"])).reads(failed("03-02 10:00", failure=failure))
        return story.reads(signal("retry.now", "03-02 23:00")).until("03-02 23:00").lines("charge")

    at_once = ["03-02 23:00 charge in_1 #2 4900 EUR"]
    assert charged(SOFT) == at_once
    assert charged(NEEDS_CUSTOMER) == at_once
    assert charged(HARD) == []


def test_an_order_to_retry_now_waits_for_the_open_request() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), signal("retry.now", "03-03 11:00"))

    story.reads(failed("03-03 12:00", attempt_number=2, retry_id=FIRST_RETRY)).until("03-03 12:00")

    assert story.lines("charge")[1:] == ["03-03 12:00 charge in_1 #3 4900 EUR"]


@pytest.mark.parametrize(
    ("failure", "charged"),
    [
        (Failure("card_declined", network="mastercard", network_advice_code="24"), "03-03 10:00"),
        (Failure("card_declined", network="mastercard", network_advice_code="26"), "03-04 10:00"),
        (Failure("card_declined", network="mastercard", network_advice_code="30"), "03-12 10:00"),
        (Failure("card_declined", network="mastercard", network_advice_code="03"), "none"),
        (Failure("lost_card", network="visa", network_decline_code="51"), "none"),
        (Failure("insufficient_funds", network="visa", network_decline_code="04"), "none"),
        (Failure("insufficient_funds", network="visa", network_decline_code="05"), "03-03 10:00"),
        (Failure("insufficient_funds", network="visa", network_decline_code="91"), "03-02 10:10"),
        (Failure("who_knows", network="visa", network_decline_code="??", decline_class="hard"), "none"),
        (Failure("insufficient_funds", decline_class="hard"), "03-03 10:00"),
        (Failure("who_knows"), "03-03 10:00"),
        (Failure("processing_error", network="mastercard", network_advice_code="25"), "03-03 10:00"),
    ],
)
def test_a_hard_code_from_any_source_wins_advice_only_delays_and_the_unmapped_falls_through(
    failure: Failure, charged: str
) -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00", failure=failure)).until("04-01 00:00")

    assert next((line[:11] for line in story.lines("charge")), "none") == charged


def test_advice_that_reaches_behind_the_window_leaves_no_retry() -> None:
    advice = Failure("insufficient_funds", network="mastercard", network_advice_code="30")

    story = Story(only_retries(window="7d")).reads(failed("03-02 10:00", failure=advice)).until("04-01 00:00")

    assert story.lines("retry") == ["03-02 10:00 retry in_1 none>exhausted"]


def test_an_overdue_payment_has_no_retry_track() -> None:
    story = Story(only_retries()).reads(
        overdue("03-02 10:00"), new_card("03-03 10:00"), signal("retry.now", "03-04 10:00")
    )

    assert story.reads(paid("03-05 10:00")).until("04-01 00:00").lines("retry", "charge") == []


@pytest.mark.parametrize(
    ("payment", "reason"),
    [
        (paid("03-03 12:00", retry_id=FIRST_RETRY), "paid"),
        (paid("03-03 12:00", payment_id="pay_1", attempt_number=2), "paid"),
        (paid("03-03 12:00", payment_id="pay_1"), "paid_elsewhere"),
        (paid("03-03 12:00", payment_id="pay_1", attempt_number=2, initiated_by="customer"), "paid_elsewhere"),
        (signal("invoice.adjusted", "03-03 12:00", amount_remaining_minor=0), "paid_elsewhere"),
    ],
)
def test_money_that_answers_us_is_paid_and_other_money_is_paid_elsewhere(payment: object, reason: str) -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"), payment)  # type: ignore[arg-type]  # any input

    moved = [each for each in story.until("03-03 12:00").outputs(StageChanged) if each.track == "retry"][-1]

    assert (moved.to_stage, moved.reason) == ("recovered", reason)


@pytest.mark.parametrize("failure", [SOFT, HARD, NEEDS_CUSTOMER, TECHNICAL])
def test_money_moves_every_stage_to_recovered(failure: Failure) -> None:
    story = Story(only_retries(after=[])).reads(failed("03-02 10:00", failure=failure), paid("03-02 10:05"))

    assert story.until("03-02 10:05").lines("retry")[-1].endswith(">recovered")


def test_a_request_says_what_the_platform_needs() -> None:
    request = Story(only_retries()).reads(failed("03-02 10:00")).until("03-03 10:00").outputs(RetryRequested)[0]

    assert (request.retry_id, request.sequence, request.decline_class) == (FIRST_RETRY, 1, "soft")
    assert (request.payment_id, request.payment_method_id) == ("pay_1", "pm_1")
    assert (request.not_before, request.not_after) == (instant("03-03 10:00"), instant("03-04 10:00"))


def test_a_hard_refusal_bars_its_method_also_where_the_invoice_was_paid_since() -> None:
    story = Story(only_retries()).reads(paid("03-02 11:00")).at("03-02 12:00", failed("03-02 10:00", failure=HARD))

    story.reads(failed("03-04 10:00", attempt_number=2)).until("04-01 00:00")

    assert story.lines("retry") == ["03-04 10:00 retry in_1 none>waiting_for_customer"]


def test_until_something_was_asked_for_the_failures_alone_decide_in_whatever_order_they_are_read() -> None:
    early, late = failed("03-02 10:00"), failed("03-02 11:00", attempt_number=2, failure=NEEDS_CUSTOMER)

    def ends(*order: object) -> str:
        story = Story(only_retries(after=[])).at("03-02 12:00", *order).until("03-03 00:00")  # type: ignore[arg-type]  # inputs
        return story.lines("retry")[-1].split(">")[1]

    assert ends(early, late) == ends(late, early) == "waiting_for_customer"


def test_a_hard_refusal_bars_its_method_also_where_the_invoice_was_voided_before() -> None:
    story = Story(only_retries()).reads(signal("invoice.voided", "03-01 10:00", invoice_id="in_2"))

    story.reads(failed("03-02 10:00", invoice_id="in_2", failure=HARD), failed("03-02 11:00"))

    assert story.until("04-01 00:00").lines("retry", "charge") == ["03-02 11:00 retry in_1 none>waiting_for_customer"]


def test_a_method_that_another_case_was_refused_with_is_not_charged_where_nobody_named_one() -> None:
    story = Story(only_retries(), charges="fail")
    unnamed = failed("03-02 10:00", invoice_id="in_2", failure=HARD, payment_method=None)
    story.reads(failed("03-02 10:00", failure=HARD), unnamed)

    story.reads(new_card("03-04 10:00")).until("04-01 00:00")

    assert story.since("03-04", "retry", "charge") == [
        "03-04 10:00 retry in_1 waiting_for_customer>scheduled",
        "03-04 10:00 retry in_2 waiting_for_customer>scheduled",
        "03-04 10:00 retry in_1 scheduled>requested",
        "03-04 10:00 charge in_1 #2 4900 EUR",
        "03-04 10:00 retry in_2 scheduled>waiting_for_customer",
        "03-04 10:00 retry in_1 requested>waiting_for_customer",
    ]


def test_a_new_method_of_the_failures_own_instant_is_charged_at_once_in_either_order_of_reading() -> None:
    charged = ["03-02 10:00 charge in_1 #2 4900 EUR"]
    before = Story(only_retries()).reads(new_card("03-02 10:00"), failed("03-02 10:00"))
    after = Story(only_retries()).reads(failed("03-02 10:00"), new_card("03-02 10:00"))

    assert before.until("03-02 10:00").lines("charge") == charged
    assert after.until("03-02 10:00").lines("charge") == charged


def test_a_try_after_a_kept_method_makes_it_old_news_in_whatever_order_the_two_are_read() -> None:
    kept, tried = new_card("03-03 12:00"), failed("03-03 12:30", payment_id="pay_2", initiated_by="customer")

    def charged(*order: PaymentFailed | Signal) -> list[str]:
        story = Story(only_retries()).reads(failed("03-02 10:00")).at("03-03 12:30", *order)
        story.reads(failed("03-03 13:00", attempt_number=2, retry_id=FIRST_RETRY))
        return story.until("03-06 13:00").lines("charge")[1:]

    assert charged(kept, tried) == charged(tried, kept) == ["03-06 13:00 charge in_1 #3 4900 EUR"]


def test_a_method_entered_before_a_request_that_is_read_after_its_answer_is_charged_at_once() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00")).until("03-03 10:00")
    story.reads(failed("03-03 10:01", attempt_number=2, retry_id=FIRST_RETRY))

    story.at("03-03 10:05", new_card("03-03 09:59")).until("03-03 10:05")

    assert story.lines("charge")[1:] == ["03-03 10:05 charge in_1 #3 4900 EUR"]
    assert [each.payment_method_id for each in story.outputs(RetryRequested)] == ["pm_1", "pm_2"]


def test_a_new_method_and_a_decline_that_needs_the_customer_act_by_their_own_times() -> None:
    def ends(method_at: str, *, method_first: bool) -> str:
        declined = failed("03-02 11:00", attempt_number=2, failure=NEEDS_CUSTOMER)
        order = (new_card(method_at), declined) if method_first else (declined, new_card(method_at))
        story = Story(only_retries()).reads(failed("03-02 10:00")).at("03-02 12:00", *order)
        return story.until("03-02 12:00").lines("retry")[-1].split(">")[1]

    assert ends("03-02 10:30", method_first=True) == "waiting_for_customer"
    assert ends("03-02 10:30", method_first=False) == "waiting_for_customer"
    assert ends("03-02 11:30", method_first=True) == "requested"
    assert ends("03-02 11:30", method_first=False) == "requested"


def test_a_method_that_was_declined_hard_before_it_was_entered_is_ignored_also_where_that_is_read_later() -> None:
    refused = failed("03-02 10:30", invoice_id="in_2", payment_id="pay_2", failure=HARD, payment_method=OTHER_VISA)

    def stages(*order: PaymentFailed | Signal) -> list[str]:
        story = Story(only_retries()).reads(failed("03-02 10:00")).at("03-02 12:00", *order)
        return story.until("03-03 10:00").lines("charge")

    entered = new_card("03-02 11:00")
    assert stages(refused, entered) == stages(entered, refused) == ["03-03 10:00 charge in_1 #2 4900 EUR"]


def test_an_order_to_retry_now_counts_by_its_time_also_where_its_failure_is_read_later() -> None:
    def charged(ordered_at: str, *, order_first: bool) -> list[str]:
        failure, order = failed("03-02 10:00"), signal("retry.now", ordered_at)
        story = Story(only_retries()).at("03-02 12:00", *((order, failure) if order_first else (failure, order)))
        return story.until("03-02 12:00").lines("charge")

    at_once = ["03-02 12:00 charge in_1 #2 4900 EUR"]
    assert charged("03-02 11:00", order_first=True) == charged("03-02 11:00", order_first=False) == at_once
    assert charged("03-02 09:00", order_first=True) == charged("03-02 09:00", order_first=False) == []


def test_a_plan_that_was_full_when_its_request_was_answered_is_finished_whatever_else_is_read_before_that() -> None:
    part = paid("03-03 11:00", remaining=900, retry_id=FIRST_RETRY)
    tried = failed("03-03 12:00", payment_id="pay_2", initiated_by="customer", failure=NEEDS_CUSTOMER)

    def ends(*order: PaymentFailed | PaymentSucceeded) -> list[str]:
        story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00")).at("03-03 12:00", *order)
        return story.until("03-03 12:00").since("03-03 12", "retry")

    assert ends(part, tried) == ends(tried, part) == ["03-03 12:00 retry in_1 requested>exhausted"]


def test_a_plan_that_is_full_stays_finished_where_its_method_is_refused_for_good_elsewhere_later() -> None:
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00"), failed("03-03 11:00", attempt_number=2))

    story.reads(failed("03-04 10:00", invoice_id="in_2", payment_id="pay_2", failure=HARD)).until("03-10 00:00")

    assert story.since("03-03 11:00", "in_1", "retry")[-2:] == [
        "03-03 11:00 retry in_1 requested>exhausted",
        "03-04 10:00 retry in_2 none>waiting_for_customer",
    ]


def test_a_plan_that_is_full_stays_finished_also_where_nobody_says_what_a_later_try_was_made_with() -> None:
    story = Story(only_retries(after=["1d"], technical_after=["1h"])).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 11:00", attempt_number=2))
    unnamed = {"payment_id": "pay_2", "initiated_by": "customer", "payment_method": None}

    story.reads(failed("03-04 11:00", failure=TECHNICAL, **unnamed)).until("03-10 00:00")

    assert story.lines("charge") == ["03-03 10:00 charge in_1 #2 4900 EUR"]


def test_a_request_that_the_money_answers_is_not_handed_over_to_the_next_case() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 12:00", payment_id="pay_2", initiated_by="customer"))

    story.at("03-03 12:30", paid("03-03 11:00", retry_id=FIRST_RETRY)).until("03-03 12:30")

    assert story.since("03-03 12:30", "retry") == [
        "03-03 12:30 retry in_1 requested>recovered",
        "03-03 12:30 retry in_1 none>scheduled",
    ]


def test_an_ignored_failure_is_a_fact_all_the_same_its_number_was_seen_and_its_hard_refusal_bars() -> None:
    def then(failure: Failure) -> list[str]:
        ignoring = {"id": "nothing", "version": 1, "priority": 5, "ignore": True, "match": {"segments": ["test"]}}
        story = Story(only_retries(), ignoring)
        story.reads(failed("03-02 10:00", attempt_number=3, segment="test", failure=failure))
        return story.reads(failed("03-03 10:00", attempt_number=2)).until("03-04 10:00").lines("retry", "charge")

    assert then(SOFT)[-1] == "03-04 10:00 charge in_1 #4 4900 EUR"
    assert then(HARD) == ["03-03 10:00 retry in_1 none>waiting_for_customer"]


def test_a_finished_plan_stays_so_where_a_late_answer_names_a_method_that_another_case_was_refused_with() -> None:
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00", payment_method=None))
    story.reads(failed("03-02 12:00", invoice_id="in_2", payment_id="pay_2", failure=HARD))
    story.reads(failed("03-03 11:00", attempt_number=2, retry_id=FIRST_RETRY, payment_method=None))

    story.reads(failed("03-05 10:00", payment_id="pay_3", attempt_number=2, retry_id=FIRST_RETRY))

    assert (
        story.until("03-05 10:00").since("03-03 11", "in_1", "retry")[0] == "03-03 11:00 retry in_1 requested>exhausted"
    )
    assert story.since("03-05", "retry") == []


@pytest.mark.parametrize("paid_read_at", ["03-03 12:00", "03-05 10:00"])
def test_the_next_case_goes_on_with_what_its_failure_was_charged_with_also_where_an_answer_left_that_out(
    paid_read_at: str,
) -> None:
    """A payment between request and answer makes the answer the next case's, whichever is read first (rules 7, 8)."""
    story = Story(only_retries(after=["1d", "1d"])).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 11:00", invoice_id="in_2", payment_id="pay_2", payment_method=OTHER_VISA))
    answer = failed("03-04 10:00", attempt_number=2, payment_method=None)

    if paid_read_at < "03-04 10:00":
        story.at(paid_read_at, paid("03-03 12:00")).at("03-04 10:00", answer)
    else:
        story.at("03-04 10:00", answer).at(paid_read_at, paid("03-03 12:00"))

    asked = [each for each in story.until("03-05 12:00").outputs(RetryRequested) if each.invoice_id == "in_1"]
    assert [(each.attempt_number, each.payment_method_id) for each in asked] == [(2, "pm_1"), (3, "pm_1")]


def test_an_order_that_cannot_be_carried_out_leaves_a_finished_plan_finished() -> None:
    story = Story(only_retries(after=["1d"]), charges="fail").reads(failed("03-02 10:00", payment_method=None))
    story.reads(failed("03-04 10:00", payment_id="pay_2", initiated_by="customer", failure=HARD))

    story.reads(signal("retry.now", "03-05 10:00"))

    assert story.until("03-06 10:00").lines("retry")[-1] == "03-03 10:00 retry in_1 requested>exhausted"


def test_a_method_that_is_charged_again_after_an_answer_was_not_the_present_one_as_of_it() -> None:
    expired = {"failure": NEEDS_CUSTOMER}
    story = Story(only_retries(after=[]), charges="fail").reads(failed("03-02 10:00", **expired))
    story.reads(new_card("03-04 10:00"), failed("03-06 10:00", payment_id="pay_2", attempt_number=3, **expired))

    assert (
        story.until("04-01 00:00").lines("retry", "charge")[-1]
        == "03-04 10:00 retry in_1 requested>waiting_for_customer"
    )


def test_an_answer_dated_before_its_request_ends_it_as_of_the_request() -> None:
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 10:05", attempt_number=2), failed("03-05 10:00", attempt_number=3, failure=TECHNICAL))
    story.reads(signal("retry.now", "03-05 10:05")).at("03-05 10:06", failed("03-05 09:59", attempt_number=4))

    assert story.until("03-05 10:10").since("03-05", "retry") == [
        "03-05 10:05 retry in_1 exhausted>scheduled",
        "03-05 10:05 retry in_1 scheduled>requested",
        "03-05 10:06 retry in_1 requested>scheduled",
        "03-05 10:10 retry in_1 scheduled>requested",
    ]


def test_what_was_asked_for_before_a_plan_was_full_still_counts_where_its_method_is_named_again_later() -> None:
    story = Story(only_retries(after=["90m"], technical_after=[], window="7d"))
    story.at("03-02 10:00", failed("03-02 10:00"))
    story.at("03-02 10:00", failed("03-02 10:00", invoice_id="in_2", payment_id="pay_2", payment_method=None))
    story.at("03-04 10:00", failed("03-02 10:05", attempt_number=9, failure=HARD, initiated_by="customer"))

    story.reads(failed("03-05 10:00", invoice_id="in_2", payment_id="pay_2", attempt_number=5)).until("03-06 00:00")

    assert story.since("03-03", "in_2") == [
        "03-03 11:30 retry in_2 requested>exhausted",
        "03-04 10:00 retry in_2 exhausted>waiting_for_customer",
    ]


def test_each_failure_that_is_handed_over_names_its_method_as_of_its_own_time() -> None:
    story = Story(only_retries(after=["1d", "1d", "1d"], technical_after=[]), charges="fail")
    story.reads(failed("03-02 10:00"))  # charged again with the same card on 03-03 and 03-04, as nobody said yet
    story.at("03-04 12:00", new_card("03-03 20:00")).at("03-04 18:00", paid("03-03 12:00")).until("03-05 12:00")

    assert [each.payment_method_id for each in story.outputs(RetryRequested)][-2:] == [OTHER_VISA.id, OTHER_VISA.id]


@pytest.mark.parametrize("others", [[], ["03-04 12:00"]])
def test_an_answer_that_becomes_the_next_case_s_failure_tells_what_its_card_is_called(others: list[str]) -> None:
    """As where the payment is read first: it answers nothing there (7), so what it names is news (8)."""
    by_another_id = PaymentMethod(id="pm_9", fingerprint=VISA.fingerprint)
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 11:00", attempt_number=2, payment_method=by_another_id))
    for number, at in enumerate(others):  # names none: what the card is called stays as it was
        story.reads(failed(at, payment_id="pay_2", attempt_number=5 + number, payment_method=None))

    story.at("03-04 18:00", paid("03-02 12:00")).until("03-06 12:00")

    assert [each.payment_method_id for each in story.outputs(RetryRequested)] == [VISA.id, "pm_9"]


def test_an_answer_is_no_news_of_what_was_asked_for_as_of_the_end_of_a_full_plan_either() -> None:
    expired, others = {"failure": NEEDS_CUSTOMER}, {"payment_id": "pay_2", "initiated_by": "customer"}
    story = Story(only_retries(after=["1d"])).reads(failed("03-02 10:00"))
    story.reads(failed("03-03 10:05", attempt_number=2, **expired))
    newer = failed("03-02 12:00", attempt_number=9, payment_method=OTHER_VISA, **others)  # than the card as we knew it

    story.at("03-04 10:00", newer).reads(failed("03-05 10:00", attempt_number=10, **expired, **others))

    assert story.until("04-01 00:00").since("03-03 10:05", "retry") == [
        "03-03 10:05 retry in_1 requested>waiting_for_customer",
        "03-04 10:00 retry in_1 waiting_for_customer>exhausted",
    ]


def test_what_was_asked_for_and_ended_in_the_case_before_says_nothing_of_the_next_ones_method() -> None:
    """Its failure names none, so the account's newest is charged (18), not what was the newest for the case before."""
    story = Story(only_retries(technical_after=[])).reads(failed("03-01 09:00", payment_method=None))
    story.reads(failed("03-02 07:00", payment_id="pay_9", payment_method=None, initiated_by="customer"))
    others = {"invoice_id": "in_2", "payment_id": "pay_2"}
    story.reads(failed("03-02 12:00", payment_method=VISA, **others)).until("03-04 11:00")
    story.reads(failed("03-04 12:00", attempt_number=9, payment_method=OTHER_VISA, initiated_by="customer", **others))

    story.at("03-04 13:00", paid("03-01 10:00")).until("03-04 13:00")

    charged = [each for each in story.outputs(RetryRequested) if each.invoice_id == "in_1"]
    assert [(each.not_before, each.payment_method_id) for each in charged] == [
        (instant("03-03 07:00"), VISA.id),
        (instant("03-04 13:00"), OTHER_VISA.id),
    ]


def test_a_card_that_was_refused_before_it_was_entered_is_not_the_account_s_newest_whichever_is_read_first() -> None:
    """A failure that names none is charged with what the account's payments named last."""
    refusal = failed("03-01 10:00", failure=HARD, payment_method=OTHER_VISA, invoice_id="in_3")
    story = Story(only_retries(after=["1d"])).reads(failed("03-01 12:00", payment_method=VISA, invoice_id="in_2"))

    story.at("03-02 12:00", new_card("03-02 10:00"), refusal).reads(failed("03-03 10:00", payment_method=None)).until(
        "03-04 10:00"
    )

    charged = [each for each in story.outputs(RetryRequested) if each.invoice_id == "in_1"]
    assert [each.payment_method_id for each in charged] == [VISA.id]


def test_a_method_without_fingerprint_is_another_than_one_of_the_same_id_with_it() -> None:
    """`fingerprint, else id` is what a method is known by; a platform that knows the card's says it each time."""
    story = Story(only_retries()).reads(failed("03-02 10:00", failure=HARD))

    story.reads(new_card("03-03 10:00", PaymentMethod(id=VISA.id))).until("03-03 10:00")

    assert [each.payment_method_id for each in story.outputs(RetryRequested)] == [VISA.id]


def test_without_retries_of_ours_technical_failures_hold_no_rung() -> None:
    """Nothing is tried again by us that could cure it, and there is no `technical_after` that would end the hold."""
    story = Story(a_policy(ladder=[PAST_DUE], retries=None)).reads(failed("03-02 10:00", failure=TECHNICAL))

    assert story.until("03-02 10:00").lines("account") == ["03-02 10:00 account in_1 active>past_due"]


def test_a_second_answer_does_not_make_the_first_one_news_of_what_was_asked_for() -> None:
    """As of the first one a card that the customer had entered meanwhile asked for a charge: nothing was final."""
    story = Story(only_retries(after=["1d"], technical_after=[])).reads(failed("03-02 10:00"))
    story.at("03-03 10:05", failed("03-03 10:05", attempt_number=2))
    story.reads(failed("03-04 10:00", payment_id="pay_9", attempt_number=9, initiated_by="customer"))
    story.at("03-05 10:00", new_card("03-02 20:00", VISA))  # the same card once more

    story.at("03-06 10:00", failed("03-06 10:00", attempt_number=2, retry_id=FIRST_RETRY, failure=HARD))

    assert story.until("03-06 10:00").since("03-03 10:05", "retry") == [
        "03-03 10:05 retry in_1 requested>exhausted",
        "03-06 10:00 retry in_1 exhausted>waiting_for_customer",
    ]
