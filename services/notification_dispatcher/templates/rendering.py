"""From a notice order to subject, text and HTML in the customer's language. Pure but for reading the files.

A template is a file of wording, `LANGUAGE/NAME.txt`, without any markup; `layout.txt` and `layout.html` put it into a
plain text and an HTML mail, and `LANGUAGE/_phrases.txt` holds the sentences that all notices share. Templates run in
Jinja's sandbox, and a name that is not given is an error, not an empty place in a letter.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import TemplateError

from dunning.domain.words import AccountStage
from notification_dispatcher.channels.one_line import one_line
from notification_dispatcher.channels.payload import NoticeOrder
from notification_dispatcher.templates.locales import amount_text, day_text
from notification_dispatcher.templates.reasons import ReasonText, reason_text
from notification_dispatcher.templates.wording import Wording, shipped

_LINK_LENGTH_MAX = 2000
_LINK = re.compile(r"https?://[^\s<>\"\\^`{|}]+\Z", re.IGNORECASE)
_BRANDS = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "sepa_debit": "SEPA", "jcb": "JCB"}
# What templates raise, which are programs of somebody's: a filter that does not fit, a template that extends itself, a
# file that cannot be read.
_BROKEN = (
    TemplateError, TypeError, AttributeError, LookupError, ValueError, ArithmeticError, RecursionError, OSError,
)  # fmt: skip


class RenderingError(Exception):
    """The notice cannot be written: no such template, or a template asks for what is not there."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who writes: the name under the letter, the lines below it (address, company data), and how to hear no more.

    `opt_out_url` is where a customer forbids mails; `{account_id}` and `{notice_id}` in it are filled in. Without it
    the customer is asked to answer the mail.
    """

    sender_name: str
    footer: str = ""
    opt_out_url: str | None = None

    def opt_out_link(self, order: NoticeOrder) -> str | None:
        """The link for this customer."""
        if self.opt_out_url is None:
            return None
        filled = self.opt_out_url.replace("{account_id}", quote(order.account_id, safe=""))
        return safe_link(filled.replace("{notice_id}", quote(order.notice_id, safe="")))


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice in words. `locale` is the language that was really used."""

    subject: str
    text: str
    html: str
    locale: str


def render(order: NoticeOrder, letterhead: Letterhead, wording: Wording | None = None) -> Rendered:
    """Write the notice. Raises RenderingError."""
    wording = wording or shipped()
    if order.template not in wording.names:
        raise RenderingError(f"no template {one_line(order.template)!r}")
    language = wording.language_of(order.template, order.locale)
    text_file = wording.file_of(order.template, language, html=False)
    html_file = wording.file_of(order.template, language, html=True)
    phrases = wording.phrases_of(language)
    if text_file is None or html_file is None:
        raise RenderingError(f"{language}/{order.template}.txt is missing: it is the text of the mail, and its subject")
    if phrases is None:
        raise RenderingError(f"{language}/_phrases.txt is missing: copy that of a shipped language and translate it")
    try:
        words = {**_words(order, letterhead, language), "phrases": phrases}
        html = wording.in_html.get_template(html_file).render(words, layout="layout.html")
        in_text = wording.in_text.get_template(text_file)
        text = in_text.render(words, layout="layout.txt")
        subject = "".join(in_text.blocks["subject"](in_text.new_context(words)))
    except _BROKEN as error:
        raise RenderingError(f"template {text_file}: {type(error).__name__}") from error
    return Rendered(one_line(subject, 200), text.strip() + "\n", html.strip() + "\n", language)


def _words(order: NoticeOrder, letterhead: Letterhead, language: str) -> dict[str, Any]:
    """All that a template may use; every value is one clean line."""
    reason = reason_text(order.decline_class, order.failure_code)
    overdue = reason is ReasonText.NOT_RECEIVED  # nothing was charged, so there is no payment method to speak of
    method = None if overdue else order.payment_method
    coming = order.next if order.next is not None and order.next.stage is not AccountStage.ACTIVE else None
    return {
        "language": language,
        "name": greeting_name(order.customer_name),
        "invoice": one_line(order.invoice_number or order.invoice_id, 80),
        "amount": amount_text(order.amount_minor, order.currency, language),
        "brand": _brand(method.brand) if method else None,
        "last4": _last4(method.last4) if method else None,
        "reason": reason.value,
        "overdue": overdue,
        "link": safe_link(order.update_payment_url),
        "next_stage": coming.stage.value if coming else None,
        "next_day": day_text(coming.at, order.zone, order.locale, language) if coming else None,
        "sender_name": one_line(letterhead.sender_name),
        "footer_lines": [one_line(line, 200) for line in letterhead.footer.splitlines()],
        "opt_out_link": letterhead.opt_out_link(order),
    }


def greeting_name(name: str | None) -> str | None:
    """The name to greet. One that carries a link is somebody's attempt to write to others through us: none at all."""
    line = one_line(name, 80) if name else ""
    looks_like_link = "://" in line or "www." in line.lower()
    return line if line and not looks_like_link else None


def safe_link(url: str | None) -> str | None:
    """The link if a customer may be sent there: http or https, a host, and no login hidden in front of it."""
    if url is None or len(url) > _LINK_LENGTH_MAX or one_line(url, _LINK_LENGTH_MAX) != url or not _LINK.match(url):
        return None
    try:
        parts = urlsplit(url)
        return url if parts.hostname and "@" not in parts.netloc else None
    except ValueError:
        return None


def _brand(brand: str | None) -> str | None:
    if not brand:
        return None
    return _BRANDS.get(brand.lower()) or one_line(brand.replace("_", " "), 40).title() or None


def _last4(last4: str | None) -> str | None:
    """At most four letters or digits: whatever is longer is not what it claims to be, and nobody needs to see it."""
    return last4 if last4 and len(last4) <= 4 and last4.isalnum() else None
