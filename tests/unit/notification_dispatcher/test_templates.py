"""What customers read: every template in every language, and what must never stand in one."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dunning.domain.policy_file import SHIPPED_TEMPLATES
from dunning.domain.words import AccountStage, DeclineClass
from notification_dispatcher.channels.payload import NextConsequence, NoticeOrder, PaidWith, PayloadError
from notification_dispatcher.templates import Letterhead, Rendered, RenderingError, render
from notification_dispatcher.templates.locales import amount_text, day_text
from notification_dispatcher.templates.reasons import ReasonText, reason_text
from notification_dispatcher.templates.rendering import safe_link
from notification_dispatcher.templates.wording import shipped
from tests.notice_orders import an_order

GOLDEN = Path(__file__).parent / "golden"
LETTERHEAD = Letterhead("Acme Billing", "Acme GmbH, Hauptstraße 1, 10115 Berlin\nHRB 12345, help@acme.example")
TEMPLATES = [
    "payment_failed",
    "gentle_reminder",
    "formal_notice",
    "suspension_warning",
    "suspended",
    "final_notice",
    "terminated",
]
BY_LANGUAGE = {
    "en": ("€1,234.50", "Thursday, October 15, 2026"),
    "de": ("1.234,50\xa0€", "Donnerstag, 15. Oktober 2026"),
}


def written(**changes: object) -> Rendered:
    return render(an_order(**changes), LETTERHEAD)


class _Tags(HTMLParser):
    """Checks that what is opened is closed, and collects the attributes that lead somewhere."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.names: set[str] = set()
        self.leads_to: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.leads_to += [value or "" for name, value in attrs if name in {"href", "src", "background", "action"}]
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def tags_of(html: str) -> _Tags:
    tags = _Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def test_the_policy_linter_sees_the_seven_templates_and_no_parts_of_them() -> None:
    assert shipped().names == SHIPPED_TEMPLATES == frozenset(TEMPLATES)


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_language_has_every_template(language: str) -> None:
    folder = Path(__file__).parents[3] / "services/notification_dispatcher/templates" / language

    assert {path.stem for path in folder.glob("[a-z]*.txt")} == set(TEMPLATES)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_notice_carries_amount_invoice_link_and_the_date_of_what_comes_next(template: str, language: str) -> None:
    notice = written(template=template, locale=language)
    amount, day = BY_LANGUAGE[language]
    html = tags_of(notice.html)
    flowing = " ".join(notice.text.replace("\n", " ").split(" "))

    assert notice.locale == language
    assert "2026-0017" in notice.subject
    for part in (amount, "2026-0017", day, "4242", "Acme GmbH, Hauptstraße 1, 10115 Berlin", "Jane Doe"):
        assert part in flowing
        assert part in "".join(html.words)
    assert "\nhttps://pay.example.com/update?case=17&from=mail\n" in notice.text
    assert html.leads_to == ["https://pay.example.com/update?case=17&from=mail"]


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_notice_about_which_little_is_known_has_no_holes(template: str, language: str) -> None:
    notice = written(
        template=template,
        locale=language,
        invoice_number=None,
        customer_name=None,
        payment_method=None,
        update_payment_url=None,
        next=None,
    )

    assert "in_1" in notice.text
    assert tags_of(notice.html).leads_to == []
    for body in (notice.subject, notice.text, notice.html):
        assert "None" not in body
        assert "{{" not in body
        assert "  ," not in body


