"""What networks and processors allow, per merchant and card, over all accounts and invoices (rule 18, promise 7).

The stories pay with a Visa card, which may be tried again 20 times in 30 days.
"""

from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from dunning.domain.events import Failure, PaymentMethod, RetryRequested, StageChanged
from dunning.domain.facts import Known
from retry_scheduler.case import RetryCase
from retry_scheduler.counting import note_origin, processor_as_of
from tests.builders import HARD, OTHER_VISA, SOFT, VISA, Story, failed, instant, new_card, only_retries, paid, signal

MASTERCARD = PaymentMethod(id="pm_4", type="card", brand="mastercard", fingerprint="fp_4")
OF_INDIA = PaymentMethod(id="pm_5", type="card", brand="rupay", fingerprint="fp_5", country="IN")
VISA_DECLINE = Failure("card_declined", network="visa", network_decline_code="51")


def daily(**more: Any) -> dict[str, Any]:
    """A retry every day, for ever."""
    return only_retries(**{"after": ["1d"], "max_retries": 99, **more})


def tried(times: int, day: str = "03-02", **more: Any) -> list[Any]:
    """Attempts of acc_2 with the same card, a minute apart from 06:00 on."""
    return [
        failed(f"{day} 06:{minute:02}", account_id="acc_2", invoice_id=f"in_{minute}", payment_id=f"p_{minute}", **more)
        for minute in range(times)
    ]


def charges_of(story: Story, invoice_id: str = "in_1") -> list[str]:
    """When one invoice was charged."""
    return [line.split(" charge")[0] for line in story.lines("charge") if f" {invoice_id} " in line]


def no_retries_of_others() -> dict[str, Any]:
    """A policy that retries nothing, for the accounts whose attempts only count."""
    return {**only_retries(max_retries=0), "id": "others", "priority": 1, "match": {"segments": ["others"]}}


def test_after_twenty_reattempts_the_next_waits_until_the_first_of_them_is_thirty_days_old() -> None:
    story = Story(daily(), charges="fail").reads(failed("03-02 10:00")).until("04-03 12:00")

    assert charges_of(story) == [*(f"03-{day:02} 10:00" for day in range(3, 23)), "04-02 10:00", "04-03 10:00"]


def test_after_ten_declines_in_a_day_a_mastercard_waits_until_the_first_of_them_is_a_day_old() -> None:
    story = Story(only_retries(after=["1h"], max_retries=99), charges="fail")

    story.reads(failed("03-02 10:00", payment_method=MASTERCARD)).until("03-03 12:30")

    assert charges_of(story) == [
        *(f"03-02 {hour}:00" for hour in range(11, 20)),
        "03-03 10:00",
        "03-03 11:00",
        "03-03 12:00",
    ]


def test_after_thirty_five_declines_in_thirty_days_a_mastercard_waits_until_the_first_is_thirty_days_old() -> None:
    story = Story(only_retries(after=["6h"], max_retries=99), charges="fail")

    story.reads(failed("03-02 10:00", payment_method=MASTERCARD)).until("04-01 17:00")

    assert [len(charges_of(story)), *charges_of(story)[33:]] == [36, "03-10 22:00", "04-01 10:00", "04-01 16:00"]


def test_a_charge_that_would_have_to_wait_beyond_the_window_is_not_made() -> None:
    story = Story(daily(window="28d"), charges="fail").reads(failed("03-02 10:00")).until("05-01 00:00")

    assert charges_of(story)[-1] == "03-22 10:00"
    last = story.outputs(StageChanged)[-1]
    assert (last.to_stage, last.reason, last.effective_at) == ("exhausted", "budget_exhausted", instant("03-23 10:00"))


def test_what_waited_keeps_to_the_policys_hours() -> None:
    story = Story(daily(hours=["12:00", "20:00"]), charges="fail").reads(failed("03-02 10:00")).until("04-04 00:00")

    assert charges_of(story)[0] == "03-03 12:00"
    assert charges_of(story)[19:] == ["03-22 12:00", "04-02 12:00", "04-03 12:00"]


def test_attempts_of_another_account_on_the_same_card_count() -> None:
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00")).until("04-02 00:00")

    assert charges_of(story) == ["04-01 06:01"]


