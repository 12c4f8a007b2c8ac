"""An SMTP server that keeps what it gets and misbehaves on request. Real sockets, nothing mocked.

    async with MailServer() as server:
        server.next("RCPT", Say("451 4.7.1 later"))     # once, for the next RCPT
        server.always("END", Silence())                 # from now on
        ...
        assert server.mails[0].recipient == "jane@example.com"

Steps are the commands' names, and besides `CONNECT` (before the greeting), `BODY` (the first bytes after the 354) and
`END` (the final dot was read; the mail counts as kept unless the act refuses it).
"""

import asyncio
import base64
import contextlib
import ssl
import sys
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, cast

HOST = "127.0.0.1"
CERTIFICATE = Path(__file__).parent / "mail_server.pem"  # self-made, for localhost and 127.0.0.1; its key is no secret
_LINE_BYTES_MAX = 1000  # RFC 5321, 4.5.3.1.6; a longer line is refused, as some servers do
_EXTENSIONS = ("PIPELINING", "ENHANCEDSTATUSCODES")


@dataclass(frozen=True)
class Say:
    """Answer this instead of the usual."""

    answer: str


@dataclass(frozen=True)
class Silence:
    """Answer nothing, keep the connection open."""


@dataclass(frozen=True)
class Drop:
    """Close the connection instead of answering; after saying something, if given, without an end of line."""

    after: str | None = None


@dataclass(frozen=True)
class Late:
    """Answer as usual, but only after this time."""

    seconds: float


Act = Say | Silence | Drop | Late


@dataclass(frozen=True)
class KeptMail:
    """A mail as it came, without the dots that SMTP adds."""

    sender: str
    recipient: str
    content: bytes
    options: str
    encrypted: bool
    connection: int  # numbered from 1


