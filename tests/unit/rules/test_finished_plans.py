"""A plan that was full when its last request was answered is finished, whatever is read later (rules 8 and 17)."""

from dunning.domain.events import Failure, PaymentMethod
from tests.builders import Story, failed, only_retries, signal

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
