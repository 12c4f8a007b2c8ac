"""What a mail in the box for bounces is taken for (rule 30)."""

import random
from datetime import UTC, datetime

import pytest

from dunning.domain.words import Channel
from notification_dispatcher.bounces.report import Aside, Bounce, read_bounce
from notification_dispatcher.bounces.telling import signal_of
from notification_dispatcher.channels import notice_headers
from tests.bounce_mails import NOTICE_ID, RECIPIENT, RETURNED, crlf, exchange, postfix, recipient, vacation

OURS = "acme.example"
BOUNCE = Bounce(
    notice_id=NOTICE_ID,
    account_id="acct/1 ü",
    invoice_id="in_1",
    rung="payment_failed",
    at=datetime(2026, 10, 1, 10, 0, 4, 999_999, tzinfo=UTC),
    permanent=True,
)


def without(header: str) -> str:
    return "".join(line for line in RETURNED.splitlines(keepends=True) if not line.startswith(header))


@pytest.mark.parametrize("returned_type", ["message/rfc822", "text/rfc822-headers", "message/global-headers"])
def test_a_bounce_says_which_notice_it_is(returned_type: str) -> None:
    assert read_bounce(postfix(returned_type=returned_type), OURS) == BOUNCE


def test_line_ends_and_a_missing_end_do_not_matter() -> None:
    mail = postfix()

    assert read_bounce(mail.replace(b"\r\n", b"\n"), OURS) == BOUNCE
    assert read_bounce(mail[: mail.rindex(b"X-Dunning-Rung: payment_failed") + 32], OURS) == BOUNCE


def test_exchange_leaves_out_half_of_it() -> None:
    found = read_bounce(exchange(with_headers=True), OURS)

    assert isinstance(found, Bounce)
    assert (found.notice_id, found.permanent) == (NOTICE_ID, True)
    assert found.at == datetime(2026, 10, 1, 10, 0, 9, 999_999, tzinfo=UTC)
    assert read_bounce(exchange(with_headers=False), OURS) is Aside.INCOMPLETE


@pytest.mark.parametrize(
    ("status", "diagnostic", "permanent"),
    [
        ("5.1.1", "", True),
        ("5.1.10", "", True),
        ("5.1.2", "", True),  # a domain that is not there
        ("5.2.1", "", True),
        ("5.0.0", "", True),
        ("5.0.0", "smtp; 550 no such user", True),
        ("5.0.0", "smtp;550-5.1.1 The email account does not exist", True),
        ("5.0.0", "smtp; 554 5.7.1 blocked by policy", False),
        ("5.2.2", "", False),  # full
        ("5.7.1", "smtp; 550 5.7.1 your address is listed", False),
        ("5.1.8", "", False),  # the sender
        ("4.4.7", "", False),  # given up after days
        ("", "", False),
    ],
)
def test_only_what_is_about_the_address_is_permanent(status: str, diagnostic: str, permanent: bool) -> None:
    found = read_bounce(postfix(recipient("failed", status, diagnostic)), OURS)

    assert isinstance(found, Bounce)
    assert found.permanent is permanent


def test_a_list_behind_the_address_is_dead_when_all_of_its_readers_are() -> None:
    dead, full = recipient(status="5.1.1"), recipient(status="5.2.2")

    both = read_bounce(postfix(f"{dead}\n{dead}"), OURS)
    one = read_bounce(postfix(f"{dead}\n{full}"), OURS)
    assert isinstance(both, Bounce)
    assert isinstance(one, Bounce)
    assert (both.permanent, one.permanent) == (True, False)


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded", "Delayed (still trying)"])
def test_a_mail_that_was_not_given_up_is_no_bounce(action: str) -> None:
    assert read_bounce(postfix(recipient(action, "4.4.1")), OURS) is Aside.DELAYED


FOREIGN = """\
From: colleague@acme.example
To: jane@example.com
Message-ID: <CAF=abc@acme.example>
Subject: lunch
"""


