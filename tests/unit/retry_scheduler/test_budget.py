"""How a card's attempts are counted: the ledger, and the shapes of limits that the tables may hold (promise 7)."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from dunning.domain.declines.catalogue import Catalogue, shipped
from dunning.domain.declines.limits import Limit
from retry_scheduler.budget import Charge, OverLimit, wait_for_limits
from retry_scheduler.ledger import (
    KEPT_MAX,
    CardLedger,
    CountedAttempt,
    Outcome,
    decode_ledger,
    encode_ledger,
    name_of,
)

VISA = "visa: at most 20 reattempts in 30 days"
OTHER_NETWORKS = """
network: {network}
sources: {{own: "this test"}}
limits:
  - {{{limit}, valid_from: 2024-01-01, source: own, verified: secondary}}
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def tried(text: str, name: int | None = None, outcome: Outcome = Outcome.DECLINED, **more: object) -> CountedAttempt:
    return CountedAttempt(name if name is not None else hash(text), at(text), outcome, **more)  # type: ignore[arg-type]


def charge(network: str = "visa", **more: object) -> Charge:
    given = {"country": "", "processor": "", "merchant": "mer_1", "amount_minor": 4900, "currency": "EUR", **more}
    return Charge(networks=frozenset({network}), **given)  # type: ignore[arg-type]


def every(hours: int, times: int, first: str, **more: object) -> list[CountedAttempt]:
    return [
        CountedAttempt(number, at(first) + timedelta(hours=hours * number), Outcome.DECLINED, **more)  # type: ignore[arg-type]
        for number in range(times)
    ]


def limits(network: str, limit: str) -> list[Limit]:
    return Catalogue.of([OTHER_NETWORKS.format(network=network, limit=limit)]).limits


def wait(
    now: str, attempts: list[CountedAttempt], *, of: Charge | None = None, by: list[Limit] | None = None
) -> str | None:
    """Until when a charge has to wait, in text; None where it need not, `never` where nothing helps."""
    found = wait_for_limits(shipped().limits if by is None else by, attempts, of or charge(), at(now), lambda at: at)
    if found is None:
        return None
    return found.until.strftime("%Y-%m-%d %H:%M") if found.until else "never"


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2025-05-01 00:00", "2025-05-24 00:00"),  # 15 until that day, then 20
        ("2025-05-24 00:00", None),
        ("2020-01-01 00:00", None),  # no limit was known then
    ],
)
def test_the_limit_that_holds_on_the_day_of_the_charge_counts(now: str, until: str | None) -> None:
    day = at(now) - timedelta(days=2)

    assert wait(now, every(1, 16, day.strftime("%Y-%m-%d %H:%M"))) == until


def test_what_happened_exactly_thirty_days_ago_counts_no_more() -> None:
    attempts = every(24, 21, "2026-03-01 10:00")

    assert wait("2026-03-31 10:00", attempts) == "2026-04-01 10:00"  # 20 follow the first, which alone is out
    assert wait("2026-04-01 09:59", attempts) == "2026-04-01 10:00"
    assert wait("2026-04-01 10:00", attempts) is None


def test_an_open_request_is_a_reattempt_whenever_it_is_carried_out() -> None:
    """Asked for 29 and a half days after the first charge, and valid for two days: it may follow within the thirty."""
    first, open_request = tried("2026-03-01 00:00"), tried("2026-04-01 12:00", 7, Outcome.OPEN)
    nineteen = every(1, 19, "2026-04-02 00:00")

    assert wait("2026-04-03 00:00", [first, open_request, *nineteen]) == "2026-05-01 12:00"


def test_a_first_charge_is_never_a_reattempt() -> None:
    no_reattempts = limits("mastercard", "counts: reattempts, most: 0, within: 30d, scope: [card]")
    card = charge("mastercard")

    assert wait("2026-03-01 10:00", []) is None
    assert wait("2026-03-01 10:00", [], of=card, by=no_reattempts) is None
    assert wait("2026-03-31 10:00", [tried("2026-03-01 10:00")], of=card, by=no_reattempts) is None
    assert wait("2026-03-31 09:59", [tried("2026-03-01 10:00")], of=card, by=no_reattempts) == "2026-03-31 10:00"


def test_the_wait_names_the_limit_and_keeps_to_the_hours() -> None:
    attempts = every(1, 21, "2026-03-01 10:00")

    def open_from(instant: datetime) -> datetime:
        return max(instant, instant.replace(hour=12, minute=0))

    found = wait_for_limits(shipped().limits, attempts, charge(), at("2026-03-03 10:00"), open_from)
    assert isinstance(found, OverLimit)
    assert (str(found.limit), found.until) == (VISA, at("2026-03-31 12:00"))


def test_a_limit_per_day_and_one_per_amount_can_be_said_and_counted() -> None:
    """Mastercard's shapes: ten declines in 24 hours, and 35 in 30 days of the same amount."""
    per_day = limits("mastercard", "counts: declines, most: 10, within: 24h, scope: [merchant, card]")
    per_amount = limits("mastercard", "counts: declines, most: 3, within: 30d, scope: [merchant, card, amount]")
    card = charge("mastercard")
    ten = every(1, 10, "2026-03-01 00:00")

    assert wait("2026-03-01 12:00", ten[:9], of=card, by=per_day) is None
    assert wait("2026-03-01 12:00", ten, of=card, by=per_day) == "2026-03-02 00:00"
    assert (
        wait("2026-03-01 12:00", [*ten[:9], tried("2026-03-01 11:00", outcome=Outcome.SUCCEEDED)], by=per_day) is None
    )
    same = every(1, 3, "2026-03-01 00:00", amount_minor=4900, currency="EUR")
    assert wait("2026-03-02 00:00", same, of=card, by=per_amount) == "2026-03-31 00:00"
    assert wait("2026-03-02 00:00", same, of=charge("mastercard", amount_minor=5000), by=per_amount) is None
    assert wait("2026-03-02 00:00", same, of=charge("mastercard", currency="USD"), by=per_amount) is None


