"""How amounts and dates are written in the languages of notices. Pure."""

import copy
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import NumberPattern, parse_pattern
from iso4217 import Currency

from dunning.domain.calendar import zone_named

FALLBACK = "en"

_REGION = re.compile(r"([A-Za-z]{2})[-_]([A-Za-z]{2})(?![A-Za-z0-9])")
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[A-Za-z])(?=\d)")


def amount_text(amount_minor: int, currency: str, language: str) -> str:
    """The amount as people write it, with exactly the currency's digits after the point.

    The digits are those of ISO 4217, which `amount_minor` counts in. The formatting library would use the digits seen
    in shops instead and drop what they leave out: AFN 12.34 would become AFN 12.
    """
    digits = minor_digits(currency)
    pattern = _currency_pattern(language, digits)
    amount = Decimal(amount_minor).scaleb(-digits)
    text = pattern.apply(amount, _babel(language), currency=currency, currency_digits=False)
    return _LETTER_BEFORE_DIGIT.sub("\N{NO-BREAK SPACE}", text)


def day_text(instant: datetime, zone: str, locale: str | None, language: str) -> str:
    """The day of an instant where the customer lives, as it is written there. An unknown zone is UTC.

    `Thursday, October 15, 2026` in `en-US`, `Thursday, 15 October 2026` in `en-GB`. `language` is that of the letter.
    """
    local = instant.astimezone(zone_named(zone) or UTC)
    return format_date(local.date(), "full", locale=_regional(locale, language))


@lru_cache(maxsize=256)
def _regional(locale: str | None, language: str) -> Locale:
    """The customer's own kind of the language we write in; the language alone where the region is not known."""
    found = _REGION.match(locale.strip()) if locale else None
    if found is None or found[1].lower() != language.split("-", maxsplit=1)[0].lower():
        return _babel(language)
    try:
        return Locale(found[1].lower(), found[2].upper())
    except UnknownLocaleError:
        return _babel(language)


@lru_cache(maxsize=64)
def _babel(language: str) -> Locale:
    """How numbers and dates are written in a language; in one that nobody knows, as in English."""
    try:
        return Locale.parse(language, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale(FALLBACK)


@lru_cache(maxsize=512)
def minor_digits(currency: str) -> int:
    """How many digits the minor unit has by ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD. Raises ValueError."""
    exponent = Currency(currency).exponent
    return int(exponent) if exponent is not None else 0


@lru_cache(maxsize=64)
def _currency_pattern(language: str, digits: int) -> NumberPattern:
    pattern = copy.copy(parse_pattern(_babel(language).currency_formats["standard"]))
    pattern.frac_prec = (digits, digits)
    return pattern
