"""What a refusal means: the tables as they are published, and rule 19 on which source decides."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from dunning.domain.declines import Decline, classify, is_overdue
from dunning.domain.declines.catalogue import ADVICE, DECLINE, Catalogue, shipped
from dunning.domain.declines.limits import Counts, Scope
from dunning.domain.events import Failure, PaymentMethod
from dunning.domain.words import DeclineClass

AT = datetime(2026, 10, 1, 10, tzinfo=UTC)
HARD, SOFT, TECHNICAL = DeclineClass.HARD, DeclineClass.SOFT, DeclineClass.TECHNICAL
NEEDS_CUSTOMER, UNKNOWN = DeclineClass.NEEDS_CUSTOMER, DeclineClass.UNKNOWN


def visa(code: str, country: str | None = None, at: datetime = AT) -> Decline:
    failure = Failure("our_own_word", network="visa", network_decline_code=code)
    return classify(failure, PaymentMethod(country=country), at)


def mastercard(advice: str, code: str = "our_own_word", at: datetime = AT) -> Decline:
    return classify(Failure(code, network="mastercard", network_advice_code=advice), None, at)


@pytest.mark.parametrize(
    ("codes", "category", "expected"),
    [
        ("04 07 12 14 15 41 43 46 57 R0 R1 R3", "1", HARD),
        ("03 19 39 51 52 53 59 61 62 65 75 78 83 86 93 5C 9G N3 N4 Z5", "2", SOFT),
        ("91 96", "2", TECHNICAL),
        ("54 55 82 6P N7", "3", NEEDS_CUSTOMER),
        ("01 05 13 58 63", "4", SOFT),
    ],
)
def test_visa_codes_have_the_class_of_their_category(codes: str, category: str, expected: DeclineClass) -> None:
    for code in codes.split():
        assert visa(code) == Decline(expected, "network_decline_code", code, None, category)


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("DE", NEEDS_CUSTOMER),
        ("gb", NEEDS_CUSTOMER),
        ("NO", NEEDS_CUSTOMER),
        ("ZA", NEEDS_CUSTOMER),
        ("AE", NEEDS_CUSTOMER),
        ("US", SOFT),
        ("JP", SOFT),
        (None, SOFT),
    ],
)
def test_two_visa_codes_need_the_customer_only_in_europe_and_cemea(country: str | None, expected: DeclineClass) -> None:
    assert [visa(code, country).decline_class for code in ("70", "1A")] == [expected, expected]


def test_the_row_that_held_at_the_time_of_the_failure_counts() -> None:
    last_second_before = datetime(2026, 7, 24, 23, 59, 59, tzinfo=UTC)

    assert visa("83", at=last_second_before).category == "4"
    assert visa("83", at=datetime(2026, 7, 25, tzinfo=UTC)).category == "2"
    assert visa("51", at=datetime(2021, 4, 16, tzinfo=UTC)).source == "none"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (
            "incorrect_number lost_card pickup_card stolen_card revocation_of_authorization "
            "revocation_of_all_authorizations highest_risk_level transaction_not_allowed invalid_account "
            "previously_declined_do_not_retry",
            HARD,
        ),
        (
            "insufficient_funds partner_insufficient_funds card_velocity_exceeded generic_decline do_not_honor "
            "try_again_later card_declined",
            SOFT,
        ),
        ("processing_error issuer_not_available reenter_transaction timeout processor_timeout", TECHNICAL),
        (
            "expired_card incorrect_cvc incorrect_zip invalid_expiry_month invalid_expiry_year authentication_required",
            NEEDS_CUSTOMER,
        ),
        ("our_own_word payment_overdue", UNKNOWN),
    ],
)
def test_processor_codes_have_these_classes(codes: str, expected: DeclineClass) -> None:
    for code in codes.split():
        assert classify(Failure(code), None, AT).decline_class is expected


@pytest.mark.parametrize(
    ("advice", "expected"),
    [("01", NEEDS_CUSTOMER), ("02", SOFT), ("03", HARD), ("21", HARD)],
)
def test_mastercard_advice_that_gives_a_class(advice: str, expected: DeclineClass) -> None:
    assert mastercard(advice) == Decline(expected, "network_advice_code", advice)


@pytest.mark.parametrize(
    ("advice", "hours"), [("24", 1), ("25", 24), ("26", 48), ("27", 96), ("28", 144), ("29", 192), ("30", 240)]
)
def test_mastercard_advice_to_wait_gives_only_a_delay(advice: str, hours: int) -> None:
    assert mastercard(advice) == Decline(UNKNOWN, "none", "our_own_word", timedelta(hours=hours))
    assert mastercard(advice, "expired_card") == Decline(NEEDS_CUSTOMER, "code", "expired_card", timedelta(hours=hours))


@pytest.mark.parametrize("advice", ["04", "05", "22", "40", "41", "43", "99", ""])
def test_other_mastercard_advice_says_nothing(advice: str) -> None:
    assert mastercard(advice, "insufficient_funds") == Decline(SOFT, "code", "insufficient_funds")


@pytest.mark.parametrize(
    ("advice", "expected"),
    [("try_again_later", SOFT), ("do_not_try_again", HARD), ("confirm_card_data", NEEDS_CUSTOMER)],
)
def test_a_processors_advice_counts_whatever_the_network(advice: str, expected: DeclineClass) -> None:
    for network in (None, "visa", "mastercard", "unheard_of"):
        failure = Failure("generic_decline", network=network, network_advice_code=advice)
        assert classify(failure, None, AT) == Decline(expected, "network_advice_code", advice)


def test_a_hard_code_from_any_source_wins() -> None:
    hard_processor = Failure("stolen_card", network="mastercard", network_advice_code="02")
    hard_network = Failure("try_again_later", network="visa", network_decline_code="14")
    hard_advice = Failure("insufficient_funds", network="mastercard", network_advice_code="03")
    after_a_delay = Failure("lost_card", network="mastercard", network_advice_code="26")

    assert classify(hard_processor, None, AT) == Decline(HARD, "code", "stolen_card")
    assert classify(hard_network, None, AT) == Decline(HARD, "network_decline_code", "14", None, "1")
    assert classify(hard_advice, None, AT) == Decline(HARD, "network_advice_code", "03")
    assert classify(after_a_delay, None, AT) == Decline(HARD, "code", "lost_card", timedelta(days=2))


def test_without_a_hard_code_advice_comes_before_network_and_network_before_processor() -> None:
    catalogue = Catalogue.of(
        [
            """
            network: visa
            sources: {s: made up}
            advice_codes: [{codes: [A], class: technical, valid_from: 2020-01-01, source: s, verified: secondary}]
            decline_codes: [{codes: [D], class: needs_customer, valid_from: 2020-01-01, source: s, verified: secondary}]
            """,
            """
            network: any
            sources: {s: made up}
            decline_codes: [{codes: [p], class: soft, valid_from: 2020-01-01, source: s, verified: secondary}]
            """,
        ]
    )

    def source(code: str, declined: str, advice: str) -> str:
        failure = Failure(code, network="visa", network_decline_code=declined, network_advice_code=advice)
        return classify(failure, None, AT, catalogue).source

    assert source("p", "D", "A") == "network_advice_code"
    assert source("p", "D", "?") == "network_decline_code"
    assert source("p", "?", "?") == "code"
    assert source("?", "?", "?") == "none"


def test_what_the_sender_says_counts_only_where_no_code_is_known() -> None:
    known = Failure("insufficient_funds", decline_class="hard")
    unknown = Failure("our_own_word", decline_class="hard")
    only_a_delay = Failure("our_own_word", network="mastercard", network_advice_code="24", decline_class="soft")
    nonsense = Failure("our_own_word", decline_class="very_bad")

    assert classify(known, None, AT) == Decline(SOFT, "code", "insufficient_funds")
    assert classify(unknown, None, AT) == Decline(HARD, "class", "our_own_word")
    assert classify(only_a_delay, None, AT) == Decline(SOFT, "class", "our_own_word", timedelta(hours=1))
    assert classify(nonsense, None, AT) == Decline(UNKNOWN, "none", "our_own_word")


def test_a_message_never_decides() -> None:
    failure = Failure("our_own_word", message="Your card was reported stolen. do_not_try_again")

    assert classify(failure, None, AT) == Decline(UNKNOWN, "none", "our_own_word")


@pytest.mark.parametrize("spelling", ["visa", "VISA", " Visa ", "vi", "Visa Debit", "visa_electron", "V PAY"])
def test_visa_is_recognised_in_its_common_spellings(spelling: str) -> None:
    of_the_failure = Failure("x", network=spelling, network_decline_code="14")
    of_the_card = Failure("x", network_decline_code="14")

    assert classify(of_the_failure, PaymentMethod(brand="mastercard"), AT).decline_class is HARD
    assert classify(of_the_card, PaymentMethod(brand=spelling), AT).decline_class is HARD


@pytest.mark.parametrize("spelling", ["mastercard", "MasterCard", "master_card", "MC", "Mastercard Debit"])
def test_mastercard_is_recognised_in_its_common_spellings(spelling: str) -> None:
    assert classify(Failure("x", network_advice_code="03"), PaymentMethod(brand=spelling), AT).decline_class is HARD


def test_a_networks_codes_mean_nothing_on_another_network() -> None:
    for network in (None, "amex", "discover", "unheard_of"):
        failure = Failure("x", network=network, network_decline_code="14", network_advice_code="03")
        assert classify(failure, PaymentMethod(), AT) == Decline(UNKNOWN, "none", "x")


def test_what_is_no_response_code_is_no_visa_code() -> None:
    assert [visa(code).source for code in ("0051", "do_not_honor", "5", "é1", "K1")] == [
        "none",
        "none",
        "none",
        "none",
        "network_decline_code",
    ]


def test_case_and_padding_of_codes_do_not_matter() -> None:
    assert visa(" r0 ").decline_class is HARD
    assert classify(Failure("Stolen_Card"), None, AT).decline_class is HARD


def test_an_overdue_payment_was_never_declined() -> None:
    assert is_overdue(Failure("payment_overdue"))
    assert not is_overdue(Failure("insufficient_funds"))


def test_visas_limits_are_dated() -> None:
    def limit(category: str, at: datetime) -> list[int]:
        return [found.most for found in visas if category in (found.categories or ()) and found.holds(at)]

    visas = [found for found in shipped().limits if found.network == "visa"]

    assert limit("2", datetime(2021, 4, 16, tzinfo=UTC)) == []
    assert limit("2", datetime(2021, 4, 17, tzinfo=UTC)) == [15]
    assert limit("4", datetime(2025, 5, 23, tzinfo=UTC)) == [15]
    assert limit("4", datetime(2025, 5, 24, tzinfo=UTC)) == [20]
    assert limit("1", AT) == [0]
    assert {found.within for found in visas} == {timedelta(days=30)}
    assert {found.counts for found in visas} == {Counts.REATTEMPTS}
    assert {found.scope for found in visas} == {frozenset({Scope.MERCHANT, Scope.CARD})}


def test_mastercards_limits_are_dated() -> None:
    def limit(hours: int, at: datetime) -> list[int]:
        return [found.most for found in limits if found.within == timedelta(hours=hours) and found.holds(at)]

    limits = [found for found in shipped().limits if found.network == "mastercard"]

    assert limit(24, datetime(2022, 9, 30, tzinfo=UTC)) == [20]
    assert limit(24, datetime(2022, 10, 1, tzinfo=UTC)) == [10]
    assert limit(30 * 24, datetime(2024, 3, 31, tzinfo=UTC)) == []
    assert limit(30 * 24, datetime(2024, 4, 1, tzinfo=UTC)) == [35]
    assert {found.counts for found in limits} == {Counts.DECLINES}
    assert {found.scope for found in limits} == {frozenset({Scope.MERCHANT, Scope.CARD})}


@pytest.mark.parametrize(
    ("scheme", "type_", "codes", "expected"),
    [
        ("ach", "us_bank_account", "R01 R09", SOFT),
        ("ach", "ach_debit", "R02 R03 R04 R08", NEEDS_CUSTOMER),
        ("ach", "ACH", "R05 R07 R10 R11 R14 R15 R16 R20 R29 R51", HARD),
        ("SEPA", "sepa_debit", "AM04 MS03", SOFT),
        ("sepa", "sepa_debit", "AC01 MD01 MD06 MS02", NEEDS_CUSTOMER),
        ("sepa", "sepa_direct_debit", "AC04 AC06 AG01 MD07 SL01", HARD),
        ("sepa", "sepa_debit", "TM01", TECHNICAL),
        ("bacs", "bacs_debit", "0", SOFT),
        ("Bacs", "bacs_debit", "1 2 3 4 5 6 7 8 9 A B", HARD),
    ],
)
def test_a_bank_debits_codes_count_wherever_they_are_named(
    scheme: str, type_: str, codes: str, expected: DeclineClass
) -> None:
    of_the_type = PaymentMethod(type=type_)

    for code in codes.split():
        assert classify(Failure(code), of_the_type, AT) == Decline(expected, "code", code)
        named = Failure("debit_returned", network_decline_code=code)
        assert classify(named, of_the_type, AT) == Decline(expected, "network_decline_code", code)
        assert classify(Failure(code, network=scheme), None, AT).decline_class is expected
        assert classify(Failure(code), PaymentMethod(type="card"), AT).decline_class is UNKNOWN


def test_a_bank_scheme_is_a_file_and_no_code() -> None:
    ach = """
        network: ach
        spellings: [us_bank_account, ach_debit]
        sources: {nacha: Nacha Operating Rules}
        decline_codes:
          - {codes: [R01, R09], class: soft, valid_from: 2015-01-01, source: nacha, verified: secondary}
          - {codes: [R02, R03], class: needs_customer, not_before: 2d, valid_from: 2015-01-01, source: nacha,
             verified: secondary}
          - {codes: [R05], class: hard, valid_from: 2015-01-01, valid_until: 2026-01-01, source: nacha,
             verified: secondary}
    """
    catalogue = Catalogue.of([ach])

    def decline(code: str) -> Decline:
        method = PaymentMethod(type="us_bank_account")
        return classify(Failure("debit_returned", network_decline_code=code), method, AT, catalogue)

    assert decline("R01") == Decline(SOFT, "network_decline_code", "R01")
    assert decline("R03") == Decline(NEEDS_CUSTOMER, "network_decline_code", "R03", timedelta(days=2))
    assert decline("R05") == Decline(UNKNOWN, "none", "debit_returned")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{codes: [a], class: softish, valid_from: 2020-01-01, source: s, verified: primary}", "softish"),
        ("{codes: [a], class: soft, valid_from: 2020-01-01, source: s, verified: hearsay}", "hearsay"),
        ("{codes: [a], class: soft, valid_from: 2020-01-01, source: t, verified: primary}", "t"),
        ("{codes: [a], class: soft, source: s, verified: primary}", "valid_from"),
    ],
)
def test_a_row_without_date_source_or_trust_is_refused(row: str, message: str) -> None:
    with pytest.raises((KeyError, ValueError), match=message):
        Catalogue.of([f"network: n\nsources: {{s: somewhere}}\ndecline_codes: [{row}]\n"])


def test_no_shipped_code_has_two_rows_at_one_time_and_place() -> None:
    catalogue = shipped()
    for network, kind in [
        ("visa", DECLINE),
        ("mastercard", ADVICE),
        ("any", DECLINE),
        ("any", ADVICE),
        *((scheme, DECLINE) for scheme in ("ach", "sepa", "bacs")),
    ]:
        for code, rows in catalogue.table(network, kind).rows.items():
            assert len(rows) == 1, (network, code)


def test_regions_hold_countries_and_no_truth_values() -> None:
    data = yaml.safe_load("[NO, 'NO']")
    rows = shipped().table("visa", DECLINE).rows["1a"]

    assert data == [False, "NO"]  # the trap: Norway without quotes
    assert all(isinstance(country, str) and len(country) == 2 for row in rows for country in row.countries or ())