@pytest.mark.parametrize("template", TEMPLATES)
def test_html_holds_no_images_no_scripts_and_nothing_from_elsewhere(template: str) -> None:
    notice = written(template=template)
    tags = tags_of(notice.html)

    assert tags.names.isdisjoint({"img", "script", "link", "iframe", "form", "object", "video"})
    assert "url(" not in notice.html


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("stage", ["past_due", "restricted", "suspended", "terminated"])
def test_every_consequence_has_its_words(stage: str, language: str) -> None:
    coming = NextConsequence(AccountStage(stage), datetime(2026, 10, 14, 22, 30, tzinfo=UTC))
    told = {
        "en": {
            "past_due": "overdue",
            "restricted": "restrict",
            "suspended": "suspend your",
            "terminated": "close your",
        },
        "de": {"past_due": "überfällig", "restricted": "schränken", "suspended": "sperren", "terminated": "schließen"},
    }

    assert told[language][stage] in written(template="gentle_reminder", locale=language, next=coming).text


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("reason", list(ReasonText))
def test_every_reason_has_its_words_in_every_language(reason: ReasonText, language: str) -> None:
    codes = {
        "insufficient_funds": ("soft", "insufficient_funds"),
        "limit_reached": ("soft", "card_velocity_exceeded"),
        "card_expired": ("needs_customer", "expired_card"),
        "details_wrong": ("hard", "incorrect_number"),
        "confirmation_needed": ("needs_customer", "authentication_required"),
        "bank_account": ("needs_customer", "R03"),
        "mandate_missing": ("hard", "revocation_of_authorization"),
        "not_received": ("unknown", "payment_overdue"),
        "declined": ("soft", "do_not_honor"),
        "not_completed": ("unknown", "x_193"),
        "method_unusable": ("hard", "stolen_card"),
        "customer_must_act": ("needs_customer", "x_194"),
        "technical": ("technical", "processing_error"),
    }
    decline_class, code = codes[reason.value]
    notice = written(locale=language, decline_class=DeclineClass(decline_class), failure_code=code)

    assert reason_text(DeclineClass(decline_class), code) is reason
    assert code not in notice.subject + notice.text + notice.html


@pytest.mark.parametrize("code", ["insufficient_funds", "expired_card", "processing_error"])
@pytest.mark.parametrize(("language", "own_fault"), [("en", "not your fault"), ("de", "liegt nicht an Ihnen")])
def test_a_technical_failure_is_never_blamed_on_the_customer(code: str, language: str, own_fault: str) -> None:
    notice = written(locale=language, decline_class=DeclineClass.TECHNICAL, failure_code=code)

    assert own_fault in notice.text.replace("\n", " ")
    assert "bank" not in notice.text.lower()


@pytest.mark.parametrize("code", ["stolen_card", "lost_card", "pickup_card", "highest_risk_level"])
def test_nobody_reads_that_a_card_is_reported_stolen(code: str) -> None:
    notice = written(decline_class=DeclineClass.HARD, failure_code=code)

    for word in ("stolen", "lost", "risk", "fraud"):
        assert word not in notice.text.lower()


def test_an_overdue_invoice_speaks_of_no_charge_and_no_card() -> None:
    notice = written(decline_class=DeclineClass.UNKNOWN, failure_code="payment_overdue")

    assert notice.subject == "Invoice 2026-0017 is due"
    assert "4242" not in notice.text
    assert "did not go through" not in notice.text


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_ch.UTF-8", "de"),
        ("en-GB", "en"),
        ("fr-FR", "en"),
        ("den", "en"),
        ("", "en"),
        (None, "en"),
        ("../../etc/passwd", "en"),
    ],
)
def test_the_language_is_the_customers_where_we_speak_it(locale: str | None, language: str) -> None:
    assert written(locale=locale).locale == language


@pytest.mark.parametrize(
    ("amount_minor", "currency", "english", "german"),
    [
        (123450, "EUR", "€1,234.50", "1.234,50\xa0€"),
        (5, "USD", "$0.05", "0,05\xa0$"),
        (1000, "JPY", "¥1,000", "1.000\xa0¥"),
        (1234, "KWD", "KWD\xa01.234", "1,234\xa0KWD"),
        (1234, "AFN", "AFN\xa012.34", "12,34\xa0AFN"),
        (9_007_199_254_740_993, "CHF", "CHF\xa090,071,992,547,409.93", "90.071.992.547.409,93\xa0CHF"),
    ],
)
def test_amounts_are_exact_in_every_currency(amount_minor: int, currency: str, english: str, german: str) -> None:
    assert amount_text(amount_minor, currency, "en") == english
    assert amount_text(amount_minor, currency, "de") == german


def test_the_day_is_the_customers_day() -> None:
    instant = datetime(2026, 10, 14, 22, 30, tzinfo=UTC)

    assert day_text(instant, "America/New_York", "en", "en") == "Wednesday, October 14, 2026"
    assert day_text(instant, "Asia/Tokyo", "de", "de") == "Donnerstag, 15. Oktober 2026"
    assert day_text(instant, "Mars/Olympus", "en", "en") == "Wednesday, October 14, 2026"


