"""Classifying never fails, whatever a processor sends, and nothing outweighs a hard code."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dunning.domain.declines import classify
from dunning.domain.events import Failure, PaymentMethod
from dunning.domain.words import DeclineClass

SAID = st.none() | st.text(max_size=6) | st.sampled_from(["visa", "mastercard", "03", "26", "51", "1A", "soft", "DE"])
FAILURES = st.builds(
    Failure,
    code=st.text(max_size=6) | st.sampled_from(["insufficient_funds", "expired_card", "timeout"]),
    network=SAID,
    network_decline_code=SAID,
    network_advice_code=SAID,
    decline_class=SAID,
)
METHODS = st.none() | st.builds(PaymentMethod, brand=SAID, type=SAID, country=SAID)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(FAILURES, METHODS, TIMES)
def test_every_failure_has_a_class(failure: Failure, method: PaymentMethod | None, at: datetime) -> None:
    decline = classify(failure, method, at)

    assert (decline.source == "none") <= (decline.decline_class is DeclineClass.UNKNOWN)
    assert decline == classify(failure, method, at)


@given(FAILURES, METHODS, TIMES)
def test_a_hard_processor_code_is_hard_with_anything_around_it(
    failure: Failure, method: PaymentMethod | None, at: datetime
) -> None:
    stolen = Failure(
        "stolen_card",
        network=failure.network,
        network_decline_code=failure.network_decline_code,
        network_advice_code=failure.network_advice_code,
        decline_class=failure.decline_class,
    )

    assert classify(stolen, method, at).decline_class is DeclineClass.HARD
