"""A bounded set of connections, used again where the server lets us: a login per mail would be most of the work."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from dunning.runtime.problem import SETTING_WRONG, Problem
from notification_dispatcher.channels.settings import EmailSettings, SmtpServer
from notification_dispatcher.channels.smtp_connection import SmtpConnection, Unavailable, open_connection

_SECONDS_BUSY = 1


class SmtpPool:
    """Hands out one connection per mail. Never more than `smtp_connections_max` are open, idle ones included."""

    def __init__(self, server: SmtpServer, settings: EmailSettings) -> None:
        """Raises Problem when the server's `ca_file` cannot be used."""
        self._server = server
        self._settings = settings
        self._tls = _tls_context(server)
        self._free = asyncio.Semaphore(settings.smtp_connections_max)
        self._idle: list[tuple[SmtpConnection, asyncio.TimerHandle]] = []
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[SmtpConnection]:
        """A connection that is ready for MAIL, for the length of the block. Raises Unavailable.

        It is kept afterwards if it is still in order, whatever became of the mail.
        """
        try:
            async with asyncio.timeout(self._settings.smtp_connect_timeout_seconds):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable("smtp_all_connections_busy", _SECONDS_BUSY) from None
        try:
            connection = await self._used_one() or await self._new_one()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    async def close(self) -> None:
        """Say goodbye on the idle connections; those in use are closed when their mail is done."""
        self._closed = True
        idle, self._idle = self._idle, []
        for connection, expiry in idle:
            expiry.cancel()
            self._send_away(connection)
        await asyncio.gather(*self._farewells)

    async def _used_one(self) -> SmtpConnection | None:
        """The idle connection used last, if the server still answers on it.

        When one does not, the others are as old or older: all go, rather than waiting for each in turn.
        """
        while self._idle:
            connection, expiry = self._idle.pop()
            expiry.cancel()
            if not connection.is_usable:
                continue
            with contextlib.suppress(Unavailable):
                if (await connection.command(b"RSET")).code == 250:
                    return connection
            connection.abort()
            self._drop_idle()
        return None

    async def _new_one(self) -> SmtpConnection:
        settings = self._settings
        return await open_connection(
            self._server,
            self._tls,
            own_name=settings.own_domain,
            connect_timeout_seconds=settings.smtp_connect_timeout_seconds,
            command_timeout_seconds=settings.smtp_command_timeout_seconds,
        )

    def _give_back(self, connection: SmtpConnection) -> None:
        connection.mails += 1
        if not connection.is_usable:
            connection.abort()
        elif self._closed or connection.mails >= self._settings.smtp_mails_per_connection_max:
            self._send_away(connection)
        else:
            loop = asyncio.get_running_loop()
            expiry = loop.call_later(self._settings.smtp_idle_seconds_max, self._expire, connection)
            self._idle.append((connection, expiry))

    def _expire(self, connection: SmtpConnection) -> None:
        self._idle = [(other, expiry) for other, expiry in self._idle if other is not connection]
        self._send_away(connection)

    def _send_away(self, connection: SmtpConnection) -> None:
        """Say goodbye without making anybody wait for it."""
        farewell = asyncio.create_task(connection.leave())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    def _drop_idle(self) -> None:
        for connection, expiry in self._idle:
            expiry.cancel()
            connection.abort()
        self._idle.clear()


def _tls_context(server: SmtpServer) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:
        raise Problem(SETTING_WRONG, f"DUNNING_SMTP_URL: the ca_file cannot be used: {error}") from error
    if not server.checks_certificate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