@pytest.mark.parametrize(
    ("mail", "aside"),
    [
        (vacation(), Aside.NO_REPORT),
        (b"", Aside.NO_REPORT),
        (b"\r\n\r\nhello", Aside.NO_REPORT),
        (postfix().replace(b"report-type=delivery-status", b"report-type=disposition-notification"), Aside.NO_REPORT),
        (postfix().replace(b"message/delivery-status", b"text/plain"), Aside.NO_REPORT),
        (postfix(returned=FOREIGN), Aside.FOREIGN),
        (postfix(returned=FOREIGN.replace("CAF=abc@acme.example", f"{NOTICE_ID}@other.example")), Aside.FOREIGN),
        (postfix(returned=RETURNED.replace(f"Id: {NOTICE_ID}", f"Id: {NOTICE_ID[:-1]}2")), Aside.FOREIGN),
        (postfix(returned=without("X-Dunning")), Aside.INCOMPLETE),
        (postfix(returned=without("X-Dunning-Account")), Aside.INCOMPLETE),
        (postfix(returned=without("X-Dunning-Invoice")), Aside.INCOMPLETE),
        (postfix(returned=RETURNED.replace("acct%2F1", "%FF")), Aside.INCOMPLETE),
        (postfix().replace(b"Date: ", b"X-Date: ").replace(b"Received: ", b"X-Received: "), Aside.INCOMPLETE),
        (postfix().replace(b'boundary="', b'border="'), Aside.GARBLED),
        (b"X" * 100_000, Aside.GARBLED),
    ],
)
def test_everything_else_is_set_aside(mail: bytes, aside: Aside) -> None:
    assert read_bounce(mail, OURS) is aside


def test_a_provider_that_writes_message_ids_of_its_own_changes_nothing() -> None:
    returned = RETURNED.replace(f"<{NOTICE_ID}@acme.example>", "<0100018f@eu-west-1.amazonses.example>")

    assert read_bounce(postfix(returned=returned), OURS) == BOUNCE


def test_what_is_nested_without_end_is_looked_at_on_one_level() -> None:
    def nested(depth: int) -> str:
        opened = (f"Content-Type: multipart/report; boundary=b{n}\n\n--b{n}\n" for n in range(depth))
        return "".join(opened) + "Content-Type: message/delivery-status\n\n" + RECIPIENT

    assert read_bounce(crlf(nested(20_000)), OURS) is Aside.NO_REPORT
    many = "Content-Type: multipart/report; boundary=b\n\n" + "--b\n\n" * 100_000
    assert read_bounce(crlf(many), OURS) is Aside.GARBLED


def test_no_broken_mail_breaks_the_reader() -> None:
    chance, mails = random.Random(30), [postfix(), exchange(with_headers=True)]
    for _ in range(3000):
        mail = bytearray(chance.choice(mails))
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(mail))
            mail[at : at + chance.randint(0, 8)] = chance.choice(
                [
                    b"\xff",
                    b"\n",
                    b"\r\n\r\n",
                    b":",
                    b";",
                    b"=?x?b?",
                    b"%",
                    b"\0",
                    b'"',
                    b"9999999999",
                    b"=?utf-8?q?=ff?=",
                ]
            )
        found = read_bounce(bytes(mail), OURS)
        if isinstance(found, Bounce):
            signal_of(found)


def test_the_signal_is_made_of_the_mail_alone() -> None:
    first, again = signal_of(BOUNCE), signal_of(BOUNCE)

    assert first == again
    assert first is not None
    assert (first.kind, first.account_id, first.invoice_id, first.rung) == (
        "notice.bounced",
        "acct/1 ü",
        "in_1",
        "payment_failed",
    )
    assert (first.notice_id, first.channel, first.permanent, first.at) == (NOTICE_ID, Channel.EMAIL, True, BOUNCE.at)


def test_what_the_contracts_forbid_becomes_no_signal() -> None:
    found = read_bounce(postfix(returned=RETURNED.replace("in_1", "in%00")), OURS)

    assert isinstance(found, Bounce)
    assert signal_of(found) is None


@pytest.mark.parametrize("identifier", ["acct_1", "a b/c", "ü" * 200, "😀" * 200, "=?utf-8?q?x?=", 'x"\r\nBcc: a@b'])
def test_any_id_survives_a_header(identifier: str) -> None:
    value = notice_headers.encoded(identifier)

    assert value is not None
    assert value.isascii()
    assert all(len(line) <= 51 for line in value.split("\r\n"))
    assert notice_headers.decoded(value) == identifier
    assert notice_headers.decoded(value.replace("\r\n ", " ")) == identifier


def test_an_id_that_no_contract_allows_has_no_header() -> None:
    assert notice_headers.encoded("") is None
    assert notice_headers.encoded("x" * 2401) is None
