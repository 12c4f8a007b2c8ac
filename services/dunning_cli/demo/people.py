"""Made-up customers: who they are, where they live, what they pay with. Nobody here exists."""

from dataclasses import dataclass
from random import Random
from typing import Any

from dunning_cli.demo.chance import draw
from dunning_cli.demo.decline_mix import CARD_BRANDS

TRANSFER_SHARE = 0.05  # accounts that transfer what they owe: nothing to charge
DEBIT_SHARE = 0.10  # accounts in euro whose bank account is debited
WITHOUT_EMAIL_SHARE = 0.01
SEGMENTS = (("self_serve", 0.75), ("team", 0.20), ("enterprise", 0.05))

_FIRST = {
    "de": ("Anna", "Ben", "Clara", "David", "Elif", "Finn", "Greta", "Hannes", "Ida", "Jonas", "Karla", "Levi", "Mira"),
    "en": ("Ada", "Brian", "Chloe", "Daniel", "Erin", "Farah", "George", "Hana", "Imran", "Jane", "Kenji", "Lucy"),
}
_LAST = {
    "de": ("Muster", "Beispiel", "Probst", "Erdmann", "Vorlage", "Fiktiv", "Sample", "Neumann", "Testberg", "Linde"),
    "en": (
        "Example",
        "Sampleton",
        "Placeholder",
        "Doe",
        "Roe",
        "Specimen",
        "Fairview",
        "Mockley",
        "Testwood",
        "Tanaka",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A market: how many of the accounts live there, and how people there are billed."""

    weight: float
    country: str
    zone: str
    locale: str
    currency: str
    dialling_code: str


PLACES = (
    Place(0.24, "DE", "Europe/Berlin", "de", "EUR", "+49151"),
    Place(0.05, "AT", "Europe/Vienna", "de-AT", "EUR", "+43660"),
    Place(0.05, "IE", "Europe/Dublin", "en-IE", "EUR", "+35383"),
    Place(0.06, "NL", "Europe/Amsterdam", "en", "EUR", "+31612"),
    Place(0.18, "US", "America/New_York", "en-US", "USD", "+1212"),
    Place(0.10, "US", "America/Los_Angeles", "en-US", "USD", "+1415"),
    Place(0.18, "GB", "Europe/London", "en-GB", "GBP", "+44740"),
    Place(0.14, "JP", "Asia/Tokyo", "en", "JPY", "+8190"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who owes, with everything about them that events carry."""

    id: str
    place: Place
    customer: dict[str, Any]
    method: dict[str, Any]
    segment: str

    @property
    def is_charged(self) -> bool:
        """Whether we charge them; the others are expected to transfer what they owe."""
        return str(self.method["type"]) != "bank_transfer"

    @property
    def update_url(self) -> str:
        """Where this customer enters a new payment method."""
        return f"https://pay.example.com/update/{self.id}"


def make_account(number: int, random: Random) -> Account:
    """The account of this number; the same random numbers make the same person."""
    place = draw(random, [(place, place.weight) for place in PLACES])
    account_id = f"acc_{number:05d}"
    return Account(
        id=account_id,
        place=place,
        customer=_customer(number, place, random),
        method=_method(account_id, place, random),
        segment=draw(random, SEGMENTS),
    )


def _method(account_id: str, place: Place, random: Random) -> dict[str, Any]:
    drawn = random.random()
    if drawn < TRANSFER_SHARE:
        return bank_transfer(account_id, place)
    if place.currency == "EUR" and drawn < TRANSFER_SHARE + DEBIT_SHARE:
        return bank_debit(account_id, place, random)
    return card(account_id, 1, place, random)


def _customer(number: int, place: Place, random: Random) -> dict[str, Any]:
    language = place.locale[:2]
    first, last = random.choice(_FIRST[language]), random.choice(_LAST[language])
    has_email = random.random() >= WITHOUT_EMAIL_SHARE
    return {
        "id": f"cus_{number:05d}",
        "name": f"{first} {last}",
        "email": f"{first}.{last}.{number}@example.com".lower() if has_email else "",
        "phone": f"{place.dialling_code}{random.randrange(10**6, 10**7)}",
        "locale": place.locale,
        "timezone": place.zone,
        "country": place.country,
    }


def card(account_id: str, number: int, place: Place, random: Random) -> dict[str, Any]:
    """The account's n-th card. `last4` and fingerprint tell cards apart; a card number is nowhere."""
    brand = draw(random, CARD_BRANDS)
    return {
        "id": f"pm_{account_id}_{number}",
        "type": "card",
        "brand": brand,
        "last4": f"{random.randrange(10_000):04d}",
        "exp_month": random.randint(1, 12),
        "exp_year": 2030 + random.randrange(4),
        "fingerprint": f"fp_{random.getrandbits(48):012x}",
        "country": place.country,
    }


def bank_transfer(account_id: str, place: Place) -> dict[str, Any]:
    """Nothing that could be charged: they pay by transfer, or they don't."""
    return {"id": f"pm_{account_id}_1", "type": "bank_transfer", "country": place.country}


def bank_debit(account_id: str, place: Place, random: Random) -> dict[str, Any]:
    """A bank account that is debited; a debit can come back days after it was paid."""
    fingerprint = f"fp_{random.getrandbits(48):012x}"
    return {"id": f"pm_{account_id}_1", "type": "sepa_debit", "fingerprint": fingerprint, "country": place.country}
