"""The email channel in conversation with a real, and often misbehaving, SMTP server."""

import asyncio
import email
import email.message
import email.policy
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from dunning.domain.decision import Postpone
from dunning.domain.events import ErrandReport
from notification_dispatcher.channels.email import EmailChannel
from notification_dispatcher.channels.settings import EmailSettings
from tests.mail_server import CERTIFICATE, Drop, KeptMail, Late, MailServer, Say, Silence
from tests.notice_orders import an_errand

ANSWERED_AT = datetime(2026, 10, 1, 10, 0, 5, tzinfo=UTC)
SETTINGS: dict[str, Any] = {
    "mail_sender_address": "billing@acme.example",
    "mail_sender_name": "Acme Billing",
    "mail_footer": "Acme GmbH",
}
IMPATIENT: dict[str, Any] = {
    "smtp_connect_timeout_seconds": 1,
    "smtp_command_timeout_seconds": 1,
    "smtp_answer_timeout_seconds": 1,
}


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


@asynccontextmanager
async def a_channel(server: MailServer, url: str | None = None, **settings: Any) -> AsyncIterator[EmailChannel]:
    """A channel towards this server; `{port}` in the URL is the server's."""
    filled = (url or "smtp://127.0.0.1:{port}").format(port=server.port, ca=CERTIFICATE)
    channel = EmailChannel(EmailSettings(smtp_url=SecretStr(filled), **(SETTINGS | settings)), now=lambda: ANSWERED_AT)
    try:
        yield channel
    finally:
        await channel.close()


async def sent(channel: EmailChannel, begin: Callable[[], Awaitable[bool]] = yes, **changes: Any) -> ErrandReport:
    """The report of an errand that must not be postponed."""
    answer = await channel.perform(an_errand(**changes), begin)
    assert isinstance(answer, ErrandReport), answer
    return answer


async def postponed(channel: EmailChannel, begin: Callable[[], Awaitable[bool]] = yes, **changes: Any) -> str:
    """The reason why an errand must be tried later."""
    answer = await channel.perform(an_errand(**changes), begin)
    assert isinstance(answer, Postpone), answer
    assert answer.seconds_min > 0
    return answer.reason


def _has_come_to(server: MailServer, step: str) -> bool:
    return bool(server.mails) if step == "END" else any(command.startswith(step) for command in server.commands)


def parsed(mail: KeptMail) -> email.message.EmailMessage:
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert message.defects == []
    return message


