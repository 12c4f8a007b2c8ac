"""Why charges fail, in the proportions that were published of five million failures.

Inputs of a simulation, never a result of it. Beside each processor code stands the Visa response code that goes with
it; the platform's tables decide what both together mean.
"""

from random import Random
from typing import Any

from dunning_cli.demo.chance import draw

OVERDUE = "payment_overdue"
CARD_BRANDS = (("visa", 0.55), ("mastercard", 0.35), ("amex", 0.10))

PUBLISHED_PERCENT = {
    "insufficient_funds": 40.56,
    "transaction_not_allowed": 8.83,
    "highest_risk_level": 7.99,
    "do_not_honor": 7.56,
    "previously_declined_do_not_retry": 6.44,
    "generic_decline": 5.78,
    "incorrect_number": 4.69,
    "try_again_later": 4.13,
    "partner_insufficient_funds": 3.68,
    "invalid_account": 2.71,
    "expired_card": 1.14,
    "card_velocity_exceeded": 1.05,
}
OTHER_PERCENT = 5.44
"""What the publication sums up as *other*; what is in it here is our choice."""

_OTHER = {
    "authentication_required": 1.5,
    "processing_error": 1.2,
    "issuer_not_available": 0.9,
    "incorrect_cvc": 0.8,
    "lost_card": 0.4,
    "stolen_card": 0.24,
    "issuer_policy_change": 0.4,  # no table knows this one: it shows how an unmapped code is treated
}
_VISA = {
    "insufficient_funds": "51",
    "partner_insufficient_funds": "51",
    "transaction_not_allowed": "57",
    "highest_risk_level": "59",
    "do_not_honor": "05",
    "generic_decline": "05",
    "previously_declined_do_not_retry": "R1",
    "incorrect_number": "14",
    "try_again_later": "19",
    "invalid_account": "46",
    "expired_card": "54",
    "card_velocity_exceeded": "65",
    "authentication_required": "1A",
    "processing_error": "96",
    "issuer_not_available": "91",
    "incorrect_cvc": "82",
    "lost_card": "41",
    "stolen_card": "43",
}


_MIX = (*PUBLISHED_PERCENT.items(), *_OTHER.items())
NEEDS_NEW_CARD = frozenset(
    {
        "transaction_not_allowed",
        "highest_risk_level",
        "previously_declined_do_not_retry",
        "incorrect_number",
        "invalid_account",
        "expired_card",
        "authentication_required",
        "incorrect_cvc",
        "lost_card",
        "stolen_card",
    }
)
"""Codes after which people are likelier to bring another card, since nothing else helps. Only the traffic uses this."""


def draw_code(random: Random) -> str:
    """A processor's code, in the published proportions."""
    return draw(random, _MIX)


def is_other(code: str) -> bool:
    """Whether the publication counts the code among *other*."""
    return code in _OTHER


def failure(code: str, method: dict[str, Any]) -> dict[str, Any]:
    """The `failure` of an event: the processor's code, and the network's beside it on Visa cards."""
    told: dict[str, Any] = {"code": code}
    if method.get("type") == "card":
        told["message"] = f"The card was declined: {code.replace('_', ' ')}."
        if method["brand"] == "visa" and code in _VISA:
            told |= {"network": "visa", "network_decline_code": _VISA[code]}
    return told
