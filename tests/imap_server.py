"""An IMAP server that holds one mailbox and knows what a reader of bounces asks. Real sockets, nothing mocked.

    async with ImapMailbox() as mailbox:
        mailbox.put(mail)
        ...
        assert mailbox.seen == {1}

As on a real server mails have numbers that only grow, and what is in them is told in pieces of the size asked for.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.mail_server import HOST, server_tls

_COMMAND = re.compile(rb"(\S+) (?:UID )?(\w+) ?(.*)")


@dataclass
class ImapMailbox:
    """Listens while its block is open; `stop` and `start` in between keep the port."""

    login: tuple[str, str] = ("bounces@acme.example", 'pass"word')
    implicit_tls: bool = False
    silent_at: str = ""  # a command that gets no answer
    port: int = 0
    validity: int = 7
    mails: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    fetched: list[int] = field(default_factory=list)  # whole mails, in the order in which they were asked for
    logins: int = 0

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def put(self, mail: bytes, number: int | None = None) -> None:
        """A mail comes in."""
        self.mails[number or max(self.mails, default=0) + 1] = mail

    async def start(self) -> None:
        tls: ssl.SSLContext | None = server_tls() if self.implicit_tls else None
        self._server = await asyncio.start_server(self._serve, HOST, self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection, as a killed server would."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            writer.write(b"* OK ready\r\n")
            while line := await reader.readline():
                found = _COMMAND.match(line.rstrip())
                if found is None or found[2].decode().upper() == self.silent_at:
                    continue
                tag, verb, rest = found[1], found[2].upper().decode(), found[3].decode()
                told, word = self._answer(verb, rest)
                writer.write(told + tag + b" " + word.encode() + b" done\r\n")
                await writer.drain()
        except ConnectionError:
            pass  # whoever asked is gone
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, verb: str, rest: str) -> tuple[bytes, str]:
        match verb:
            case "CAPABILITY":
                return b"* CAPABILITY IMAP4rev1\r\n", "OK"
            case "LOGIN":
                said = tuple(re.sub(r"\\(.)", r"\1", text) for text in re.findall(r'"((?:[^"\\]|\\.)*)"', rest))
                self.logins += said == self.login
                return b"", "OK" if said == self.login else "NO"
            case "SELECT" if rest == '"INBOX"':
                end = max(self.mails, default=0) + 1
                told = f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] ok\r\n"
                return f"{told}* OK [UIDNEXT {end}] ok\r\n".encode(), "OK"
            case "SEARCH":
                first, last = map(int, re.findall(r"UID (\d+):(\d+) UNSEEN", rest)[0])
                unseen = [str(number) for number in self.mails if first <= number <= last and number not in self.seen]
                return f"* SEARCH {' '.join(unseen)}\r\n".encode(), "OK"
            case "FETCH":
                return self._fetched(rest), "OK"
            case "STORE":
                self.seen.add(int(rest.split(maxsplit=1)[0]))
                return b"", "OK"
            case _:
                return b"", "BAD"

    def _fetched(self, rest: str) -> bytes:
        numbers, _, what = rest.partition(" ")
        told = b""
        for number in map(int, numbers.split(",")):
            mail = self.mails.get(number, b"")
            if piece := re.search(r"BODY\.PEEK\[\]<0\.(\d+)>", what):
                self.fetched.append(number)
                part = mail[: int(piece[1])]
                told += f"* {number} FETCH (UID {number} BODY[]<0> {{{len(part)}}}\r\n".encode() + part + b")\r\n"
            else:
                told += f"* {number} FETCH (UID {number} RFC822.SIZE {len(mail)})\r\n".encode()
        return told