@pytest.mark.parametrize(
    ("what", "others"),
    [
        ("another card", {"payment_method": OTHER_VISA}),
        ("another merchant", {"merchant_id": "mer_2"}),
        ("no charge at all", {"failure": Failure("payment_overdue")}),
        ("long ago", {"day": "01-30"}),
    ],
)
def test_what_does_not_count_together(what: str, others: dict[str, Any]) -> None:
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(20, segment="others", **others), failed("03-02 10:00", merchant_id="mer_1")).until("03-04 00:00")

    assert charges_of(story) == ["03-03 10:00"]


def test_a_merchant_that_nobody_named_may_be_the_same() -> None:
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00", merchant_id="mer_1")).until("04-01 00:00")

    assert charges_of(story) == []


def test_charges_that_succeeded_count_too() -> None:
    story = Story(daily(), charges="fail")
    for minute in range(20):
        story.reads(paid(f"03-02 06:{minute:02}", invoice_id=f"in_{minute}", payment_method=VISA))

    assert charges_of(story.reads(failed("03-02 10:00", invoice_id="in_x")).until("03-31 00:00"), "in_x") == []


def test_the_same_success_in_another_form_counts_once() -> None:
    story = Story(daily(), charges="fail")
    for minute in range(19):
        payment = paid(f"03-02 06:{minute:02}", invoice_id=f"in_{minute}", payment_method=VISA)
        story.reads(payment, replace(payment, event_id=f"again {minute}", attempt_number=None))

    story.reads(failed("03-02 10:00", invoice_id="in_x")).until("03-04 00:00")
    assert charges_of(story, "in_x") == ["03-03 10:00"]


def test_a_card_without_a_network_that_limits_it_is_tried_as_the_policy_says() -> None:
    story = Story(daily(), charges="fail").reads(failed("03-02 10:00", payment_method=MASTERCARD)).until("04-02 00:00")

    assert len(charges_of(story)) == 30


def test_a_network_that_only_the_decline_names_is_known_all_the_same() -> None:
    nameless = PaymentMethod(id="pm_9", type="card", fingerprint="fp_9")
    story = Story(daily(), charges="fail").reads(failed("03-02 10:00", payment_method=nameless, failure=VISA_DECLINE))

    assert len(charges_of(story.until("04-01 00:00"))) == 20


