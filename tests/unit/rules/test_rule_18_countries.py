"""Where a card was issued stays known, whichever event says it (rules 12 and 18): Stripe retries none of India."""

from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from dunning.domain.events import Failure, PaymentFailed, PaymentMethod, PaymentSucceeded, Signal
from retry_scheduler.case import RetryAccount
from retry_scheduler.countries import country_of
from tests.builders import NEEDS_CUSTOMER, Story, failed, new_card, only_retries, paid, signal

CARD = PaymentMethod(id="pm_5", type="card", brand="rupay", fingerprint="fp_5")
OF_INDIA = replace(CARD, id="pm_6", country="IN")
FIRST = failed("03-02 10:00", payment_method=CARD, processor="stripe")
ELSEWHERE = {"invoice_id": "in_2", "payment_id": "pay_2"}


def retry_ends(*events: Any) -> str:
    """The stage of `in_1` after events that are all read in one moment, in the order in which they are given."""
    story = Story(only_retries(after=["5d"])).at("03-04 10:00", *events).until("03-04 11:00")
    return [line for line in story.lines("retry") if " in_1 " in line][-1].rpartition(">")[2]


@pytest.mark.parametrize(
    "word",
    [
        failed("03-01 10:00", payment_method=OF_INDIA, **ELSEWHERE),
        failed("03-03 10:00", payment_method=OF_INDIA, **ELSEWHERE),
        paid("03-03 10:00", payment_method=OF_INDIA, invoice_id="in_2"),
    ],
)
def test_what_another_invoice_says_of_a_card_counts_whichever_is_read_first(
    word: PaymentFailed | PaymentSucceeded,
) -> None:
    events: list[PaymentFailed | PaymentSucceeded] = [FIRST, word]

    assert [retry_ends(*order) for order in permutations(events)] == ["exhausted", "exhausted"]


def test_a_later_event_that_leaves_the_country_out_takes_nothing_back() -> None:
    story = Story(only_retries()).reads(failed("03-02 10:00", payment_method=OF_INDIA, processor="stripe"))

    story.reads(failed("03-03 10:00", attempt_number=2, payment_method=CARD, initiated_by="customer"))

    assert story.until("04-01 00:00").lines("retry", "charge") == ["03-02 10:00 retry in_1 none>exhausted"]


def test_the_newest_word_on_a_country_counts_in_whatever_order_the_words_are_read() -> None:
    """A card that is said to be of India, then of Nepal, then of India again."""
    words = [
        failed(f"03-0{day} 10:00", payment_method=replace(OF_INDIA, country=country), **ELSEWHERE, attempt_number=day)
        for day, country in ((1, "IN"), (2, "NP"), (3, "IN"))
    ]

    assert {retry_ends(FIRST, *order) for order in permutations(words)} == {"exhausted"}


def test_who_uses_a_card_at_the_instant_at_which_its_country_was_said_says_nothing_new() -> None:
    """Another case, which rests with an empty plan, is not looked at again for it."""
    in_six_days = Failure("card_declined", network="mastercard", network_advice_code="28")
    story = Story(only_retries(after=["3d"], window="4d"))
    story.reads(
        failed("03-02 10:00", payment_method=OF_INDIA),
        signal("dispute.opened", "03-02 11:00", invoice_id="in_2"),
        failed("03-03 10:00", failure=in_six_days, payment_method=PaymentMethod(id="pm_3"), **ELSEWHERE),
    )

    story.at("03-05 12:00", failed("03-02 10:00", payment_method=CARD, invoice_id="in_3", payment_id="pay_3"))

    in_2 = [line for line in story.until("03-05 13:00").lines("retry") if " in_2 " in line]
    assert in_2 == ["03-03 10:00 retry in_2 none>exhausted"]


def test_a_country_that_is_said_after_the_answer_does_not_finish_the_plan_as_of_it() -> None:
    """A customer's try with another card goes on, whichever of the two is read first."""
    later: list[PaymentFailed | Signal] = [
        new_card("03-04 10:00", replace(OF_INDIA, id="pm_7")),
        failed("03-04 12:00", payment_id="p_9", attempt_number=3, initiated_by="customer", failure=NEEDS_CUSTOMER),
    ]
    ends = set()
    for order in permutations(later):
        story = Story(only_retries(after=["1d", "3d"])).reads(FIRST).until("03-03 11:00")
        story.reads(failed("03-03 12:00", attempt_number=2, payment_method=CARD))
        story.at("03-04 13:00", *order).until("03-04 14:00")
        ends.add(story.lines("retry")[-1].rpartition(">")[2])

    assert ends == {"waiting_for_customer"}


def test_of_an_account_that_was_saved_before_countries_were_kept_the_method_says_it() -> None:
    assert country_of(RetryAccount("acc_1"), OF_INDIA) == "IN"
    assert country_of(RetryAccount("acc_1"), CARD) == ""
