"""Templates of one's own lie over the shipped ones; broken ones are found before anybody is written to (rule 34)."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dunning.domain.events import Customer, NoticeResult, TimerDue
from dunning.domain.words import Channel
from dunning.runtime.problem import Problem
from dunning_cli.main import app
from notification_dispatcher.case import NoticeAccount
from notification_dispatcher.channels.settings import EmailSettings
from notification_dispatcher.decide import NoticeTrack
from notification_dispatcher.templates import Letterhead, Rendered, Wording, render
from notification_dispatcher.templates.opening import checked_wording
from notification_dispatcher.templates.wording import SHIPPED_FOLDER
from tests.builders import a_notice, a_policy, failed, instant, paid, policies
from tests.notice_orders import an_order

WELCOME = """{% extends layout %}
{% block subject %}SUBJECT {{ invoice }}{% endblock %}
{% block heading %}HEADING{% endblock %}
{% block opening %}OPENING {{ name or "nobody" }}{% endblock %}
{% block closing %}CLOSING{% endblock %}
"""
EVERY_MAIL = "<p>{{ sender_name }} {{ footer_lines | join(', ') }} {{ opt_out_link or 'Answer to hear no more' }}</p>"
POLICY = """id: mine
version: 1
ladder:
  - {rung: hello, at: 0d, notice: {template: welcome_back, channels: [email]}}
