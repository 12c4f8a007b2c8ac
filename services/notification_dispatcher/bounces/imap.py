"""A mailbox on an IMAP server as a box. What was dealt with gets the flag \\Seen, all else is left as it is.

A server gives mails numbers that only grow, as long as its UIDVALIDITY stays. So what was passed over is not asked for
again by this process: the highest number that was dealt with is enough to know.
"""

import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dunning.runtime.problem import SETTING_WRONG, Problem
from notification_dispatcher.bounces.box import MAILS_AT_ONCE, BoxTrouble, Found
from notification_dispatcher.bounces.settings import ImapServer

_NUMBERS_AT_ONCE = 50_000  # so that an answer stays below the longest line that the library reads
_SIZE = re.compile(rb"UID (\d{1,10})\b.*?RFC822\.SIZE (\d{1,15})|RFC822\.SIZE (\d{1,15})\b.*?UID (\d{1,10})")


class ImapBox:
    """Connects for each look and leaves afterwards: a connection that idles between two looks dies unseen."""

    name = "imap"

    def __init__(self, server: ImapServer, timeout_seconds: float, bytes_max: int) -> None:
        """Raises Problem when the server's `ca_file` cannot be used."""
        self._server = server
        self._timeout_seconds = timeout_seconds
        self._bytes_max = bytes_max
        self._connection: imaplib.IMAP4 | None = None
        self._left = False
        self._validity = 0
        self._passed = 0  # up to this number everything was dealt with
        try:
            self._tls = ssl.create_default_context(cafile=server.ca_file)
        except OSError as error:
            raise Problem(SETTING_WRONG, f"DUNNING_BOUNCE_IMAP_URL: the ca_file cannot be used: {error}") from error

    def look(self) -> Sequence[Found]:
        with self._told():
            self._left = False
            self._connection = connection = self._connect()
            if self._left:  # told so while it connected
                self.leave()
            self._at_work.login(_quoted(self._server.username), self._server.password)
            _checked(connection.select(_quoted(self._server.mailbox)))
            self._forget_other_numbers()
            end = self._number("UIDNEXT")
            while self._passed + 1 < end:
                last = min(self._passed + _NUMBERS_AT_ONCE, end - 1)
                unseen = self._unseen(self._passed + 1, last)
                if unseen:
                    return self._sized(unseen[:MAILS_AT_ONCE])
                self._passed = last
            return []

    def read(self, mail: Found) -> bytes | None:
        with self._told():
            answer = _checked(self._at_work.uid("fetch", mail.key, f"(BODY.PEEK[]<0.{self._bytes_max + 1}>)"))
            return next((bytes(each[1]) for each in answer if isinstance(each, tuple)), None)

    def done(self, mail: Found) -> None:
        with self._told():
            _checked(self._at_work.uid("store", mail.key, "+FLAGS.SILENT", r"(\Seen)"))
        self.set_aside(mail)

    def set_aside(self, mail: Found) -> None:
        """Left alone; mails are dealt with in the order of their numbers."""
        self._passed = max(self._passed, int(mail.key))

    def leave(self) -> None:
        self._left = True
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError, imaplib.IMAP4.error):
                connection.shutdown()

    @property
    def _at_work(self) -> imaplib.IMAP4:
        if self._connection is None:
            raise BoxTrouble("the look was broken off")
        return self._connection

    def _connect(self) -> imaplib.IMAP4:
        host, port, timeout = self._server.host, self._server.port, self._timeout_seconds
        if not self._server.encrypted:
            return imaplib.IMAP4(host, port, timeout)
        return imaplib.IMAP4_SSL(host, port, ssl_context=self._tls, timeout=timeout)

    def _forget_other_numbers(self) -> None:
        validity = self._number("UIDVALIDITY")
        if validity != self._validity:
            self._validity, self._passed = validity, 0

    def _number(self, name: str) -> int:
        """A number that the server told when the mailbox was selected."""
        _, told = self._at_work.response(name)
        if not told or told[0] is None:
            raise BoxTrouble(f"the server does not tell {name}")
        return int(told[0])

    def _unseen(self, first: int, last: int) -> list[int]:
        (answer, *_) = _checked(self._at_work.uid("search", "UID", f"{first}:{last}", "UNSEEN"))
        numbers = (int(number) for number in (answer or b"").split())
        return sorted(number for number in numbers if first <= number <= last)

    def _sized(self, numbers: Sequence[int]) -> list[Found]:
        """In order. One that is gone meanwhile is not among them."""
        answer = _checked(self._at_work.uid("fetch", ",".join(map(str, numbers)), "(RFC822.SIZE)"))
        sizes: dict[int, int] = {}
        for line in answer:
            found = _SIZE.search(line) if isinstance(line, bytes) else None
            if found:
                sizes[int(found[1] or found[4])] = int(found[2] or found[3])
        if not sizes:  # all were deleted in between: do not look at them again
            self._passed = numbers[-1]
        return [Found(str(number), sizes[number]) for number in numbers if number in sizes]

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Troubles in words. The server's own could quote what we said, the password included."""
        place = f"{self._server.host}:{self._server.port}"
        try:
            yield
        except imaplib.IMAP4.abort as error:
            raise BoxTrouble(f"the IMAP server {place} broke off") from error
        except imaplib.IMAP4.error as error:
            raise BoxTrouble(f"the IMAP server {place} refuses: is DUNNING_BOUNCE_IMAP_URL right?") from error
        except ssl.SSLError as error:
            raise BoxTrouble(f"the IMAP server {place} cannot be trusted ({error.reason or 'TLS'})") from error
        except OSError as error:
            raise BoxTrouble(f"the IMAP server {place} cannot be reached ({error.strerror or 'timed out'})") from error
        except ValueError as error:
            raise BoxTrouble(f"the IMAP server {place} says what nobody understands") from error


def _quoted(text: str) -> str:
    """A string as the protocol wants it; the library quotes nothing but the password."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _checked(answer: tuple[str, list[Any]]) -> list[Any]:
    """The data of an answer that is OK. Raises IMAP4.error."""
    word, data = answer
    if word != "OK":
        raise imaplib.IMAP4.error(word)
    return data
