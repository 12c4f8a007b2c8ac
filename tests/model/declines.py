"""What a failure means for a retry, written from what networks and processors publish (rule 19)."""

from datetime import timedelta
from typing import Any

VISA_HARD = ("04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3")
VISA_NEEDS_CUSTOMER = ("54", "55", "82", "6P", "N7")
VISA_TECHNICAL = ("91", "96")

ADVICE_DELAYS = {"24": 1, "25": 24, "26": 48, "27": 96, "28": 144, "29": 192, "30": 240}  # hours
ADVICE_HARD = ("03", "21")

STRIPE = {
    "hard": "incorrect_number lost_card pickup_card stolen_card revocation_of_authorization "
    "revocation_of_all_authorizations highest_risk_level transaction_not_allowed invalid_account "
    "previously_declined_do_not_retry",
    "soft": "insufficient_funds partner_insufficient_funds card_velocity_exceeded generic_decline do_not_honor "
    "try_again_later card_declined",
    "technical": "processing_error issuer_not_available reenter_transaction",
    "needs_customer": "authentication_required expired_card incorrect_cvc incorrect_zip invalid_expiry_month "
    "invalid_expiry_year",
}


def visa_class(code: str) -> str:
    """Category 4 is every other code, so no code of Visa's is unmapped."""
    if code in VISA_HARD:
        return "hard"
    if code in VISA_NEEDS_CUSTOMER:
        return "needs_customer"
    if code in VISA_TECHNICAL:
        return "technical"
    return "soft"


def processor_class(code: str) -> str | None:
    return next((name for name, codes in STRIPE.items() if code in codes.split()), None)


def network_of(failure: dict[str, Any], method: dict[str, Any] | None) -> str | None:
    """Whose codes they are: as the failure says, else as the card's brand does."""
    return failure.get("network") or (method or {}).get("brand")


def decline_class(failure: dict[str, Any], method: dict[str, Any] | None = None) -> str:
    """Rule 19: hard from any source wins; else advice, network code, processor code; `class` where none is mapped."""
    advice = failure.get("network_advice_code")
    network = network_of(failure, method)
    code = failure.get("network_decline_code")
    sources = [
        "hard" if network == "mastercard" and advice in ADVICE_HARD else None,
        visa_class(code) if network == "visa" and code else None,
        processor_class(failure["code"]),
    ]
    mapped = [one for one in sources if one]
    if "hard" in mapped:
        return "hard"
    if mapped:
        return mapped[0]
    return str(failure.get("class") or "unknown")


def delay(failure: dict[str, Any], method: dict[str, Any] | None = None) -> timedelta:
    """Advice 24 to 30 is a *not before*, counted from the failure."""
    if network_of(failure, method) != "mastercard":
        return timedelta(0)
    return timedelta(hours=ADVICE_DELAYS.get(str(failure.get("network_advice_code")), 0))