async def test_a_notice_arrives_as_a_mail_with_text_and_html() -> None:
    async with MailServer() as server, a_channel(server, mail_reply_to="help@acme.example") as channel:
        report = await sent(channel)

    (mail,) = server.mails
    message = parsed(mail)
    assert report == ErrandReport(
        event_id=report.event_id,
        account_id="acct_1",
        invoice_id="in_1",
        errand_id="5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11",
        outcome="accepted",
        at=ANSWERED_AT,
        provider="smtp",
        provider_message_id="2.0.0 queued as 00000001 for <…>",
    )
    assert (mail.sender, mail.recipient) == ("billing@acme.example", "jane@example.com")
    assert dict(message.items()) == {
        "From": "Acme Billing <billing@acme.example>",
        "To": "Jane Doe <jane@example.com>",
        "Reply-To": "help@acme.example",
        "Subject": "Your payment for invoice 2026-0017 did not go through",
        "Date": "Thu, 01 Oct 2026 10:00:00 +0000",
        "Message-ID": "<5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11@acme.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "en",
        "X-Dunning-Notice-Id": "5f0c8b1e-0d8b-5c50-9f0e-3f6f6d3f4a11",
        "X-Dunning-Case-Id": "0b1f7c52-7a61-5b8e-8f7e-6f2d5c3b2a10",
        "X-Dunning-Account": "acct_1",
        "X-Dunning-Invoice": "in_1",
        "X-Dunning-Rung": "payment_failed",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    text, html = (part.get_content() for part in message.iter_parts())
    assert "€1,234.50" in text
    assert "€1,234.50" in html


async def test_the_same_errand_makes_the_same_bytes() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        await sent(channel)
        await sent(channel)

    assert server.mails[0].content == server.mails[1].content
    assert server.mails[0].content.isascii()


async def test_what_was_withdrawn_in_the_last_moment_leaves_nothing_on_the_wire() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        report = await sent(channel, begin=no)

    assert report.outcome == "withdrawn"
    assert server.mails == []
    assert [command for command in server.commands if command[:4] in ("MAIL", "RCPT", "DATA")] == []


async def test_begin_is_asked_only_when_a_connection_is_ready() -> None:
    asked = []

    async def note() -> bool:
        asked.append("begin")
        return True

    async with MailServer() as server, a_channel(server) as channel:
        server.next("CONNECT", Say("421 4.3.2 too busy"))
        assert await postponed(channel, note) == "421 4.3.2"
        assert asked == []
        await sent(channel, note)
        assert asked == ["begin"]


async def test_a_begin_that_fails_costs_neither_the_mail_nor_the_connection() -> None:
    async def breaks() -> bool:
        raise RuntimeError("the database is gone")

    async with MailServer() as server, a_channel(server) as channel:
        with pytest.raises(RuntimeError):
            await channel.perform(an_errand(), breaks)
        assert server.mails == []
        assert (await sent(channel)).outcome == "accepted"
        assert server.connections == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("answer", ["421 4.3.2 closing", "450 4.2.0 greylisted", "451 later"])
async def test_a_server_that_says_later_is_asked_again_later(step: str, answer: str) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next(step, Say(answer))

        assert await postponed(channel) == " ".join(word for word in answer.split()[:2] if word[0].isdigit())
        assert server.mails == []
        assert (await sent(channel)).outcome == "accepted"
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("step", "answer", "reason", "permanent"),
    [
        ("RCPT", "550 5.1.1 <jane@example.com> unknown", "550 5.1.1", True),
        ("RCPT", "550 no such user", "550", True),
        ("RCPT", "551 not here", "551", True),
        ("RCPT", "553 bad name", "553", True),
        ("RCPT", "554 5.1.6 moved", "554 5.1.6", True),
        ("RCPT", "550 5.2.1 disabled", "550 5.2.1", True),
        ("RCPT", "552 5.2.2 mailbox full", "552 5.2.2", False),
        ("RCPT", "550 5.7.1 we do not relay for you", "550 5.7.1", False),
        ("RCPT", "550 5.1.8 sender's domain not found", "550 5.1.8", False),
        ("RCPT", "554 no", "554", False),
        ("MAIL", "550 5.1.8 sender unknown", "550 5.1.8", False),
        ("MAIL", "553 5.1.7 bad sender", "553 5.1.7", False),
        ("DATA", "554 5.5.1 no", "554 5.5.1", False),
        ("END", "550 5.7.1 looks like spam", "550 5.7.1", False),
        ("END", "550 5.1.1 unknown after all", "550 5.1.1", False),
    ],
)
async def test_a_server_that_says_no_for_good_is_a_bounce(step: str, answer: str, reason: str, permanent: bool) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next(step, Say(answer))
        report = await sent(channel)

        assert (report.outcome, report.reason, report.permanent) == ("bounced", reason, permanent)
        assert server.mails == []
        assert (await sent(channel)).outcome == "accepted"
        assert server.connections == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_wants_a_login_first_bounces_nobody(step: str) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next(step, Say("530 5.7.0 authentication required"))

        assert await postponed(channel) == "530 5.7.0"


@pytest.mark.parametrize("step", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(("act", "reason"), [(Silence(), "smtp_timed_out"), (Drop(), "smtp_connection_lost")])
async def test_trouble_before_the_mail_was_handed_over_surely_reached_nobody(
    step: str, act: Silence | Drop, reason: str
) -> None:
    async with MailServer() as server, a_channel(server, **IMPATIENT) as channel:
        server.next(step, act)

        expected = "smtp_unreachable" if (step, reason) == ("CONNECT", "smtp_connection_lost") else reason
        assert await postponed(channel) == expected
        assert server.mails == []
        assert (await sent(channel)).outcome == "accepted"
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (Silence(), "smtp_timed_out"),
        (Drop(), "smtp_connection_lost"),
        (Drop(after="250 2.0.0 queu"), "smtp_connection_lost"),
        (Say("bonjour"), "smtp_answer_unreadable"),
        (Say("354 more please"), "354"),
    ],
)
async def test_no_answer_after_the_final_dot_is_unknown(act: Silence | Drop | Say, reason: str) -> None:
    async with MailServer() as server, a_channel(server, **IMPATIENT) as channel:
        server.next("END", act)
        report = await sent(channel)

        assert (report.outcome, report.reason) == ("unknown", reason)
        assert (await sent(channel)).outcome == "accepted"


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
async def test_an_answer_that_comes_twice_is_never_taken_for_that_of_the_next_mail(step: str) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next(step, Say("354 hm\r\n250 2.0.0 ok" if step != "DATA" else "250 hm\r\n354 go on"))
        await channel.perform(an_errand(), yes)
        server.next("RCPT", Say("550 5.1.1 unknown"))

        assert (await sent(channel)).outcome == "bounced"
        assert server.connections == 2