def test_an_order_of_an_operator_waits_for_the_limit_too_but_for_no_hours() -> None:
    story = Story(no_retries_of_others(), daily(hours=["12:00", "13:00"], max_retries=0), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00"), signal("retry.now", "03-03 22:00"))

    assert charges_of(story.until("05-01 00:00")) == ["04-01 06:01"]


def test_an_order_that_would_have_to_wait_beyond_the_window_is_not_carried_out() -> None:
    story = Story(no_retries_of_others(), daily(max_retries=0, window="5d"), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00"), signal("retry.now", "03-03 22:00"))

    assert charges_of(story.until("05-01 00:00")) == []
    last = story.outputs(StageChanged)[-1]
    assert (last.from_stage, last.to_stage, last.reason) == ("scheduled", "exhausted", "budget_exhausted")


def test_an_order_that_was_not_carried_out_is_over_and_nothing_asks_for_it_again() -> None:
    story = Story(no_retries_of_others(), daily(max_retries=0, window="5d"), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00"), signal("retry.now", "03-03 22:00"))
    story.reads(new_card("03-01 10:00"))  # older than the failure: no news

    story.reads(signal("case.paused", "03-04 10:00", invoice_id="in_1"))
    story.reads(signal("case.resumed", "03-04 11:00", invoice_id="in_1")).until("05-01 00:00")

    assert story.since("03-04", "retry", "charge") == []


def test_a_plan_whose_charge_could_not_be_made_is_finished_and_no_pause_begins_it_anew() -> None:
    story = Story(no_retries_of_others(), daily(window="5d"), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00")).until("03-04 00:00")

    story.reads(signal("case.paused", "03-04 10:00", invoice_id="in_1"))
    story.reads(signal("case.resumed", "03-04 11:00", invoice_id="in_1")).until("05-01 00:00")

    assert story.lines("retry", "charge")[-2:] == [
        "03-02 10:00 retry in_1 none>scheduled",
        "03-03 10:00 retry in_1 scheduled>exhausted",
    ]


def test_a_new_card_has_a_budget_of_its_own() -> None:
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00"), new_card("03-03 22:00"))

    assert charges_of(story.until("03-04 00:00")) == ["03-03 22:00"]


def test_a_request_that_nobody_answers_counts_until_thirty_days_after_its_end() -> None:
    """It may have been carried out up to its end: to count from its beginning could be one too many."""
    story = Story(daily(technical_after=[], timeout="12h")).reads(failed("03-02 10:00")).until("04-10 00:00")

    charges = charges_of(story)
    assert (charges[0], charges[1]) == ("03-03 10:00", "03-04 22:00")  # a day after the time-out
    assert charges[19:21] == ["03-31 22:00", "04-02 22:00"]  # and not at 04-02 10:00, thirty days after the first


def test_what_visa_never_approves_is_not_tried_again_by_another_account_either() -> None:
    """Category 1 allows no reattempt; the account itself is barred from the card for good."""
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(1, segment="others", failure=HARD), failed("03-02 10:00")).until("04-02 00:00")

    assert charges_of(story) == ["04-01 06:00"]


def test_stripe_allows_no_retry_of_a_card_issued_in_india() -> None:
    story = Story(daily(), charges="fail")
    story.reads(failed("03-02 10:00", payment_method=OF_INDIA, processor="Stripe")).until("05-01 00:00")

    assert story.lines("retry", "charge") == ["03-02 10:00 retry in_1 none>exhausted"]
    assert story.outputs(StageChanged)[0].reason == "budget_exhausted"


@pytest.mark.parametrize(
    ("processor", "method"), [("adyen", OF_INDIA), (None, OF_INDIA), ("stripe", replace(OF_INDIA, country="DE"))]
)
def test_others_are_tried_again(processor: str | None, method: PaymentMethod) -> None:
    story = Story(daily(), charges="fail").reads(failed("03-02 10:00", payment_method=method, processor=processor))

    assert charges_of(story.until("03-04 00:00")) == ["03-03 10:00"]


def test_a_new_card_issued_in_india_is_tried_once() -> None:
    story = Story(daily(), charges="fail").reads(failed("03-02 10:00", payment_method=OF_INDIA, processor="stripe"))
    story.reads(new_card("03-05 10:00", replace(OF_INDIA, id="pm_6", fingerprint="fp_6"))).until("05-01 00:00")

    assert charges_of(story) == ["03-05 10:00"]
    last = story.outputs(StageChanged)[-1]
    assert (last.from_stage, last.to_stage, last.reason) == ("requested", "exhausted", "budget_exhausted")


def test_a_charge_that_a_pause_revoked_may_have_been_made_and_was_the_last_with_such_a_card() -> None:
    story = Story(daily()).reads(failed("03-02 10:00", processor="stripe"), new_card("03-02 12:00", OF_INDIA))

    story.reads(signal("case.paused", "03-02 14:00", invoice_id="in_1", reason="asked for time"))

    assert story.until("03-05 00:00").since("03-02 12:00", "retry") == [
        "03-02 12:00 retry in_1 scheduled>requested",
        "03-02 14:00 retry in_1 requested>paused",
        "03-02 14:00 retry in_1 paused>exhausted",
    ]


def test_a_failure_that_only_tells_which_request_it_answers_tells_the_card_too() -> None:
    """It comes back after the invoice was paid, as a debit does: the next case does not try that card again."""
    story = Story(daily()).reads(failed("03-02 10:00", payment_method=VISA), new_card("03-02 12:00", OF_INDIA))
    story.reads(paid("03-03 11:00"))

    story.reads(failed("03-05 10:00", attempt_number=2, payment_method=None, processor="stripe"))

    assert story.until("03-05 10:00").since("03-05", "retry") == ["03-05 10:00 retry in_1 none>exhausted"]


def test_a_processor_that_is_named_after_the_answer_does_not_finish_the_plan_as_of_it() -> None:
    story = Story(only_retries(after=["1d"], max_retries=3)).reads(failed("03-02 10:00", payment_method=OF_INDIA))
    story.reads(failed("03-03 11:00", attempt_number=2, payment_method=OF_INDIA))
    story.reads(
        failed("03-03 12:00", payment_id="p_9", payment_method=VISA, processor="stripe", initiated_by="customer")
    )

    assert charges_of(story.until("03-05 00:00")) == ["03-03 10:00", "03-04 12:00"]


def test_a_plan_that_one_processor_finished_stays_so_where_another_one_charges_the_invoice_later() -> None:
    story = Story(only_retries(after=["1d"], max_retries=3))
    story.reads(failed("03-02 10:00", payment_method=OF_INDIA, processor="adyen"))
    story.reads(failed("03-03 11:00", attempt_number=2, payment_method=OF_INDIA, processor="stripe"))
    others = {"payment_id": "p_9", "processor": "adyen", "initiated_by": "customer"}

    story.reads(failed("03-04 11:00", payment_method=OF_INDIA, **others))

    assert charges_of(story.until("03-10 00:00")) == ["03-03 10:00"]


@pytest.mark.parametrize("order", list(permutations([("adyen", "03-02"), ("stripe", "03-04"), ("adyen", "03-03")])))
def test_who_charged_at_an_instant_is_known_whatever_the_order_of_the_words(order: Any) -> None:
    case = RetryCase("in_1")
    for processor, day in order:
        note_origin(case, failed(f"{day} 10:00", processor=processor))

    def known(at: str) -> str | None:
        found = processor_as_of(case, instant(at))
        return found.value if found else None

    assert [known(at) for at in ("03-01 10:00", "03-02 10:00", "03-04 09:59", "03-05 10:00")] == [
        None,
        "adyen",
        "adyen",
        "stripe",
    ]


def test_of_a_case_of_a_former_version_the_newest_processor_is_known() -> None:
    case = RetryCase("in_1", processor=Known("stripe", instant("03-02 10:00")))

    assert processor_as_of(case, instant("03-02 10:00")) == case.processor
    note_origin(case, failed("03-04 10:00", processor="adyen"))
    assert processor_as_of(case, instant("03-03 10:00")) == Known("stripe", instant("03-02 10:00"))


def test_of_two_accounts_that_come_due_together_one_gets_the_last_place() -> None:
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(18, segment="others"), failed("03-02 10:00"))
    story.reads(failed("03-02 10:00", account_id="acc_3", invoice_id="in_3")).until("03-05 00:00")

    assert [each.account_id for each in story.outputs(RetryRequested)] == ["acc_1"]


def test_a_plan_that_waits_says_for_what() -> None:
    story = Story(no_retries_of_others(), daily(), charges="fail")
    story.reads(*tried(20, segment="others"), failed("03-02 10:00", failure=SOFT)).until("03-04 00:00")

    case = story.world.rooms[0].accounts["acc_1"].cases["in_1"]
    assert case.stage == "scheduled"
    assert case.plan.at == instant("04-01 06:01")
    assert case.plan.waits_for == "visa: at most 20 reattempts in 30 days"


def test_a_hard_answer_that_names_another_card_than_we_asked_for_puts_off_no_charge_of_ours() -> None:
    story = Story(daily()).reads(failed("03-02 10:00")).until("03-03 10:00")
    retry_id = story.outputs(RetryRequested)[0].retry_id

    answer = failed("03-03 10:01", attempt_number=2, retry_id=retry_id, failure=HARD, payment_method=OTHER_VISA)
    story.at("03-03 10:01", answer).until("03-04 10:01")

    assert charges_of(story) == ["03-03 10:00", "03-04 10:01"]


@pytest.mark.parametrize("late", [False, True], ids=["named_before_the_money", "named_behind_it"])
def test_who_charges_an_invoice_is_known_in_its_next_case_too_whenever_it_is_read(late: bool) -> None:
    first, money = failed("03-02 10:00", processor="stripe"), paid("03-03 09:00")
    story = Story(daily()).at("03-03 09:00", money, first) if late else Story(daily()).at("03-03 09:00", first, money)

    story.reads(failed("03-04 10:00", attempt_number=5, payment_method=OF_INDIA))

    assert charges_of(story.until("03-10 00:00")) == []


def test_a_late_failure_that_names_who_charges_finishes_the_plan_of_the_next_case() -> None:
    story = Story(daily()).reads(paid("03-03 09:00"))
    story.reads(failed("03-04 10:00", attempt_number=5, payment_method=OF_INDIA))

    story.at("03-04 12:00", failed("03-02 10:00", processor="stripe")).until("03-10 00:00")

    assert story.lines("retry") == [
        "03-04 10:00 retry in_1 none>scheduled",
        "03-04 12:00 retry in_1 scheduled>exhausted",
    ]
