"""What a mail in the box for bounces says: which notice came back, and whether its address is at fault. Pure.

A bounce is a delivery status notification (RFC 3464): a human's text, the status of each recipient, and the mail that
came back or its headers. Everything in it may be forged, so it says only which notice it means; whether that fits is
for whoever knows the notices.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from enum import StrEnum

from notification_dispatcher.bounces.parts import Garbled, Part, read_fields, read_part
from notification_dispatcher.channels import notice_headers
from notification_dispatcher.channels.smtp_answers import Answer, is_about_the_recipient

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED_TYPES = frozenset(
    {
        "message/rfc822",
        "message/rfc822-headers",
        "text/rfc822-headers",
        "message/global",
        "message/global-headers",
    }
)
_REPORT_TYPE = re.compile(r';\s*report-type\s*=\s*"?([\w-]{1,60})', re.IGNORECASE)
_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
_MESSAGE_ID = re.compile(r"<([0-9a-f-]{36})@([^<>@\s]{1,255})>")
_NOTICE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STATUS = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})")
_SMTP_ANSWER = re.compile(
    r"\s*(?:smtp|x-[\w-]{1,40})\s*;\s*(?:<[^<>]{0,300}>:?\s*)?([45]\d\d)[ -]#?(.*)", re.IGNORECASE
)
_RECIPIENTS_MAX = 100


class Aside(StrEnum):
    """Why a mail is no bounce of a notice; a word for the metric."""

    NO_REPORT = "no_report"  # a vacation reply, spam, a letter from a customer
    FOREIGN = "foreign"  # about somebody else's mail
    DELAYED = "delayed"  # about our mail, which was not given up: delayed, or delivered
    INCOMPLETE = "incomplete"  # about our mail, but it does not say which
    GARBLED = "garbled"  # cannot be read
    TOO_LARGE = "too_large"  # is not read


@dataclass(frozen=True, slots=True)
class Bounce:
    """A notice that came back, as the mail says. `at` is the mail's own time."""

    notice_id: str
    account_id: str
    invoice_id: str
    rung: str | None
    at: datetime
    permanent: bool


def read_bounce(mail: bytes, own_domain: str) -> Bounce | Aside:
    """The one notice that the mail is about: our mails have one recipient. `own_domain` is that of our Message-IDs."""
    try:
        return _read(read_part(mail), own_domain.lower())
    except Garbled:
        return Aside.GARBLED


def _read(mail: Part, own_domain: str) -> Bounce | Aside:
    report_type = _REPORT_TYPE.search(mail.header("Content-Type"))
    if mail.content_type != "multipart/report" or (report_type and report_type[1].lower() != "delivery-status"):
        return Aside.NO_REPORT
    parts = mail.parts()
    status = next((part for part in parts if part.content_type in _STATUS_TYPES), None)
    if status is None:
        return Aside.NO_REPORT
    returned = next((_headers_of(part) for part in parts if part.content_type in _RETURNED_TYPES), Part({}, b""))
    notice_id = _notice_of(returned, own_domain)
    if notice_id is None:
        answers = _of_our_domain(mail.header("In-Reply-To") + mail.header("References"), own_domain)
        return Aside.INCOMPLETE if answers else Aside.FOREIGN
    failed = [recipient for recipient in _recipients(status.content) if _is_given_up(recipient)]
    if not failed:
        return Aside.DELAYED
    account_id = notice_headers.decoded(returned.header(notice_headers.ACCOUNT))
    invoice_id = notice_headers.decoded(returned.header(notice_headers.INVOICE))
    at = _time_of(mail)
    if account_id is None or invoice_id is None or at is None:
        return Aside.INCOMPLETE
    rung = _words(returned.header(notice_headers.RUNG))
    # Where a list behind the address has several readers, one of them who is gone makes it no dead address.
    return Bounce(notice_id, account_id, invoice_id, rung, at, permanent=all(map(_is_permanent, failed)))


def _headers_of(part: Part) -> Part:
    """The headers of the mail that came back, whole or not."""
    return read_part(part.content)


def _notice_of(returned: Part, own_domain: str) -> str | None:
    """By our own header, for some providers write Message-IDs of their own, or by the Message-ID. None where neither is
    ours, or where they contradict each other."""
    named = _NOTICE_ID.fullmatch(returned.header(notice_headers.NOTICE_ID).strip())
    by_message_id = _of_our_domain(returned.header("Message-ID"), own_domain)
    if named is None:
        return by_message_id
    return named[0] if by_message_id in (None, named[0]) else None


def _of_our_domain(message_ids: str, own_domain: str) -> str | None:
    """The notice of the first Message-ID that we could have written."""
    found = (each for each in _MESSAGE_ID.finditer(message_ids) if each[2].lower() == own_domain)
    return next((each[1] for each in found if _NOTICE_ID.fullmatch(each[1])), None)


def _recipients(status: bytes) -> list[dict[str, list[str]]]:
    """The fields of each recipient. The first group is about the mail, and some servers leave it out."""
    groups = [read_fields(group) for group in _BLANK_LINE.split(status.strip())[: _RECIPIENTS_MAX + 1]]
    return [group for group in groups if "action" in group or "status" in group]


def _first(fields: dict[str, list[str]], name: str) -> str:
    return next(iter(fields.get(name, ())), "")


def _is_given_up(recipient: dict[str, list[str]]) -> bool:
    """Whether the mail will not arrive any more. Without an action the status says so."""
    action = _first(recipient, "action").split("(")[0].strip().lower()
    return action == "failed" if action else _first(recipient, "status").strip().startswith("5.")


def _is_permanent(recipient: dict[str, list[str]]) -> bool:
    """Whether the address is at fault and stays so, judged as the answer of a server that we talk to ourselves.

    A mail that was given up after days (4.4.7), a full mailbox (5.2.2) or a server that does not want *us* (5.7.1) says
    nothing about the address: taking that for a dead one would silence every customer there.
    """
    status = _STATUS.match(_first(recipient, "status"))
    if status is None or status[1] != "5":
        return False
    if (status[2], status[3]) != ("0", "0"):
        return is_about_the_recipient(Answer(550, status[0].strip()))
    said = _SMTP_ANSWER.match(_first(recipient, "diagnostic-code"))
    return is_about_the_recipient(Answer(int(said[1]), said[2])) if said else True


def _time_of(mail: Part) -> datetime | None:
    """When our own mail server took it in, by the header that it put on top; else the mail's Date. The last instant of
    that second: a notice whose bounce comes at once was delivered before it, not after."""
    received = mail.header("Received").rpartition(";")[2]
    for text in (received, mail.header("Date")):
        try:
            at = parsedate_to_datetime(text[:200].strip())
            return at.replace(tzinfo=at.tzinfo or UTC, microsecond=999_999).astimezone(UTC)
        except (TypeError, ValueError, IndexError, OverflowError):
            continue
    return None


def _words(value: str) -> str | None:
    """Free text of a header."""
    try:
        return str(make_header(decode_header(value[:2000]))) or None
    except (HeaderParseError, LookupError, ValueError):
        return None