@dataclass
class MailServer:
    """Listens while its block is open; `stop` and `start` in between keep the port."""

    starttls: bool = False
    implicit_tls: bool = False
    smtputf8: bool = False
    login: tuple[str, str] | None = None
    port: int = 0
    mails: list[KeptMail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # `RCPT TO:<…>`, of all connections, in order of arrival
    connections: int = 0
    open_connections: int = 0
    open_connections_highest: int = 0

    def __post_init__(self) -> None:
        self._next: defaultdict[str, deque[Act]] = defaultdict(deque)
        self._always: dict[str, Act] = {}
        self._server: asyncio.Server | None = None
        self._sessions: set[_Session] = set()
        self._news = asyncio.Event()

    def next(self, step: str, *acts: Act) -> None:
        """What to do at the next occurrences of a step, one each."""
        self._next[step].extend(acts)

    def always(self, step: str, act: Act | None) -> None:
        """What to do at a step from now on; None: behave again."""
        if act is None:
            self._always.pop(step, None)
        else:
            self._always[step] = act

    async def until(self, condition: Callable[[], bool], seconds_max: float = 5) -> None:
        """Wait for something to be true of what the server has seen."""
        async with asyncio.timeout(seconds_max):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def note(self) -> None:
        """Something happened: whoever waits in `until` looks again."""
        self._news.set()

    def act_at(self, step: str) -> Act | None:
        waiting = self._next[step]
        return waiting.popleft() if waiting else self._always.get(step)

    async def start(self) -> None:
        tls = server_tls() if self.implicit_tls else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Session(self), HOST, self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection, as a killed server would."""
        if self._server is not None:
            self._server.close()
            self._server = None
        sessions = tuple(self._sessions)
        for session in sessions:
            session.cut()
            session.task.cancel()
        await asyncio.gather(*(session.task for session in sessions), return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def server_tls() -> ssl.SSLContext:
    """The server's side of TLS, with the self-made certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    return context


class _Gone(Exception):
    """The connection is over."""


class _Session(asyncio.Protocol):
    """One connection. A protocol of its own, since it goes on across STARTTLS."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._over = False
        self._sender: tuple[str, str] | None = None
        self._recipient: str | None = None
        self.task: asyncio.Task[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        upgraded, self._transport = self._transport is not None, cast(asyncio.Transport, transport)
        if not upgraded:
            server = self._server
            server.connections += 1
            server.open_connections += 1
            server.open_connections_highest = max(server.open_connections_highest, server.open_connections)
            server._sessions.add(self)
            server.note()
            self._number = server.connections
            self.task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._news.set()
        self._server.open_connections -= 1
        self._server._sessions.discard(self)
        self._server.note()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def _encrypted(self) -> bool:
        return self._transport is not None and self._transport.get_extra_info("sslcontext") is not None

    async def _run(self) -> None:
        with contextlib.suppress(_Gone, ConnectionError, ssl.SSLError):
            await self._answer("CONNECT", "220 mail.test ESMTP")
            while True:
                line = (await self._line()).decode("utf-8", "replace")
                self._server.commands.append(line)
                self._server.note()
                await self._obey(line)

    async def _obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO":
                await self._answer("EHLO", self._greeting())
            case "STARTTLS" if self._server.starttls and not self._encrypted:
                await self._starttls()
            case "AUTH":
                await self._log_in(rest)
            case "MAIL":
                await self._mail(rest)
            case "RCPT":
                if (await self._answer("RCPT", "250 2.1.5 ok")).startswith("2"):
                    self._recipient = rest.removeprefix("TO:").strip("<> ")
            case "DATA":
                await self._data()
            case "RSET":
                self._sender = self._recipient = None
                await self._answer("RSET", "250 2.0.0 ok")
            case "QUIT":
                await self._answer("QUIT", "221 2.0.0 bye")
                self._close()
            case other:
                await self._answer(other, "500 5.5.1 what?")

    def _greeting(self) -> str:
        server = self._server
        offered = [*_EXTENSIONS]
        offered += ["STARTTLS"] if server.starttls and not self._encrypted else []
        offered += ["SMTPUTF8", "8BITMIME"] if server.smtputf8 else []
        offered += ["AUTH PLAIN"] if server.login else []
        return "\r\n".join(["250-mail.test", *(f"250-{name}" for name in offered[:-1]), f"250 {offered[-1]}"])

    async def _starttls(self) -> None:
        if not (await self._answer("STARTTLS", "220 2.0.0 go ahead")).startswith("2"):
            return
        assert self._transport is not None
        upgraded = await asyncio.get_running_loop().start_tls(self._transport, self, server_tls(), server_side=True)
        if upgraded is None:
            raise _Gone
        self._transport = upgraded

    async def _log_in(self, rest: str) -> None:
        sent = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
        right = self._server.login is not None and tuple(sent[1:]) == self._server.login
        await self._answer("AUTH", "235 2.7.0 welcome" if right else "535 5.7.8 no")

    async def _mail(self, rest: str) -> None:
        address, _, options = rest.removeprefix("FROM:").partition(" ")
        if (await self._answer("MAIL", "250 2.1.0 ok")).startswith("2"):
            self._sender = (address.strip("<>"), options)

    async def _data(self) -> None:
        if self._sender is None or self._recipient is None:
            await self._answer("DATA", "503 5.5.1 MAIL and RCPT first")
            return
        if not (await self._answer("DATA", "354 go on")).startswith("3"):
            return
        act = self._server.act_at("BODY")
        if act is not None:
            await self._news_or_gone()
            await self._perform(act, "")
        lines = []
        while (line := await self._line()) != b".":
            lines.append(line.removeprefix(b"."))
        sender, options = self._sender
        content = b"".join(line + b"\r\n" for line in lines)
        kept = KeptMail(sender, self._recipient, content, options, self._encrypted, self._number)
        self._sender = self._recipient = None
        usual = f"250 2.0.0 queued as {len(self._server.mails) + 1:08X} for <{kept.recipient}>"
        act = self._server.act_at("END")
        too_long = any(len(line) > _LINE_BYTES_MAX - 2 for line in lines)
        if too_long:
            act = Say("554 5.6.0 a line is too long")
        if not isinstance(act, Say) or act.answer.startswith("2"):
            self._server.mails.append(kept)
        self._server.note()
        await self._perform(act, usual)

    async def _answer(self, step: str, usual: str) -> str:
        return await self._perform(self._server.act_at(step), usual)

    async def _perform(self, act: Act | None, usual: str) -> str:
        """Do it; returns what was said."""
        match act:
            case Drop(after):
                if after is not None:
                    self._write(after, end="")
                self._close()
                raise _Gone
            case Silence():
                while True:
                    await self._news_or_gone()
                    self._buffer.clear()
            case Late(seconds):
                await asyncio.sleep(seconds)
            case Say(answer):
                self._write(answer)
                return answer
            case None:
                pass
        if usual:
            self._write(usual)
        return usual

    def _write(self, answer: str, end: str = "\r\n") -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(f"{answer}{end}".encode())

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            await self._news_or_gone()
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        return line.removesuffix(b"\r")

    async def _news_or_gone(self) -> None:
        self._news.clear()
        if not self._over:
            await self._news.wait()
        if self._over:
            raise _Gone


async def _serve_for_ever(port: int) -> None:
    async with MailServer(port=port, starttls=True, smtputf8=True) as server:
        print(f"listening on {HOST}:{server.port}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_for_ever(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
