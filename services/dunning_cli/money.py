"""Amounts as people read them."""

import iso4217


def money(amount_minor: int, currency: str) -> str:
    """`1,234.56 EUR`, `1,234 JPY`: with as many decimals as the currency has."""
    decimals = _decimals(currency)
    whole, fraction = divmod(abs(amount_minor), 10**decimals)
    sign = "-" if amount_minor < 0 else ""
    tail = f".{fraction:0{decimals}d}" if decimals else ""
    return f"{sign}{whole:,}{tail} {currency}"


def _decimals(currency: str) -> int:
    units = str(iso4217.raw_table.get(currency, {}).get("CcyMnrUnts", "2"))
    return int(units) if units.isdigit() else 2