async def test_a_server_that_is_killed_while_we_wait_for_its_answer_is_unknown() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next("END", Silence())
        under_way = asyncio.create_task(sent(channel))
        await server.until(lambda: bool(server.mails))
        await server.stop()

        assert ((await under_way).outcome, under_way.result().reason) == ("unknown", "smtp_connection_lost")


async def test_a_server_that_dies_in_the_middle_of_the_mail_is_never_taken_for_acceptance() -> None:
    """Whether the dot was on its way already is a race; that both answers are honest is not."""
    async with MailServer() as server, a_channel(server) as channel:
        server.next("BODY", Drop())
        answer = await channel.perform(an_errand(), yes)

        assert isinstance(answer, Postpone) or answer.outcome == "unknown"
        assert server.mails == []


async def test_a_slow_greeting_is_waited_for_and_a_very_slow_one_is_not() -> None:
    async with MailServer() as server, a_channel(server, **IMPATIENT) as channel:
        server.next("CONNECT", Late(0.2), Late(60))
        assert (await sent(channel)).outcome == "accepted"

        await server.stop()
        await server.start()
        began = time.monotonic()
        assert await postponed(channel) == "smtp_timed_out"
        assert time.monotonic() - began < 10


async def test_a_stopped_server_postpones_and_a_started_one_gets_the_mail() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        await sent(channel)
        await server.stop()
        assert await postponed(channel) == "smtp_unreachable"
        await server.start()
        assert (await sent(channel)).outcome == "accepted"
    assert len(server.mails) == 2


async def test_one_connection_carries_many_mails_with_a_reset_in_between() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        for number in range(5):
            await sent(channel, errand_id=f"e{number}")

    assert server.connections == 1
    assert server.commands.count("RSET") == 4
    assert [parsed(mail)["Message-ID"] for mail in server.mails] == [f"<e{number}@acme.example>" for number in range(5)]
    assert server.commands[-1] == "QUIT"


async def test_never_more_connections_than_allowed_however_many_mails() -> None:
    async with (
        MailServer() as server,
        a_channel(server, smtp_connections_max=3) as channel,
    ):
        server.always("DATA", Late(0.02))
        reports = await asyncio.gather(*(sent(channel, errand_id=f"e{number}") for number in range(30)))

    assert {report.outcome for report in reports} == {"accepted"}
    assert len(server.mails) == 30
    assert server.open_connections_highest == 3


async def test_whoever_waits_too_long_for_a_connection_comes_back_later() -> None:
    async with (
        MailServer() as server,
        a_channel(server, smtp_connections_max=1, smtp_connect_timeout_seconds=0.5) as channel,
    ):
        server.next("END", Late(1.5))
        first = asyncio.create_task(sent(channel))
        await server.until(lambda: bool(server.mails))

        assert await postponed(channel) == "smtp_all_connections_busy"
        assert (await first).outcome == "accepted"


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced_unnoticed() -> None:
    async with MailServer() as server, a_channel(server, **IMPATIENT) as channel:
        await sent(channel)
        await server.stop()
        await server.start()
        assert (await sent(channel)).outcome == "accepted"
        server.next("RSET", Silence(), Drop(), Say("421 4.4.2 idle too long"))
        for _ in range(3):
            assert (await sent(channel)).outcome == "accepted"

    assert server.connections == 5
    assert len(server.mails) == 5


async def test_a_connection_is_retired_after_its_share_of_mails_and_when_idle() -> None:
    async with (
        MailServer() as server,
        a_channel(server, smtp_mails_per_connection_max=2, smtp_idle_seconds_max=0.05) as channel,
    ):
        for number in range(4):
            await sent(channel, errand_id=f"e{number}")
        assert server.connections == 2
        await sent(channel)
        await server.until(lambda: server.open_connections == 0)
    assert server.connections == 3
    assert server.commands.count("QUIT") == 3


async def test_a_worker_that_is_cut_off_in_mid_mail_leaves_no_half_mail_to_the_next() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        for step in ("MAIL", "RCPT", "DATA", "END"):
            server.next(step, Silence())
            server.commands.clear()
            cut_off = asyncio.create_task(channel.perform(an_errand(), yes))
            await server.until(partial(_has_come_to, server, step))
            cut_off.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cut_off
            server.mails.clear()

            assert (await sent(channel, address="other@example.com")).outcome == "accepted"
            assert [mail.recipient for mail in server.mails] == ["other@example.com"]
            server.mails.clear()


