"""Why a payment failed, in words that a customer may be told. Pure.

This table chooses a sentence; what a decline means for the next attempt is decided elsewhere. A code that is not listed
is told by its class, so a raw code never reaches anybody. Codes for lost, stolen or suspicious cards are left out on
purpose: whoever reads the mail may be the wrong person.
"""

from enum import StrEnum

from dunning.domain.words import DeclineClass


class ReasonText(StrEnum):
    """Names of the sentences in each language's `_phrases.txt`: `reason` explains it, `request` says what to do."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    LIMIT_REACHED = "limit_reached"
    CARD_EXPIRED = "card_expired"
    DETAILS_WRONG = "details_wrong"
    CONFIRMATION_NEEDED = "confirmation_needed"
    BANK_ACCOUNT = "bank_account"
    MANDATE_MISSING = "mandate_missing"
    NOT_RECEIVED = "not_received"
    DECLINED = "declined"
    NOT_COMPLETED = "not_completed"
    METHOD_UNUSABLE = "method_unusable"
    CUSTOMER_MUST_ACT = "customer_must_act"
    TECHNICAL = "technical"


PAYMENT_OVERDUE = "payment_overdue"

_BY_CODE: dict[str, ReasonText] = {
    code: text
    for text, codes in {
        ReasonText.INSUFFICIENT_FUNDS: "insufficient_funds partner_insufficient_funds 51 R01 R09 AM04",
        ReasonText.LIMIT_REACHED: "card_velocity_exceeded withdrawal_count_limit_exceeded 61 65",
        ReasonText.CARD_EXPIRED: "expired_card 54",
        ReasonText.DETAILS_WRONG: "incorrect_number incorrect_cvc incorrect_zip invalid_number invalid_cvc"
        " invalid_expiry_month invalid_expiry_year 14 N7",
        ReasonText.CONFIRMATION_NEEDED: "authentication_required 1A",
        ReasonText.BANK_ACCOUNT: "invalid_account R02 R03 R04 AC01 AC04 AC06",
        ReasonText.MANDATE_MISSING: "revocation_of_authorization revocation_of_all_authorizations R07 R08 R10 MD01",
    }.items()
    for code in codes.split()
}

_BY_CLASS: dict[DeclineClass, ReasonText] = {
    DeclineClass.SOFT: ReasonText.DECLINED,
    DeclineClass.HARD: ReasonText.METHOD_UNUSABLE,
    DeclineClass.NEEDS_CUSTOMER: ReasonText.CUSTOMER_MUST_ACT,
    DeclineClass.TECHNICAL: ReasonText.TECHNICAL,
    DeclineClass.UNKNOWN: ReasonText.NOT_COMPLETED,
}


def reason_text(decline_class: DeclineClass, failure_code: str) -> ReasonText:
    """The sentence for a decline. A technical failure is ours and is told so, whatever code came with it."""
    if failure_code == PAYMENT_OVERDUE:
        return ReasonText.NOT_RECEIVED
    if decline_class is DeclineClass.TECHNICAL:
        return ReasonText.TECHNICAL
    return _BY_CODE.get(failure_code, _BY_CLASS[decline_class])
