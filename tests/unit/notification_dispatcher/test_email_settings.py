"""How the email channel is told what to do, and the ids of its mails."""

import pytest
from pydantic import ValidationError

from dunning.runtime.problem import Problem
from dunning.runtime.settings import Settings, load_settings, shown
from notification_dispatcher.channels.email import EmailChannel
from notification_dispatcher.channels.mail import message_id
from notification_dispatcher.channels.settings import EmailSettings, SmtpServer, StartTls
from tests.notice_orders import ORDERED_AT


class BothSettings(EmailSettings, Settings):
    """As the service has them."""


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://127.0.0.1:2525", SmtpServer("127.0.0.1", 2525)),
        ("smtp://mail.example", SmtpServer("mail.example", 25)),
        ("smtp://mail.example/?starttls=never", SmtpServer("mail.example", 25, starttls=StartTls.NEVER)),
        ("smtp://[::1]:25", SmtpServer("::1", 25)),
        ("smtps://mail.example", SmtpServer("mail.example", 465, implicit_tls=True, starttls=StartTls.NEVER)),
        (
            "smtp://me:p%40ss@mail.example",
            SmtpServer("mail.example", 587, "me", "p@ss", starttls=StartTls.ALWAYS),
        ),
        (
            "smtp://me:x@mail.example?starttls=auto&ca_file=/etc/own.pem",
            SmtpServer("mail.example", 587, "me", "x", starttls=StartTls.AUTO, ca_file="/etc/own.pem"),
        ),
    ],
)
def test_a_url_says_where_and_how(url: str, server: SmtpServer) -> None:
    assert SmtpServer.from_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.example:25",
        "http://mail.example",
        "smtp://",
        "smtp://me:hunter2@mail.example:no",
        "smtp://me:hunter2@mail.example?starttls=maybe",
        "smtp://me:hunter2@mail.example?tls=yes",
        "smtps://me:hunter2@mail.example?starttls=auto",
        "smtp://me:hunter2@mail.example/inbox",
        "smtp://me:hunter2@[oops",
        "smtp://me:hunter2#@mail.example",
        "smtp://mail.example:0",
    ],
)
def test_a_wrong_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValidationError) as raised:
        EmailSettings.model_validate({"smtp_url": url})
    assert "smtp_url" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mail_sender_address": "billing"},
        {"mail_sender_address": "billing@acme.example\r\nBcc: x@y.example"},
        {"mail_reply_to": "help me@acme.example"},
        {"mail_sender_address": "büro@acme.example"},
        {"mail_message_id_domain": "acme .example"},
        {"smtp_connections_max": 0},
        {"smtp_answer_timeout_seconds": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        EmailSettings.model_validate(wrong)


def test_without_a_url_the_channel_is_not_configured() -> None:
    assert EmailSettings().server is None


def test_settings_come_from_the_environment_beside_the_services_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    monkeypatch.setenv("DUNNING_DATABASE_URL", "postgresql://127.0.0.1/x")
    monkeypatch.setenv("DUNNING_SMTP_URL", "smtp://me:hunter2@mail.example")
    monkeypatch.setenv("DUNNING_MAIL_SENDER_ADDRESS", "billing@bücher.example")
    settings = load_settings(BothSettings)

    assert settings.server == SmtpServer("mail.example", 587, "me", "hunter2", starttls=StartTls.ALWAYS)
    assert settings.own_domain == "xn--bcher-kva.example"
    assert "hunter2" not in shown(settings)
    assert settings.perform_seconds_max < settings.errand_lease_seconds * 0.9


@pytest.mark.parametrize(
    ("errand_id", "expected"),
    [
        ("5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11", "<5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11@acme.example>"),
        ("case:rung", "<case=3Arung@acme.example>"),
        ("a@b>\r\nBcc: x", "<a=40b=3E=0D=0ABcc=3A=20x@acme.example>"),
        (".a..b.", "<=2Ea.=2Eb=2E@acme.example>"),
        ("", "<e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855@acme.example>"),
    ],
)
def test_a_message_id_says_which_errand_it_was(errand_id: str, expected: str) -> None:
    assert message_id(errand_id, "acme.example") == expected


def test_a_missing_authority_file_is_a_problem_that_names_the_setting() -> None:
    settings = EmailSettings.model_validate({"smtp_url": "smtps://mail.example?ca_file=/no/such.pem"})

    with pytest.raises(Problem, match="DUNNING_SMTP_URL: the ca_file cannot be used"):
        EmailChannel(settings, now=lambda: ORDERED_AT)
