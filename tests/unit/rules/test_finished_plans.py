"""A plan that was full when its last request was answered is finished, whatever is read later (rules 8 and 17)."""

from dunning.domain.events import Failure, PaymentMethod, StageChanged
from tests.builders import OTHER_VISA, Story, failed, new_card, only_retries, paid, signal

MASTERCARD = PaymentMethod(id="pm_5", type="card", brand="mastercard", fingerprint="fp_5")


def test_a_dispute_of_before_the_answer_that_is_read_late_moves_the_window_up_to_the_answer_only() -> None:
    """The network's advice lies behind the window as that was at the answer. The dispute goes on, but not the plan."""
    in_six_days = Failure("card_declined", network="mastercard", network_advice_code="28")
    story = Story(only_retries(after=["1d", "1d"], window="1w"), charges="fail")
    story.reads(failed("03-01 19:00", failure=in_six_days, payment_method=MASTERCARD)).until("03-08 00:00")

    story.at("03-11 06:00", signal("dispute.opened", "03-03 19:00")).until("06-01 00:00")

    assert story.since("03-02", "retry") == [
        "03-07 19:00 retry in_1 scheduled>requested",
        "03-07 19:00 retry in_1 requested>exhausted",
    ]


def test_an_order_of_before_the_answer_keeps_the_plan_open_also_behind_a_newer_one() -> None:
    """The only method left is refused for another invoice while the case rests: it waits for the customer, paused."""
    story = Story(only_retries(after=["1d"]), charges="fail").reads(
        failed("03-02 10:00"), signal("case.paused", "03-04 10:00")
    )
    story.at("03-05 10:00", signal("retry.now", "03-03 03:00")).reads(signal("retry.now", "03-06 10:00"))

    refused = Failure("lost_card")
    elsewhere = {"invoice_id": "in_2", "payment_id": "pay_2", "payment_method": OTHER_VISA, "failure": refused}
    story.reads(new_card("03-08 10:00"), failed("03-08 12:00", **elsewhere)).until("03-20 00:00")

    assert [line for line in story.since("03-04", "retry") if " in_1 " in line] == [
        "03-05 10:00 retry in_1 exhausted>paused"
    ]


def test_an_order_is_carried_out_where_the_former_case_was_charged_since() -> None:
    """The money closes the former case before that charge, whose answer is a failure of the next one then."""
    story = Story(only_retries(after=["1d", "5d"]), charges="fail").reads(failed("03-02 10:00"))
    story.at("03-09 12:00", paid("03-02 18:00"))

    story.at("03-10 10:00", signal("retry.now", "03-05 10:00")).until("04-01 00:00")

    assert [line[:11] for line in story.lines("charge")] == ["03-03 10:00", "03-08 10:00", "03-09 12:00", "03-14 12:00"]


def test_a_plan_without_budget_stays_finished_under_the_number_that_a_late_payment_gives_its_case() -> None:
    """Stripe retries no card of India, and this one was tried for another invoice before the customer entered it."""
    of_india = PaymentMethod(id="pm_6", type="card", fingerprint="fp_6", country="IN")
    story = Story(only_retries(after=[]))
    story.reads(failed("03-01 10:00", invoice_id="in_2", payment_id="pay_2", payment_method=of_india))
    story.reads(failed("03-02 10:00", processor="stripe"), new_card("03-03 10:00", of_india)).until("03-03 12:00")

    story.at("03-04 10:00", paid("03-01 12:00")).until("03-04 10:00")

    changes = [each for each in story.outputs(StageChanged) if (each.track, each.invoice_id) == ("retry", "in_1")]
    assert [(each.to_stage, each.reason) for each in changes[-3:]] == [
        ("exhausted", "budget_exhausted"),
        ("recovered", "paid_elsewhere"),
        ("exhausted", "budget_exhausted"),
    ]
