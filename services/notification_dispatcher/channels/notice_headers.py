"""The headers by which a mail of ours says which notice it is, so that a bounce of it can say so too. Pure.

Ids of accounts and invoices are somebody else's and may hold anything: they are percent-encoded, which is plain ASCII
that survives folding and every relay, and comes back exactly.
"""

from urllib.parse import quote, unquote

NOTICE_ID = "X-Dunning-Notice-Id"
CASE_ID = "X-Dunning-Case-Id"
ACCOUNT = "X-Dunning-Account"
INVOICE = "X-Dunning-Invoice"
RUNG = "X-Dunning-Rung"
_PIECE = 50  # characters of a folded line
_ENCODED_LENGTH_MAX = 2400  # 200 characters, the longest id, of four bytes each


def encoded(identifier: str) -> str | None:
    """The value of the header, folded; None where it would be longer than any id of the contracts."""
    plain = quote(identifier, safe="", errors="replace")
    if not 0 < len(plain) <= _ENCODED_LENGTH_MAX:
        return None
    return "\r\n ".join(plain[at : at + _PIECE] for at in range(0, len(plain), _PIECE))


def decoded(value: str) -> str | None:
    """What was encoded; None where this is nothing that we could have written."""
    plain = "".join(value.split())
    if not plain.isascii() or len(plain) > _ENCODED_LENGTH_MAX:
        return None
    try:
        return unquote(plain, errors="strict") or None
    except UnicodeDecodeError:
        return None
