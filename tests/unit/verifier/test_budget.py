"""Promise 7: what networks allow is counted per merchant and card, whoever pays with it and for what."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.verifier.story import STANDARD, Story, assert_broken, assert_kept

VISA = {"id": "pm_1", "type": "card", "brand": "visa", "fingerprint": "fp_1"}
OF_INDIA = {**VISA, "country": "IN"}
REQUESTS = "dunning.retry.requested"
MANY = {**STANDARD, "retries": {"after": ["1d"], "max_retries": 40}}


def on(day: int, hour: int = 10) -> str:
    """A time, in days from 2 March on."""
    at = datetime(2026, 3, 2, hour, tzinfo=UTC) + timedelta(days=day)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def retried_daily(times: int, method: dict[str, Any] = VISA, account: str = "acc_1", **more: Any) -> Story:
    """A first charge, and as many that were asked for and failed, one a day."""
    story = Story(account, policy=MANY).failed(on(0), payment_method=method, **more)
    story.moved("retry", on(0), "none", "scheduled")
    for day in range(1, times + 1):
        story.requested(on(day), day + 1, on(day + 1))
        story.failed(on(day), day + 1, retry_id=f"{story.case}:{day + 1}", payment_method=method, **more)
        story.moved("retry", on(day), "requested", "scheduled")
    return story


def others(times: int, method: dict[str, Any] = VISA, **more: Any) -> Story:
    """Attempts of another account, an hour apart."""
    story = Story("acc_2", "in_2")
    for hour in range(times):
        story.failed(on(hour // 24, hour % 24), hour + 1, payment_method=method, **more)
    return story


def kept(story: Story) -> None:
    assert_kept(story, settled=False)


def broken(story: Story, says: str, at: str) -> None:
    assert_broken(story, 7, says, at, settled=False)


def test_twenty_reattempts_in_thirty_days_are_allowed_and_one_more_is_not() -> None:
    kept(retried_daily(20))
    broken(retried_daily(21), "reattempt 21 of a Visa card within 30 days; 20 are allowed", f"{REQUESTS}/0@20")


def test_attempts_of_other_accounts_on_the_card_count() -> None:
    kept(retried_daily(11).with_events_of(others(9)))
    broken(retried_daily(12).with_events_of(others(9)), "reattempt 21", f"{REQUESTS}/0@11")


def test_what_is_of_another_card_merchant_or_network_does_not() -> None:
    for method, more in (
        ({**VISA, "fingerprint": "fp_2"}, {}),
        (VISA, {"processor": {"merchant_id": "mer_2"}}),
    ):
        kept(retried_daily(12).with_events_of(others(9, method, **more)))
    kept(retried_daily(25, {**VISA, "brand": "mastercard"}))


def test_a_request_and_its_answer_are_one_attempt_and_an_unanswered_one_counts_too() -> None:
    story = retried_daily(20)
    for attempt in range(2, 12):
        story.without("payment.failed", attempt_number=attempt)

    kept(story)
    story.requested(on(21), 22, on(22))
    broken(story, "reattempt 21", f"{REQUESTS}/0@20")


def test_what_was_logged_too_late_to_be_known_is_not_held_against_anybody() -> None:
    story = retried_daily(20)
    story.failed(on(0, 11), 40, logged=on(25), payment_method=VISA)

    kept(story)


def test_a_card_that_visa_never_approves_is_not_tried_again() -> None:
    refusal = {"code": "card_declined", "network": "visa", "network_decline_code": "43"}

    broken(retried_daily(1, failure=refusal), "never approves", f"{REQUESTS}/0@0")


def test_stripe_retries_no_card_of_india() -> None:
    broken(retried_daily(1, OF_INDIA, processor={"name": "Stripe"}), "issued in India", f"{REQUESTS}/0@0")
    kept(retried_daily(1, OF_INDIA, processor={"name": "adyen"}))
    kept(retried_daily(1, processor={"name": "stripe"}))


def test_a_stolen_card_is_charged_in_none_of_the_account_s_cases() -> None:
    stolen = retried_daily(1, {**VISA, "brand": "amex"}, failure={"code": "stolen_card"})
    broken(stolen, "the account's card was refused for good before", f"{REQUESTS}/0@0")

    of_another = Story("acc_2", "in_2").failed(on(0), payment_method=VISA, failure={"code": "stolen_card"})
    kept(retried_daily(1).with_events_of(of_another))
    late = Story("acc_1", "in_2").failed(on(1), payment_method=VISA, failure={"code": "stolen_card"})
    kept(retried_daily(1).with_events_of(late))