@pytest.mark.parametrize(
    ("locale", "day"),
    [
        ("en-US", "Thursday, January 15, 2026"),
        ("en-GB", "Thursday, 15 January 2026"),
        ("en_gb.UTF-8", "Thursday, 15 January 2026"),
        ("de-AT", "Donnerstag, 15. Jänner 2026"),
        ("en-XX", "Thursday, January 15, 2026"),
        ("en-Latn-GB", "Thursday, January 15, 2026"),
        ("fr-GB", "Thursday, January 15, 2026"),
        (None, "Thursday, January 15, 2026"),
    ],
)
def test_the_day_is_written_as_in_the_customers_country(locale: str | None, day: str) -> None:
    language = shipped().language_of("payment_failed", locale)

    assert day_text(datetime(2026, 1, 15, 12, tzinfo=UTC), "UTC", locale, language) == day


def test_what_a_customer_calls_themselves_is_text_and_never_markup() -> None:
    notice = written(customer_name='<a href="//x.example">\r\nBcc: x@example.com', invoice_number="<b>1</b>\u202e7")

    assert tags_of(notice.html).leads_to == ["https://pay.example.com/update?case=17&from=mail"]
    assert "&lt;a href=" in notice.html
    assert "&lt;b&gt;1&lt;/b&gt;7" in notice.html
    assert 'Hello <a href="//x.example"> Bcc: x@example.com,' in notice.text
    assert "\n" not in notice.subject


@pytest.mark.parametrize("name", ["Win at https://evil.example now", "WWW.evil.example", " \u200b\n "])
def test_a_name_that_is_an_advertisement_is_not_greeted(name: str) -> None:
    assert written(customer_name=name).text.startswith("Hello,\n")


def test_a_template_language_in_a_name_is_only_a_name() -> None:
    assert "{{ 7 * 7 }}" in written(customer_name="{{ 7 * 7 }}").text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//pay.example.com/x",
        "https:///no-host",
        "https://user@pay.example.com/",
        "https://pay.example.com/a b",
        'https://pay.example.com/"onmouseover=',
        "https://pay.example.com/\u202egpj.exe",
        "https://pay.example.com/\r\nBcc: x",
        "https://[oops/",
        "ftp://pay.example.com/",
        "https://pay.example.com/" + "x" * 2000,
        "",
        None,
    ],
)
def test_a_link_that_nobody_should_follow_is_left_out(url: str | None) -> None:
    assert safe_link(url) is None
    notice = written(update_payment_url=url)
    assert tags_of(notice.html).leads_to == []
    assert "in your account" in notice.text.replace("\n", " ")


@pytest.mark.parametrize("last4", ["42424242", "4242 4242 4242 4242", "", "<b>", None])
def test_more_than_four_digits_of_a_card_are_never_shown(last4: str | None) -> None:
    notice = written(payment_method=PaidWith("sepa_debit", last4))

    assert "Payment method: SEPA\n" in notice.text


@pytest.mark.parametrize("template", ["no_such_thing", "_phrases", "../layout", "../en/payment_failed", ""])
def test_a_template_that_does_not_exist_is_an_error(template: str) -> None:
    with pytest.raises(RenderingError):
        written(template=template)


def test_a_currency_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(RenderingError):
        written(currency="XQX")


def test_an_order_survives_its_payload() -> None:
    order = an_order()

    assert NoticeOrder.from_payload(order.to_payload() | {"a_later_field": 1}) == order


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": "12"},
        {"decline_class": "jane@example.com"},
        {"at": "2026-10-01T10:00:00"},
        {"next": {"stage": "suspended", "at": "jane@example.com"}},
        {"address": None},
    ],
)
def test_a_payload_that_is_not_an_order_is_an_error_that_tells_no_secrets(wrong: dict[str, object]) -> None:
    with pytest.raises(PayloadError) as raised:
        NoticeOrder.from_payload(an_order().to_payload() | wrong)
    assert "jane" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("payment_failed.en", {}),
        ("payment_failed.de", {"locale": "de"}),
        (
            "payment_failed_overdue.de",
            {"locale": "de", "failure_code": "payment_overdue", "decline_class": DeclineClass.UNKNOWN},
        ),
        ("suspension_warning.en", {"template": "suspension_warning", "decline_class": DeclineClass.TECHNICAL}),
        ("final_notice.de", {"template": "final_notice", "locale": "de-AT", "update_payment_url": None}),
        ("terminated.en", {"template": "terminated", "next": None, "currency": "JPY"}),
    ],
)
def test_the_letters_read_as_they_were_approved(name: str, changes: dict[str, object]) -> None:
    notice = written(**changes)

    assert f"Subject: {notice.subject}\n\n{notice.text}" == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
