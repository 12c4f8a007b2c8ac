"""The mail sink: an SMTP server that delivers nothing and keeps every mail as one file.

`python -m dunning_cli.stack.mail_sink --port PORT --dir DIR`
"""

import argparse
import asyncio
import itertools
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dunning_cli.stack.ports import HOST

_MESSAGE_BYTES_MAX = 10 * 1024 * 1024


class MailDir:
    """One `.eml` file per mail, named so that they sort by arrival and never collide."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, sender: str, recipients: list[str], content: bytes) -> Path:
        """Write the mail as it came, below the envelope, which the headers alone do not show.

        It appears under its name only when it is whole.
        """
        envelope = "".join([f"Return-Path: <{sender}>\r\n", *(f"Delivered-To: {name}\r\n" for name in recipients)])
        path = self._folder / f"{self._next_name()}.eml"
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(envelope.encode() + content)
        unfinished.rename(path)
        return path

    def _next_name(self) -> str:
        nanoseconds = time.time_ns()
        second = datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC)
        fraction = nanoseconds % 1_000_000_000
        return f"{second:%Y%m%dT%H%M%S}.{fraction:09d}Z-{os.getpid()}-{next(self._numbers):06d}"


class KeepEveryMail:
    """The SMTP server's handler; its method names are the library's."""

    def __init__(self, mail_dir: MailDir) -> None:
        self._mail_dir = mail_dir

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: ARG002, N802
        try:
            self._mail_dir.keep(envelope.mail_from or "", envelope.rcpt_tos, envelope.content)
        except OSError as error:
            return f"452 4.3.1 cannot keep the mail: {error.strerror}"
        return "250 2.0.0 kept"


async def serve(port: int, folder: Path) -> None:
    """Listen until asked to stop."""
    from aiosmtpd.smtp import SMTP

    handler = KeepEveryMail(MailDir(folder))
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopped.set)

    def new_session() -> Any:
        return SMTP(handler, hostname="localhost", data_size_limit=_MESSAGE_BYTES_MAX, enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(new_session, HOST, port)
    print(f"listening on {HOST}:{port}, keeping mails in {folder}", flush=True)
    async with server:
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.dir))


if __name__ == "__main__":
    main()
