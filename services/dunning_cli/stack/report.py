"""What the stack says while it works: on the terminal, and in the log of `up`."""

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path


class Report:
    """Prints lines; a foreground `up` keeps them in a file as well, so that the story survives the terminal."""

    def __init__(self, keep_in: Path | None = None) -> None:
        self._keep_in = keep_in
        self._said_once = ""

    def say(self, line: str) -> None:
        with suppress(OSError):  # Nobody may be listening any more; what runs is looked after all the same.
            print(line, flush=True)
        if self._keep_in is not None:
            with suppress(OSError), self._keep_in.open("a", encoding="utf-8") as file:  # A full disk silences, no more.
                file.write(f"{line}\n")

    def event(self, line: str) -> None:
        """A line about something that happened later, with its time: the reader was not watching."""
        self.say(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}")

    def say_once(self, line: str) -> None:
        """For what would be said again and again while a trouble lasts."""
        if line != self._said_once:
            self._said_once = line
            self.event(line)

    def progress(self, line: str, *, milestone: bool) -> None:
        """A line that the next one replaces on a terminal; elsewhere only milestones are worth a line."""
        if sys.stdout.isatty():
            print(f"\r\x1b[K{line}", end="", flush=True)
        elif milestone:
            self.say(line)

    def progress_over(self) -> None:
        if sys.stdout.isatty():
            print("\r\x1b[K", end="", flush=True)
