"""Sessions of docs/examples: what a person types into a shell, and what the answer is.

`$ COMMAND` is carried out once; `? COMMAND` is asked again until it answers so, for the services need their moment.
Below it stands the whole answer, and `exit code N` where that is not 0. `…` stands for what differs from day to day: a
part of a line, or any lines where it stands alone. Lines that begin with `# ` are for the reader.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.stack import without_named_servers

PATIENCE_SECONDS = 120.0
_COMMAND_SECONDS_MAX = 180.0
_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Step:
    """A command and the answer to it."""

    command: str
    asked_again: bool
    answer: str

    def fits(self, said: str) -> bool:
        """Whether that is the answer."""
        return re.fullmatch("".join(map(_pattern, self.answer.splitlines())), said) is not None


def _pattern(line: str) -> str:
    if line == "…":
        return r"(?:[^\n]*\n)*?"
    return "[^\n]*".join(map(re.escape, line.split("…"))) + "\n"


def steps_of(session: str) -> Iterator[Step]:
    """The steps of a session, in their order."""
    lines = [line for line in session.splitlines() if not line.startswith("# ")]
    starts = [number for number, line in enumerate(lines) if line.startswith(("$ ", "? "))]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        answer = "\n".join(lines[start + 1 : end]).strip("\n")
        yield Step(lines[start][2:], lines[start].startswith("?"), f"{answer}\n" if answer else "")


def carry_out(folder: Path, session: str, settings: Mapping[str, str] | None = None) -> None:
    """Do what a session says, in a folder. Raises AssertionError where an answer is another one."""
    for step in steps_of(session):
        deadline = time.monotonic() + (PATIENCE_SECONDS if step.asked_again else 0)
        while not step.fits(said := answer(step.command, folder, settings or {})):
            assert time.monotonic() < deadline, f"$ {step.command}\n{said}\n--- instead of\n{step.answer}"
            time.sleep(_LOOK_SECONDS)


def answer(command: str, folder: Path, settings: Mapping[str, str]) -> str:
    """What a command says, and its exit code where that is not 0."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**without_named_servers(), "PATH": path, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_COMMAND_SECONDS_MAX,
    )
    code = [f"exit code {done.returncode}"] if done.returncode else []
    return "".join(f"{line}\n" for line in [*done.stdout.strip("\n").splitlines(), *code])
