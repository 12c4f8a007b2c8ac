"""What may be shown on a screen: people's addresses shortened, nothing that a terminal would obey.

Account ids, reasons and bodies come from outside. A control character among them could repaint the screen of whoever
looks at it, and an address in full would end up in the next screenshot.
"""

import re
from typing import Any

_ADDRESS = re.compile(r"([^\s@<>\"'(),:;\\/=]{1,64})@([^\s@<>\"'(),:;\\/]{1,255})")
_PERSONAL = frozenset({"name", "email", "phone", "postal_address"})  # of a customer
_SHOWN_AS_IS = frozenset("\n\t")


def masked(address: str) -> str:
    """`anna@example.com` as `a***@example.com`; anything else by its first character."""
    name, at, domain = address.rpartition("@")
    if at:
        return f"{name[:1]}***@{domain}"
    return f"{address[:1]}***" if address else ""


def shown(text: str) -> str:
    """Text from outside on one line: addresses shortened, what cannot be printed escaped."""
    return visible(without_addresses(text)).replace("\n", "\\n").replace("\t", "\\t")


def without_addresses(text: str) -> str:
    """Text with every mail address in it shortened."""
    return _ADDRESS.sub(lambda found: f"{found[1][:1]}***@{found[2]}", text)


def visible(text: str) -> str:
    """Text whose control characters and other invisible ones are written out; line ends stay."""
    return "".join(
        character if character.isprintable() or character in _SHOWN_AS_IS else _escaped(character) for character in text
    )


def without_people(data: Any) -> Any:
    """A JSON value with its customers' personal data shortened, wherever they are in it."""
    if isinstance(data, dict):
        return {name: _customer(value) if name == "customer" else without_people(value) for name, value in data.items()}
    if isinstance(data, list):
        return [without_people(value) for value in data]
    return without_addresses(data) if isinstance(data, str) else data


def _customer(customer: Any) -> Any:
    """Of another form than ours it may be anything: that may be why the event was set aside."""
    if isinstance(customer, list):
        return [_customer(each) for each in customer]
    if not isinstance(customer, dict):
        return None if customer is None else masked(str(customer))
    return {
        name: masked(str(value)) if name in _PERSONAL and value is not None else without_people(value)
        for name, value in customer.items()
    }


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