def test_two_reinitiations_of_a_debit_can_be_said_and_counted() -> None:
    twice = limits("ach", "counts: reattempts, most: 2, within: 180d, scope: [merchant, card, amount]")
    debit = [tried("2026-01-01 00:00", amount_minor=4900, currency="EUR")]
    debit += [tried("2026-01-05 00:00", amount_minor=4900, currency="EUR")]

    assert wait("2026-01-09 00:00", debit, of=charge("ach"), by=twice) is None
    debit += [tried("2026-01-09 00:00", amount_minor=4900, currency="EUR")]
    assert wait("2026-01-13 00:00", debit, of=charge("ach"), by=twice) == "2026-07-04 00:00"


@pytest.mark.parametrize(
    "limit",
    [
        "counts: reattempts, most: 2, within: 1d, scope: [merchant]",
        "counts: declines, most: 0, within: 1d, scope: [card]",
        "counts: tries, most: 2, within: 1d, scope: [card]",
    ],
)
def test_a_row_that_cannot_be_counted_is_refused(limit: str) -> None:
    with pytest.raises(ValueError, match=r"limit counts attempts|not a valid"):
        limits("visa", limit)


NOW = at("2026-03-20 00:00")
REQUEST = tried("2026-03-04 10:00", 7, Outcome.OPEN, merchant="mer_1", network="visa")
ANSWER = tried("2026-03-03 10:00", 7, merchant="", network="", category="2")
SUCCESS = tried("2026-03-05 10:00", 8, Outcome.SUCCEEDED)
LATER_WORD = tried("2026-03-05 11:00", 8, Outcome.SUCCEEDED)
TOO_OLD = tried("2026-01-19 00:00", 9)


def entered(*attempts: CountedAttempt) -> CardLedger:
    ledger = CardLedger()
    for attempt in attempts:
        ledger.enter(CountedAttempt(**{name: getattr(attempt, name) for name in attempt.__slots__}), NOW)
    return ledger


def test_an_attempt_counts_once_in_whatever_order_and_form_it_is_read() -> None:
    words = (REQUEST, ANSWER, SUCCESS, LATER_WORD, TOO_OLD)

    for order in permutations([*words, SUCCESS]):
        ledger = entered(*order)
        assert [(each.name, each.at, each.outcome) for each in ledger.attempts] == [
            (7, at("2026-03-03 10:00"), "declined"),
            (8, at("2026-03-05 11:00"), "succeeded"),
        ]


def test_an_answer_takes_over_what_only_the_request_said() -> None:
    answered = entered(REQUEST, ANSWER).attempts[0]

    assert (answered.merchant, answered.network, answered.category) == ("mer_1", "visa", "2")


@pytest.mark.parametrize("unsaid", ["", "any", "card"])
def test_a_word_that_leaves_merchant_and_network_out_takes_nothing_back_whichever_is_read_first(unsaid: str) -> None:
    """Two answers to one request, of which the later one counts."""
    first = tried("2026-03-03 10:00", 7, merchant="mer_1", network="visa")
    later = tried("2026-03-03 11:00", 7, network=unsaid)

    for order in permutations([first, later]):
        (known,) = entered(*order).attempts
        assert (known.at, known.merchant, known.network) == (later.at, "mer_1", "visa")


def test_a_repeated_word_changes_nothing_and_need_not_be_written() -> None:
    ledger = entered(ANSWER)
    ledger.changed = False

    ledger.enter(tried("2026-03-03 10:00", 7, category="2"), NOW)

    assert not ledger.changed


def test_a_ledger_forgets_what_no_limit_looks_at_and_is_bounded() -> None:
    ledger = entered(tried("2026-01-20 01:00", 1001), *every(1, KEPT_MAX + 5, "2026-03-01 00:00", merchant="mer_9"))

    assert len(ledger.attempts) == KEPT_MAX + 1
    assert ledger.attempts[1].at == at("2026-03-01 05:00")
    ledger.enter(tried("2026-03-20 00:00", 1002), at("2026-03-21 02:00"))
    assert (ledger.attempts[0].at, ledger.kept_until) == (at("2026-03-01 05:00"), at("2026-05-19 00:00"))


def test_a_ledger_comes_back_as_it_was_stored() -> None:
    ledger = entered(REQUEST, SUCCESS)

    assert decode_ledger(encode_ledger(ledger)).attempts == ledger.attempts
    assert not decode_ledger(encode_ledger(ledger)).changed


def test_a_name_is_the_same_at_every_reading_and_another_for_another_account() -> None:
    assert name_of("acc_1", "case:2") == name_of("acc_1", "case:2") == -2044622620353082290
    assert name_of("acc_2", "case:2") != name_of("acc_1", "case:2")
