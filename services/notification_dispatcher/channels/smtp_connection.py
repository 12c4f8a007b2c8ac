"""One connection to the SMTP server, and what can go wrong with it.

The library's own `sendmail` cannot say whether a connection died before or after the server could have taken the mail.
That is the one thing a sender of dunning letters must know, so the exchanges are made one by one here.
"""

import asyncio
import re
import ssl
from typing import cast

import aiosmtplib

from notification_dispatcher.channels.settings import SmtpServer, StartTls
from notification_dispatcher.channels.smtp_answers import Answer

_LINE_BEGINNING_WITH_DOT = re.compile(rb"(?m)^\.")
_SECONDS_UNREACHABLE = 5
_SECONDS_SILENT = 15
_SECONDS_UNTIL_SOMEBODY_MENDED_IT = 60


class Unavailable(Exception):
    """No connection to be had, or it broke while nothing could have been accepted yet: try again later."""

    def __init__(self, reason: str, seconds_min: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds_min = seconds_min


class AnswerLost(Exception):
    """The whole mail was handed over and the answer did not come: nobody can know whether it was accepted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SmtpConnection:
    """An open, greeted, encrypted and logged-in connection."""

    def __init__(self, smtp: aiosmtplib.SMTP, command_timeout_seconds: float) -> None:
        assert smtp.transport is not None
        assert smtp.protocol is not None
        self.mails = 0
        self._smtp = smtp
        self._protocol = smtp.protocol
        self._command_timeout_seconds = command_timeout_seconds
        self._between_commands = True
        transport = cast(asyncio.WriteTransport, smtp.transport)  # uvloop's are no subclasses
        transport.set_write_buffer_limits(high=1, low=0)  # so that `drain` means: handed to the operating system
        self._writer = asyncio.StreamWriter(transport, self._protocol, None, asyncio.get_running_loop())

    @property
    def is_usable(self) -> bool:
        """Open, and not torn out of an exchange whose answer may still come."""
        return self._between_commands and self._smtp.is_connected

    def offers(self, extension: str) -> bool:
        """Whether the server has this extension."""
        return self._smtp.supports_extension(extension)

    async def command(self, *words: bytes) -> Answer:
        """Say something and hear the answer. Raises Unavailable when the connection breaks."""
        self._between_commands = False
        try:
            code, text = await self._smtp.execute_command(*words, timeout=self._command_timeout_seconds)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.abort()
            raise _broken(error) from error
        self._between_commands = _ends_an_exchange(code)
        return Answer(code, text)

    async def hand_over(self, mail: bytes, answer_timeout_seconds: float) -> Answer:
        """Send the mail after the server said 354.

        Raises Unavailable when the connection broke before the final dot was written, so that no server can have
        accepted the mail; AnswerLost when it broke or stayed silent afterwards.
        """
        self._between_commands = False
        try:
            async with asyncio.timeout(self._command_timeout_seconds):
                self._protocol.write(_LINE_BEGINNING_WITH_DOT.sub(b"..", mail))
                await self._writer.drain()
            self._protocol.write(b".\r\n")
        except (aiosmtplib.SMTPException, OSError) as error:
            self.abort()
            raise _broken(error) from error
        try:
            code, text = await self._protocol.read_response(timeout=answer_timeout_seconds)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.abort()
            raise AnswerLost(_broken(error).reason) from error
        self._between_commands = _ends_an_exchange(code)
        return Answer(code, text)

    async def leave(self) -> None:
        """Say goodbye if the server listens, and close."""
        try:
            if self.is_usable:
                await self._smtp.quit(timeout=1)
        except (aiosmtplib.SMTPException, OSError):
            pass  # it is closed below either way, and nothing of ours depends on the goodbye
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once; what the server has not got by now it does not get."""
        if self._smtp.transport is not None:
            cast(asyncio.WriteTransport, self._smtp.transport).abort()
        self._smtp.close()


async def open_connection(
    server: SmtpServer,
    tls: ssl.SSLContext,
    own_name: str,
    connect_timeout_seconds: float,
    command_timeout_seconds: float,
) -> SmtpConnection:
    """Connect, greet, encrypt as the server's settings say, log in. Raises Unavailable."""
    smtp = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.implicit_tls,
        start_tls=False,
        tls_context=tls,
        local_hostname=own_name,
        timeout=connect_timeout_seconds,
    )
    try:
        async with asyncio.timeout(connect_timeout_seconds):
            await smtp.connect()
            await _greet(smtp)
            await _encrypt(smtp, server)
            if server.username is not None:
                await _log_in(smtp, server)
        return SmtpConnection(smtp, command_timeout_seconds)
    except (aiosmtplib.SMTPException, OSError) as error:
        smtp.close()
        raise _broken(error) from error
    except BaseException:
        smtp.close()
        raise


async def _greet(smtp: aiosmtplib.SMTP) -> None:
    try:
        await smtp.ehlo()
    except aiosmtplib.SMTPHeloError:
        await smtp.helo()


async def _encrypt(smtp: aiosmtplib.SMTP, server: SmtpServer) -> None:
    if server.implicit_tls or server.starttls is StartTls.NEVER:
        return
    if smtp.supports_extension("starttls"):
        await smtp.starttls()
        await _greet(smtp)
    elif server.starttls is StartTls.ALWAYS or server.username is not None:
        raise Unavailable("smtp_starttls_missing", _SECONDS_UNTIL_SOMEBODY_MENDED_IT)


async def _log_in(smtp: aiosmtplib.SMTP, server: SmtpServer) -> None:
    try:
        await smtp.login(server.username or "", server.password or "")
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError):
        raise
    except aiosmtplib.SMTPException as error:
        raise Unavailable("smtp_login_refused", _SECONDS_UNTIL_SOMEBODY_MENDED_IT) from error


def _ends_an_exchange(code: int) -> bool:
    """Whether the connection may be used again after this answer.

    421 says that it is closing. What is not an answer at all could be followed by the real one, which the next mail
    would then take for its own.
    """
    return code // 100 in (2, 4, 5) and code != 421


def _broken(error: Exception) -> Unavailable:
    """The trouble in one word for the log and a metric."""
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return Unavailable("smtp_tls_failed", _SECONDS_UNTIL_SOMEBODY_MENDED_IT)
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
        return Unavailable(Answer(error.code, error.message).status, _SECONDS_SILENT)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return Unavailable("smtp_answer_unreadable", _SECONDS_SILENT)
    if isinstance(error, TimeoutError):
        return Unavailable("smtp_timed_out", _SECONDS_SILENT)
    if isinstance(error, aiosmtplib.SMTPConnectError | ConnectionRefusedError):
        return Unavailable("smtp_unreachable", _SECONDS_UNREACHABLE)
    return Unavailable("smtp_connection_lost", _SECONDS_UNREACHABLE)
