"""A rendered notice as the bytes of a mail. Pure: the same order makes the same bytes, on every version of Python.

The bytes are put together here instead of by the standard library's message policies, because those refold headers
differently from version to version, draw random boundaries, and some of them lose the quotes around long names, which
turns a comma in a name into a second recipient. Encoding of words and bodies is the standard library's.
"""

import binascii
import hashlib
import re
from dataclasses import dataclass
from email.header import Header
from email.utils import format_datetime, quote

from notification_dispatcher.channels import notice_headers
from notification_dispatcher.channels.addresses import Address
from notification_dispatcher.channels.one_line import one_line
from notification_dispatcher.channels.payload import NoticeOrder
from notification_dispatcher.templates import Rendered

_LINE_END = "\r\n"
_HEADER_WIDTH = 76
_NAME_LENGTH_MAX = 60
_ID_LENGTH_MAX = 150
_ID_CHARACTER_ESCAPED = re.compile(rb"[^A-Za-z0-9!#$&'*+/?^_`{|}~.-]|\A\.|\.\Z|(?<=\.)\.")


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose mails these are."""

    address: Address
    name: str
    message_id_domain: str
    reply_to: Address | None = None


def message_id(errand_id: str, domain: str) -> str:
    """`<errand_id@domain>`: the same at every try, so that a mail that did arrive twice is shown once.

    Characters that no Message-ID may hold are written as `=HEX`; a very long id gives way to its digest.
    """
    left = _ID_CHARACTER_ESCAPED.sub(
        lambda found: b"=%02X" % found[0][0], errand_id.encode("utf-8", "replace")
    ).decode()
    if not 0 < len(left) <= _ID_LENGTH_MAX:
        left = hashlib.sha256(errand_id.encode("utf-8", "replace")).hexdigest()
    return f"<{left}@{domain}>"


def compose(errand_id: str, order: NoticeOrder, recipient: Address, rendered: Rendered, sender: Sender) -> bytes:
    """The whole mail with CRLF line ends, every line short; 7-bit unless an address has no ASCII form."""
    boundary = f"=_{hashlib.sha256(errand_id.encode('utf-8', 'replace')).hexdigest()[:40]}"
    headers = [
        _header("From", _mailbox(sender.name, sender.address, "From")),
        _header("To", _mailbox(order.customer_name or "", recipient, "To")),
        *([_header("Reply-To", str(sender.reply_to))] if sender.reply_to else []),
        _header("Subject", _words(rendered.subject, "Subject")),
        _header("Date", format_datetime(order.at)),
        _header("Message-ID", message_id(errand_id, sender.message_id_domain)),
        _header("Auto-Submitted", "auto-generated"),
        _header("Content-Language", rendered.locale),
        _header(notice_headers.NOTICE_ID, _words(order.notice_id, notice_headers.NOTICE_ID)),
        _header(notice_headers.CASE_ID, _words(order.case_id, notice_headers.CASE_ID)),
        *_identifier(notice_headers.ACCOUNT, order.account_id),
        *_identifier(notice_headers.INVOICE, order.invoice_id),
        _header(notice_headers.RUNG, _words(order.rung, notice_headers.RUNG)),
        _header("MIME-Version", "1.0"),
        _header("Content-Type", f'multipart/alternative;{_LINE_END} boundary="{boundary}"'),
    ]
    parts = (_part(boundary, "plain", rendered.text), _part(boundary, "html", rendered.html))
    return ("".join(headers) + _LINE_END + "".join(parts) + f"--{boundary}--{_LINE_END}").encode()


def _header(name: str, value: str) -> str:
    """One header. Values are clean by now; a newline other than our own folding would be a mistake of ours."""
    if re.search(r"\r(?!\n)|(?<!\r)\n|\r\n(?![ \t])", value):
        raise ValueError(f"a newline in the header {name}")
    return f"{name}: {value}{_LINE_END}"


def _identifier(name: str, identifier: str) -> list[str]:
    """A header for a bounce to come back with; left out where no id could be so long."""
    value = notice_headers.encoded(identifier)
    return [_header(name, value)] if value is not None else []


def _words(text: str, header: str) -> str:
    """Free text in a header: as it is where it can be, else as encoded words; folded."""
    line = one_line(text, 400)
    charset = "us-ascii" if line.isascii() and "=?" not in line else "utf-8"
    return Header(line, charset, maxlinelen=_HEADER_WIDTH, header_name=header).encode(linesep=_LINE_END)


def _mailbox(name: str, address: Address, header: str) -> str:
    """`name <address>`; without a name only the address. An ASCII name is quoted, any other is encoded words."""
    line = one_line(name, _NAME_LENGTH_MAX)
    if not line:
        return str(address)
    plain = line.isascii() and "=?" not in line
    shown = f'"{quote(line)}"' if plain else Header(line, "utf-8", _HEADER_WIDTH, header).encode(linesep=_LINE_END)
    together = f"{header}: {shown} <{address}>"
    return f"{shown}{_LINE_END if len(together) > _HEADER_WIDTH else ''} <{address}>"


def _part(boundary: str, subtype: str, body: str) -> str:
    """One alternative, quoted-printable: no line is long, and `=_` of the boundary cannot occur in it."""
    unix_lines = body.replace(_LINE_END, "\n").encode("utf-8", "replace")
    encoded = binascii.b2a_qp(unix_lines, istext=True).decode("ascii").replace("\n", _LINE_END)
    return (
        f"--{boundary}{_LINE_END}"
        + _header("Content-Type", f"text/{subtype}; charset=utf-8")
        + _header("Content-Transfer-Encoding", "quoted-printable")
        + f"{_LINE_END}{encoded}{_LINE_END}"
    )
