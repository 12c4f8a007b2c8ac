"""What is wrong with templates of one's own, found before anybody is written to: at start and by `policy lint`."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from types import TracebackType

from jinja2 import TemplateSyntaxError
from msgspec.structs import replace

from dunning.domain.words import AccountStage, Channel, DeclineClass
from notification_dispatcher.channels.payload import NextConsequence, NoticeOrder, PaidWith
from notification_dispatcher.templates.rendering import Letterhead, Rendered, RenderingError, render
from notification_dispatcher.templates.wording import Wording

_AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
_FULL = NoticeOrder(
    notice_id="notice", case_id="case", account_id="account", invoice_id="in_1", rung="rung", template="",
    channel=Channel.EMAIL, address="ada@example.com", amount_minor=4900, currency="EUR",
    decline_class=DeclineClass.SOFT, failure_code="insufficient_funds", zone="Europe/Berlin", at=_AT,
    invoice_number="2026-0017", customer_name="Ada Example", payment_method=PaidWith("visa", "4242"),
    update_payment_url="https://pay.example.com/update", next=NextConsequence(AccountStage.SUSPENDED, _AT),
)  # fmt: skip
_BARE = replace(_FULL, invoice_number=None, customer_name=None, payment_method=None, update_payment_url=None, next=None)
_SAMPLES = (
    _FULL,
    _BARE,
    replace(_FULL, failure_code="payment_overdue"),
    replace(_FULL, decline_class=DeclineClass.TECHNICAL, failure_code="processing_error"),
    *(replace(_FULL, next=NextConsequence(stage, _AT)) for stage in AccountStage if stage.restricts),
)
_LETTERHEADS = (Letterhead("Who writes", "A footer", "https://example.com/stop"), Letterhead("Who writes"))


@dataclass(frozen=True, slots=True)
class BrokenTemplate:
    """A file that cannot be used. `line` counts from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


def example_order(template: str, locale: str) -> NoticeOrder:
    """A notice about which everything is known, to see a template in words."""
    return replace(_FULL, template=template, locale=locale)


def broken_templates(wording: Wording) -> list[BrokenTemplate]:
    """Everything that keeps a notice from being written, or from saying what every mail says (rule 34): all templates
    in all languages, with much and with little known of the case. Own files can break shipped ones as well: layouts and
    phrases are shared."""
    found: dict[tuple[str, int], BrokenTemplate] = {}
    for order, letterhead in zip(_orders(wording), cycle(_LETTERHEADS), strict=False):
        try:
            rendered = render(order, letterhead, wording)
        except RenderingError as error:
            wrong = [_told(error, wording)]
        else:
            wrong = list(_left_out(rendered, order, letterhead, wording))
        for broken in wrong:
            found.setdefault((broken.file, broken.line), broken)
    return list(found.values())


def _left_out(
    rendered: Rendered, order: NoticeOrder, letterhead: Letterhead, wording: Wording
) -> Iterator[BrokenTemplate]:
    """Who writes, the footer, and how to hear no more: in both parts, for nobody reads more than one of them."""
    needed = {
        "sender_name": letterhead.sender_name,
        "footer_lines": letterhead.footer,
        "opt_out_link": letterhead.opt_out_link(order),
    }
    for html, part in ((False, rendered.text), (True, rendered.html)):
        missing = [name for name, words in needed.items() if words and words not in part]
        if missing:
            file = _own_file(wording, wording.file_of(order.template, rendered.locale, html=html), html=html)
            yield BrokenTemplate(file, 1, f"every mail has to say {' and '.join(missing)}, and this one does not")


def _own_file(wording: Wording, name: str | None, *, html: bool) -> str:
    """The template, or the layout where that is what is one's own."""
    suffix = "html" if html else "txt"
    places = [wording.own / file for file in (name, f"layout.{suffix}") if wording.own and file]
    return str(next((place for place in places if place.is_file()), wording.own or "templates"))


def _orders(wording: Wording) -> Iterator[NoticeOrder]:
    for template in sorted(wording.names):
        for language in sorted(wording.languages):
            if wording.file_of(template, language, html=True):
                yield from (replace(sample, template=template, locale=language) for sample in _SAMPLES)


def _told(error: RenderingError, wording: Wording) -> BrokenTemplate:
    cause = error.__cause__
    if isinstance(cause, TemplateSyntaxError):
        return BrokenTemplate(
            cause.filename or cause.name or "template", cause.lineno, cause.message or "not a template"
        )
    file, line = _place(cause.__traceback__ if cause else None, wording)
    return BrokenTemplate(file or str(wording.own or "templates"), line, str(cause or error))


def _place(traceback: TracebackType | None, wording: Wording) -> tuple[str, int]:
    """The innermost line of a template that was being carried out, an own one where there is one."""
    found: list[tuple[str, int]] = []
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if Path(name).suffix in (".txt", ".html"):
            found.append((name, traceback.tb_lineno))
        traceback = traceback.tb_next
    own = [place for place in found if wording.own is not None and Path(place[0]).is_relative_to(wording.own)]
    return (own or found or [("", 1)])[-1]
