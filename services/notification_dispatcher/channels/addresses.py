"""Mail addresses as an SMTP server takes them. Pure.

Deliberately narrower than the grammar of RFC 5321: quoted local parts and address literals are no addresses that
customers have, and refusing them leaves nothing in an address that could mean something to a server or in a header.
"""

import re
import unicodedata
from dataclasses import dataclass

import idna

_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+\Z")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")
_LOCAL_OCTETS_MAX = 64
_DOMAIN_OCTETS_MAX = 253


class AddressError(ValueError):
    """No server can take this; the message says why without quoting it."""


@dataclass(frozen=True, slots=True)
class Address:
    """`local@domain`, the domain in its ASCII form."""

    local: str
    domain: str

    @property
    def needs_smtputf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it: the local part has no ASCII form."""
        return not self.local.isascii()

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address. Raises AddressError."""
        local, at, domain = unicodedata.normalize("NFC", text.strip(" ")).rpartition("@")
        if not at:
            raise AddressError("there is no @")
        return cls(_local(local), _domain(domain))


def _local(local: str) -> str:
    if not 0 < len(local.encode("utf-8", "replace")) <= _LOCAL_OCTETS_MAX:
        raise AddressError("the part before the @ is empty or too long")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressError("a dot stands where none may")
    ascii_only = "".join(character if character.isascii() else "x" for character in local)
    if not _ATOM.match(ascii_only) or any(_is_invisible(character) for character in local):
        raise AddressError("a character stands before the @ that none may be")
    return local


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character)[0] in "CZ"


def _domain(domain: str) -> str:
    try:
        encoded = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise AddressError("the domain is not one") from None
    labels = encoded.lower().removesuffix(".").split(".")
    whole = ".".join(labels)
    if len(whole) > _DOMAIN_OCTETS_MAX or not all(len(label) <= 63 and _LABEL.match(label) for label in labels):
        raise AddressError("the domain is not one")
    return whole