"""


def put(folder: Path, **files: str) -> Path:
    """Files by their paths, with `__` for the slash and `_txt`, `_html` for the ending."""
    for name, text in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def written(folder: Path, letterhead: Letterhead | None = None, **changes: object) -> Rendered:
    return render(an_order(**changes), letterhead or Letterhead("Acme"), checked_wording(folder))


def test_an_own_template_has_a_new_name_and_both_kinds_of_mail(tmp_path: Path) -> None:
    notice = written(put(tmp_path, en__welcome_back_txt=WELCOME), template="welcome_back", customer_name="A & B")

    assert notice.subject == "SUBJECT 2026-0017"
    assert "OPENING A & B\n" in notice.text
    assert "<p>OPENING A &amp; B</p>" in notice.html


def test_an_own_file_takes_the_place_of_the_shipped_one_and_the_others_stay(tmp_path: Path) -> None:
    folder = put(tmp_path, en__payment_failed_txt=WELCOME)

    assert written(folder, template="payment_failed").subject == "SUBJECT 2026-0017"
    assert written(folder, template="terminated").subject == "Your account has been closed (invoice 2026-0017)"
    assert written(folder, template="payment_failed", locale="de").locale == "de"


def test_the_html_part_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    own = "<b>{{ name }}</b>" + EVERY_MAIL
    folder = put(tmp_path, en__welcome_back_txt=WELCOME, en__welcome_back_html=own)
    notice = written(folder, template="welcome_back", customer_name="A & B")

    assert notice.html.startswith("<b>A &amp; B</b>")
    assert "OPENING A & B\n" in notice.text


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de-AT", "de-AT"),
        ("de_AT.UTF-8", "de-AT"),
        ("de-CH", "de"),
        ("fr", "fr"),
        ("fr-CA", "fr"),
        ("es", "en"),
        (None, "en"),
    ],
)
def test_the_nearest_language_that_has_the_template_is_used(tmp_path: Path, locale: str | None, language: str) -> None:
    phrases = (SHIPPED_FOLDER / "en" / "_phrases.txt").read_text("utf-8")
    folder = put(tmp_path, de_AT__payment_failed_txt=WELCOME, fr__payment_failed_txt=WELCOME, fr___phrases_txt=phrases)

    assert written(folder, template="payment_failed", locale=locale).locale == language


def test_amounts_and_days_are_written_as_in_the_language_of_the_letter(tmp_path: Path) -> None:
    phrases = (SHIPPED_FOLDER / "en" / "_phrases.txt").read_text("utf-8")
    folder = put(tmp_path, fr__payment_failed_txt=WELCOME, fr___phrases_txt=phrases)

    text = " ".join(written(folder, template="payment_failed", locale="fr-FR").text.split())

    assert "Amount due: 1 234,50 € " in text
    assert "jeudi 15 octobre 2026" in text


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"en__welcome_back_txt": WELCOME.replace("{% endblock %}", "", 1)}, "en/welcome_back.txt:5: "),
        (
            {"en__welcome_back_txt": WELCOME.replace("{{ name", "{{ nickname")},
            "en/welcome_back.txt:4: 'nickname' is undefined",
        ),
        (
            {"en__welcome_back_txt": WELCOME.replace("{{ invoice", "{{ bill")},
            "en/welcome_back.txt:2: 'bill' is undefined",
        ),
        ({"en__welcome_back_txt": WELCOME.replace("CLOSING", "{{ link.x }}")}, "en/welcome_back.txt:5: "),
        ({"en__welcome_back_txt": "{% extends layout %}\n"}, "Required block 'subject' not found"),
        ({"layout_txt": "{{ say.hello() }}"}, "layout.txt:1: 'say' is undefined"),
        ({"fr__payment_failed_txt": WELCOME}, "fr/_phrases.txt is missing"),
        ({"en__welcome_back_html": "<b>only</b>"}, "en/welcome_back.txt is missing"),
        (
            {"en__welcome_back_txt": WELCOME.replace("CLOSING", "{{ name.__class__.__mro__ }}")},
            "en/welcome_back.txt:5: ",
        ),
        (  # written in the hope of the shipped one below it
            {"en__payment_failed_txt": '{% extends "en/payment_failed.txt" %}'},
            "en/payment_failed.txt:1: maximum recursion depth exceeded",
        ),
        (
            {"en__welcome_back_txt": WELCOME.replace("CLOSING", "{{ invoice|dictsort }}")},
            "en/welcome_back.txt:5: 'str' object has no attribute 'items'",
        ),
    ],
)
def test_a_broken_template_stops_the_start_with_its_place(
    tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    with pytest.raises(Problem) as raised:
        checked_wording(put(tmp_path, **files))

    assert complaint in str(raised.value)
    assert str(tmp_path) in str(raised.value)
    assert str(raised.value).endswith("[DUN-R021]")


@pytest.mark.parametrize(
    ("files", "place", "missing"),
    [
        ({"en__welcome_back_txt": "{% block subject %}S{% endblock %}"}, "en/welcome_back.txt", "sender_name"),
        ({"en__terminated_html": "<b>{{ sender_name }}</b>"}, "en/terminated.html", "footer_lines"),
        ({"layout_html": "{{ sender_name }} {{ footer_lines | join }}"}, "layout.html", "opt_out_link"),
    ],
)
def test_a_template_that_leaves_out_what_every_mail_says_stops_the_start(
    tmp_path: Path, files: dict[str, str], place: str, missing: str
) -> None:
    with pytest.raises(Problem) as found:
        checked_wording(put(tmp_path, **files))

    assert f"{place}:1: every mail has to say" in str(found.value)
    assert missing in str(found.value)


def test_however_many_templates_there_are_a_change_takes_effect_at_the_next_start(tmp_path: Path) -> None:
    """Thirty languages of eight notices: none is read again, perhaps half written, while mails go out."""
    numbers = range(240)
    wording = Wording(put(tmp_path, **{f"en__n{number}_txt": "as checked" for number in numbers}))
    for number in numbers:
        wording.in_text.get_template(f"en/n{number}.txt")
    put(tmp_path, **{f"en__n{number}_txt": "{% half" for number in numbers})

    assert wording.in_text.get_template("en/n0.txt").render() == "as checked"


def test_a_folder_that_is_not_there_is_an_error_not_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="DUNNING_TEMPLATE_DIR"):
        checked_wording(tmp_path / "nowhere")


def test_the_linter_knows_own_templates_and_what_is_wrong_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = put(tmp_path / "policies", mine_yaml=POLICY)
    monkeypatch.setenv("DUNNING_TEMPLATE_DIR", str(put(tmp_path / "own", en__welcome_back_txt=WELCOME)))
    fine = CliRunner().invoke(app, ["policy", "lint", str(policy)])
    put(tmp_path / "own", en__welcome_back_txt=WELCOME.replace("{{ name", "{{ nickname"))
    broken = CliRunner().invoke(app, ["policy", "lint", str(policy), "--format", "json"])
    monkeypatch.delenv("DUNNING_TEMPLATE_DIR")
    unknown = CliRunner().invoke(app, ["policy", "lint", str(policy)])

    assert (fine.exit_code, fine.stdout) == (0, "1 file: no problems\n")
    assert broken.exit_code == 1
    assert [(each["line"], each["code"]) for each in json.loads(broken.stdout)["problems"]] == [(4, "DUN-R021")]
    assert unknown.exit_code == 1
    assert "[DUN-P017]" in unknown.stdout


def test_a_result_says_the_language_that_the_notice_was_written_in(tmp_path: Path) -> None:
    phrases = (SHIPPED_FOLDER / "en" / "_phrases.txt").read_text("utf-8")
    wording = Wording(put(tmp_path, fr__gentle_reminder_txt=WELCOME, fr___phrases_txt=phrases))
    shelf = policies(a_policy(ladder=[a_notice("hello", "0d", "sms")], retries=None))
    track = NoticeTrack(lambda: shelf, frozenset(Channel), frozenset(), language_of=wording.language_of)
    account = NoticeAccount("acc_1")
    customer = Customer(phone="+491", locale="fr-CA", timezone="UTC")
    track.decide(account, failed("03-02 22:00", customer=customer), instant("03-02 22:00"))
    track.decide(account, TimerDue("timer", "acc_1", "in_1", instant("03-02 22:00")), instant("03-02 22:00"))

    decision = track.decide(account, paid("03-02 23:00"), instant("03-02 23:00"))

    assert [each.locale for each in decision.events if isinstance(each, NoticeResult)] == ["fr"]


# --- sender, footer, opt-out line -------------------------------------------------------------------------------------


def test_every_mail_says_who_writes_and_how_to_hear_no_more() -> None:
    letterhead = Letterhead("Acme", "Acme GmbH\nBerlin", "https://acme.example/stop?a={account_id}&n={notice_id}")
    notice = render(an_order(account_id="acc/1", notice_id="n 1"), letterhead)

    assert notice.text.endswith(
        "----\nAcme GmbH\nBerlin\nTo receive no more of these messages by email, go to:\n"
        "https://acme.example/stop?a=acc%2F1&n=n%201\n"
    )
    assert 'href="https://acme.example/stop?a=acc%2F1&amp;n=n%201"' in notice.html


def test_without_a_link_an_answer_does() -> None:
    text = render(an_order(locale="de"), Letterhead("Acme")).text

    assert "----\nWenn Sie solche Nachrichten nicht mehr per E-Mail erhalten möchten,\nantworten Sie" in text


@pytest.mark.parametrize("url", ["acme.example/stop", "javascript:alert(1)", "https://", "https://u@acme.example/"])
def test_a_link_that_nobody_can_be_sent_to_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(ValueError, match="mail_opt_out_url"):
        EmailSettings(mail_opt_out_url=url)