async def test_starttls_is_used_where_it_is_offered() -> None:
    async with MailServer(starttls=True) as server, a_channel(server) as channel:
        await sent(channel)
        await sent(channel)
    assert [mail.encrypted for mail in server.mails] == [True, True]
    assert server.connections == 1

    async with MailServer(starttls=False) as server, a_channel(server) as channel:
        await sent(channel)
    assert [mail.encrypted for mail in server.mails] == [False]


async def test_encryption_that_is_demanded_is_proven_or_nothing_is_sent() -> None:
    async with MailServer(starttls=True) as server:
        async with a_channel(server, "smtp://127.0.0.1:{port}?starttls=always") as channel:
            assert await postponed(channel) == "smtp_tls_failed"
        async with a_channel(server, "smtp://127.0.0.1:{port}?starttls=always&ca_file={ca}") as channel:
            await sent(channel)
        async with a_channel(server, "smtp://127.0.0.1:{port}?starttls=never") as channel:
            await sent(channel)
    assert [mail.encrypted for mail in server.mails] == [True, False]


async def test_encryption_that_is_demanded_and_not_offered_sends_nothing() -> None:
    url = "smtp://127.0.0.1:{port}?starttls=always&ca_file={ca}"
    async with MailServer(starttls=False) as server, a_channel(server, url) as channel:
        assert await postponed(channel) == "smtp_starttls_missing"
    assert server.mails == []


async def test_smtps_is_encrypted_from_the_first_byte_and_proven() -> None:
    async with MailServer(implicit_tls=True) as server:
        async with a_channel(server, "smtps://127.0.0.1:{port}") as channel:
            assert await postponed(channel) == "smtp_tls_failed"
        async with a_channel(server, "smtps://localhost:{port}?ca_file={ca}") as channel:
            await sent(channel)
    assert [mail.encrypted for mail in server.mails] == [True]


async def test_a_password_goes_only_through_proven_encryption_unless_that_is_forbidden() -> None:
    login = ("jane doe", "p@ss:w/rd")
    url = "smtp://jane%20doe:p%40ss%3Aw%2Frd@127.0.0.1:{port}"
    async with MailServer(starttls=True, login=login) as server:
        async with a_channel(server, f"{url}?starttls=auto") as channel:
            assert await postponed(channel) == "smtp_tls_failed"
        async with a_channel(server, f"{url}?ca_file={{ca}}") as channel:
            await sent(channel)
        assert [mail.encrypted for mail in server.mails] == [True]
        async with a_channel(server, f"{url.replace('p%40ss', 'wrong')}?ca_file={{ca}}") as channel:
            assert await postponed(channel) == "smtp_login_refused"

    async with MailServer(starttls=False, login=login) as server:
        for option in ("?starttls=auto", "?starttls=always", ""):
            async with a_channel(server, url + option) as channel:
                assert await postponed(channel) == "smtp_starttls_missing"
        assert not any(line.startswith("AUTH") for line in server.commands)
        async with a_channel(server, f"{url}?starttls=never") as channel:
            await sent(channel)


@pytest.mark.parametrize(
    "address",
    [
        "jane",
        "",
        "@example.com",
        "jane@",
        "jane doe@example.com",
        "jane@exam ple.com",
        "jane@example.com\r\nRCPT TO:<evil@example.com>",
        "jane@example.com>\r\nDATA",
        "jane@example.com, evil@example.com",
        "<jane@example.com>",
        "jane..doe@example.com",
        ".jane@example.com",
        "jane@-example.com",
        "jane@example..com",
        "jane\u202e@example.com",
        "x" * 65 + "@example.com",
        "jane@" + "x" * 64 + ".com",
    ],
)
async def test_an_address_that_no_server_takes_is_a_bounce_without_a_connection(address: str) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        report = await sent(channel, address=address)
        assert (report.outcome, report.reason, report.permanent) == ("bounced", "address_invalid", True)
        assert (await sent(channel, begin=no, address=address)).outcome == "withdrawn"
    assert server.connections == 0


