"""The mail sink as a part of the local stack."""

import smtplib
import sys

from dunning_cli.stack.layout import Layout
from dunning_cli.stack.parts import Part
from dunning_cli.stack.ports import HOST, Ports
from dunning_cli.stack.processes import Command

NAME = "mail_sink"


class LocalMail:
    """An SMTP server that keeps what it gets in the data directory."""

    def __init__(self, layout: Layout, ports: Ports) -> None:
        self._layout = layout
        self._port = ports.of(NAME)

    @property
    def url(self) -> str:
        return f"smtp://{HOST}:{self._port}"

    def part(self) -> Part:
        return Part(
            name=NAME,
            command=self.command,
            why_not_ready=self.why_not_ready,
            ready_seconds_max=30,
            stop_seconds_max=10,
        )

    def command(self) -> Command:
        arguments = ["--port", str(self._port), "--dir", str(self._layout.mail_dir)]
        return Command(
            [sys.executable, "-P", "-m", "dunning_cli.stack.mail_sink", *arguments], working_dir=self._layout.root
        )

    def why_not_ready(self) -> str | None:
        try:
            with smtplib.SMTP(HOST, self._port, timeout=5) as client:
                client.noop()
        except (OSError, smtplib.SMTPException) as error:
            return str(error)
        return None
