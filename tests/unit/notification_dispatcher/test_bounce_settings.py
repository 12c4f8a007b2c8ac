"""How the service is told where bounces come to."""

from typing import Any

import pytest

from dunning.runtime.problem import Problem
from dunning.runtime.settings import load_settings, shown
from notification_dispatcher.bounces.settings import ImapServer
from notification_dispatcher.settings import DispatcherSettings

NEEDED: dict[str, Any] = {"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": "postgresql://x@127.0.0.1/x"}


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("imaps://me:p%40ss@mail.example", ImapServer("mail.example", 993, "me", "p@ss")),
        ("imaps://me:x@mail.example:1993/Bounces", ImapServer("mail.example", 1993, "me", "x", "Bounces")),
        ("imaps://me:x@mail.example/INBOX/Bounces", ImapServer("mail.example", 993, "me", "x", "INBOX/Bounces")),
        (
            "imaps://me%40acme.example:x@mail.example/?ca_file=/etc/own.pem",
            ImapServer("mail.example", 993, "me@acme.example", "x", ca_file="/etc/own.pem"),
        ),
        ("imap://me:x@127.0.0.1:1143/INBOX", ImapServer("127.0.0.1", 1143, "me", "x", encrypted=False)),
        ("imap://me:x@localhost", ImapServer("localhost", 143, "me", "x", encrypted=False)),
    ],
)
def test_a_url_says_where_and_how(url: str, server: ImapServer) -> None:
    assert ImapServer.from_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "https://me:hunter2@mail.example",
        "imaps://me:hunter2@mail.example:no",
        "imaps://me@mail.example",
        "imaps://mail.example",
        "imap://me:hunter2@mail.example",
        "imaps://me:hunter2@mail.example?tls=no",
        "imaps://me:hunter2%0D%0A@mail.example",
    ],
)
def test_a_wrong_url_is_told_without_the_password(url: str) -> None:
    with pytest.raises(Problem, match="DUNNING_BOUNCE_IMAP_URL") as told:
        load_settings(DispatcherSettings, **NEEDED, bounce_imap_url=url)

    assert "hunter2" not in str(told.value)


def test_the_password_is_not_printed() -> None:
    settings = load_settings(DispatcherSettings, **NEEDED, bounce_imap_url="imaps://me:hunter2@mail.example/INBOX")

    printed = shown(settings)
    assert "DUNNING_BOUNCE_IMAP_URL=imaps://me:***@mail.example/INBOX" in printed
    assert "hunter2" not in printed