async def test_a_notice_that_cannot_be_written_has_failed_without_a_connection() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        report = await sent(channel, template="no_such_template")
        assert (report.outcome, report.reason) == ("failed", "no template 'no_such_template'")
        broken = an_errand()
        del broken.payload["amount_minor"]
        answer = await channel.perform(broken, yes)
        assert isinstance(answer, ErrandReport)
        assert (answer.outcome, answer.reason) == (
            "failed",
            "not a notice order: Object missing required field `amount_minor`",
        )
    assert server.connections == 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Jane\r\nBcc: evil@example.com", "Jane Bcc: evil@example.com"),
        ("Jane\nSubject: gone", "Jane Subject: gone"),
        ('Jane "JD" Doe, <evil@example.com>', 'Jane "JD" Doe, <evil@example.com>'),
        ("Müller, Jürgen", "Müller, Jürgen"),
        ("山田太郎" * 12, "山田太郎" * 12),
        ("=?utf-8?q?evil=0ABcc:_x?=", "=?utf-8?q?evil=0ABcc:_x?="),
        ("Jane\x00\x1b[31m\u2028Doe", "Jane [31m Doe"),
        ("Jane\\", "Jane\\"),
        ("🦄", "🦄"),
    ],
)
async def test_a_name_is_only_ever_a_name(name: str, shown: str) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        await sent(channel, customer_name=name, invoice_number=name, rung=name, case_id=name)

    (mail,) = server.mails
    message = parsed(mail)
    (to,) = message["To"].addresses
    assert (to.display_name.replace(" ", ""), to.addr_spec) == (shown.replace(" ", ""), "jane@example.com")
    assert message["Bcc"] is None
    assert len(message.get_all("Subject", [])) == 1
    assert len(message.keys()) == 14
    assert max(map(len, mail.content.splitlines())) <= 78


async def test_a_name_of_endless_length_and_a_very_long_link_keep_lines_short() -> None:
    link = "https://pay.example.com/" + "x" * 1900
    async with MailServer() as server, a_channel(server, mail_footer="y" * 5000) as channel:
        await sent(channel, customer_name="n" * 100_000, invoice_number="i" * 100_000, update_payment_url=link)

    (mail,) = server.mails
    assert max(map(len, mail.content.splitlines())) <= 78
    body = parsed(mail).get_body(("plain",))
    assert body is not None
    assert link in body.get_content()


async def test_lines_that_begin_with_a_dot_arrive_as_they_were() -> None:
    async with MailServer() as server, a_channel(server, mail_footer=".\n..two\n. three") as channel:
        await sent(channel)

    body = parsed(server.mails[0]).get_body(("plain",))
    assert body is not None
    assert "\n----\n.\n..two\n. three\nTo receive no more" in body.get_content().replace("\r\n", "\n")


async def test_an_address_in_another_script_reaches_a_server_that_speaks_it() -> None:
    async with MailServer(smtputf8=True) as server, a_channel(server) as channel:
        await sent(channel, address="jürgen@bücher.example")
        await sent(channel, address="jane@straße.example")

    assert [mail.recipient for mail in server.mails] == ["jürgen@xn--bcher-kva.example", "jane@xn--strae-oqa.example"]
    assert ["SMTPUTF8" in mail.options for mail in server.mails] == [True, False]
    assert "jürgen@xn--bcher-kva.example".encode() in server.mails[0].content


async def test_an_address_in_another_script_bounces_where_nobody_speaks_it() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        report = await sent(channel, address="jürgen@example.com")
        assert (report.outcome, report.reason, report.permanent) == ("bounced", "smtputf8_not_offered", False)
        assert (await sent(channel)).outcome == "accepted"
    assert len(server.mails) == 1


async def test_a_report_tells_no_address() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next("END", Say("250 2.0.0 <JANE@example.com> queued\r\nas 42"))
        server.next("RCPT", Say("250 ok"), Say("550 5.1.1 jane@example.com is unknown"))
        reports = [await sent(channel), await sent(channel)]

    assert [report.outcome for report in reports][1] == "bounced"
    assert "jane" not in repr(reports).lower()


async def test_what_waited_into_quiet_hours_is_not_sent() -> None:
    async with MailServer() as server, a_channel(server) as channel:
        report = await sent(channel, closes_at=ANSWERED_AT)
        assert (await sent(channel, closes_at=ANSWERED_AT + timedelta(seconds=1))).outcome == "accepted"

    assert report.outcome == "too_late"
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("answer", "refused"),
    [("421 4.3.2 closing", False), ("452 4.3.1 full", False), ("530 5.7.0 log in", False), ("452 4.2.2 full", True)],
)
async def test_only_what_is_about_the_mail_counts_against_it(answer: str, refused: bool) -> None:
    async with MailServer() as server, a_channel(server) as channel:
        server.next("RCPT", Say(answer))
        answered = await channel.perform(an_errand(), yes)
    assert isinstance(answered, Postpone)
    assert answered.refused is refused


async def test_a_server_that_is_away_refuses_nothing() -> None:
    async with MailServer() as server:
        gone = server.port
    async with a_channel(server, url=f"smtp://127.0.0.1:{gone}") as channel:
        answered = await channel.perform(an_errand(), yes)
    assert isinstance(answered, Postpone)
    assert answered.refused is False
