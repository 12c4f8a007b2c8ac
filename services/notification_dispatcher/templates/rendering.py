"""From a notice order to subject, text and HTML in the customer's language. Pure but for reading the shipped files.

A template is a file of wording, `LANGUAGE/NAME.txt`, without any markup; `layout.txt` and `layout.html` put it into a
plain text and an HTML mail, and `LANGUAGE/_phrases.txt` holds the sentences that all notices share. Templates run in
Jinja's sandbox, and a name that is not given is an error, not an empty place in a letter.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from dunning.domain.words import AccountStage
from notification_dispatcher.channels.one_line import one_line
from notification_dispatcher.channels.payload import NoticeOrder
from notification_dispatcher.templates.locales import FALLBACK, Language, amount_text, day_text, negotiate
from notification_dispatcher.templates.reasons import ReasonText, reason_text

_FOLDER = Path(__file__).parent
_TEXT_WIDTH = 72
_LINK_LENGTH_MAX = 2000
_LINK = re.compile(r"https?://[^\s<>\"\\^`{|}]+\Z", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n[ \t]*\n")
_SPACES = re.compile(r"[ \t\n]+")
_BRANDS = {"visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "sepa_debit": "SEPA", "jcb": "JCB"}


class RenderingError(Exception):
    """The notice cannot be written: no such template, or a template asks for what is not there."""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who writes: the name under the letter, and the lines below it (address, company data)."""

    sender_name: str
    footer: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice in words. `locale` is the language that was really used."""

    subject: str
    text: str
    html: str
    locale: Language


@lru_cache(maxsize=1)
def template_names() -> frozenset[str]:
    """The templates that a policy may name."""
    return frozenset(path.stem for path in (_FOLDER / FALLBACK).glob("*.txt") if not path.stem.startswith("_"))


def render(order: NoticeOrder, letterhead: Letterhead) -> Rendered:
    """Write the notice. Raises RenderingError."""
    if order.template not in template_names():
        raise RenderingError(f"no template {one_line(order.template)!r}")
    language = negotiate(order.locale)
    path = f"{language}/{order.template}.txt"
    try:
        words = _words(order, letterhead, language)
        in_text = _environment(html=False).get_template(path)
        in_html = _environment(html=True).get_template(path)
        subject = "".join(in_text.blocks["subject"](in_text.new_context(words)))
        return Rendered(
            subject=one_line(subject, 200),
            text=in_text.render(words, layout="layout.txt").strip() + "\n",
            html=in_html.render(words, layout="layout.html").strip() + "\n",
            locale=language,
        )
    except (TemplateError, ValueError, OverflowError) as error:
        raise RenderingError(f"template {path}: {type(error).__name__}") from error


def _words(order: NoticeOrder, letterhead: Letterhead, language: Language) -> dict[str, Any]:
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
        "next_day": day_text(coming.at, order.zone, order.locale) if coming else None,
        "sender_name": one_line(letterhead.sender_name),
        "footer_lines": [one_line(line, 200) for line in letterhead.footer.splitlines()],
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


@lru_cache(maxsize=2)
def _environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined, autoescape=html, cache_size=64, auto_reload=False
    )
    environment.filters["paragraphs"] = _html_paragraphs if html else _text_paragraphs
    return environment


def _text_paragraphs(block: str) -> str:
    """Each paragraph wrapped for reading as plain text. A no-break space stays one: an amount is never torn apart."""
    return "\n\n".join(_each_paragraph(block, _wrapped))


def _html_paragraphs(block: str) -> Markup:
    """Each paragraph in its `<p>`. What the engine escaped already stays as it is, anything else is escaped."""
    return Markup("\n".join(_each_paragraph(escape(block), lambda text: f"<p>{text}</p>")))


def _each_paragraph(block: str, form: Callable[[str], str]) -> list[str]:
    return [form(_SPACES.sub(" ", part.strip(" \t\n"))) for part in _BLANK_LINES.split(block.strip(" \t\n"))]


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)
