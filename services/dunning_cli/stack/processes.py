"""Processes that outlive whoever started them, and are recognised again without guessing.

A process is told apart from a later one with the same number by its start time in `/proc`. Each started process writes
its own line of `/proc` into a record before it becomes the program, so that no moment exists in which it runs and no
record knows it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

POLL_SECONDS = 0.05
_RECORD_THEN_BECOME = 'read -r stat </proc/self/stat && printf "%s\\n" "$stat" >"$0" && exec "$@"'
_LOG_BYTES_MAX = 10 * 1024 * 1024


@dataclass(frozen=True)
class Account:
    """The operating system's user that a program runs as."""

    user_id: int
    group_id: int


@dataclass(frozen=True)
class Command:
    """A program with all it needs to run."""

    arguments: Sequence[str]
    working_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None


@dataclass(frozen=True)
class Process:
    """One process, for ever: its number may be given away again, its number and start time together are not."""

    pid: int
    started_ticks: int

    @classmethod
    def recorded_in(cls, record: Path) -> "Process | None":
        try:
            return _parse_stat(record.read_text())[0]
        except (FileNotFoundError, IndexError, ValueError):
            return None

    @classmethod
    def of_pid(cls, pid: int) -> "Process | None":
        try:
            process, state = _parse_stat(Path(f"/proc/{pid}/stat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if state in {"Z", "X"} else process

    def is_alive(self) -> bool:
        return Process.of_pid(self.pid) == self

    def send(self, signal_number: signal.Signals) -> None:
        if self.is_alive():
            os.kill(self.pid, signal_number)


def _parse_stat(stat: str) -> tuple[Process, str]:
    """The second field of the line is a name in brackets that may hold spaces and brackets itself."""
    pid = int(stat.split(" ", 1)[0])
    fields = stat.rpartition(")")[2].split()
    return Process(pid=pid, started_ticks=int(fields[19])), fields[0]


def spawn(command: Command, *, record: Path, log: Path) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own, its output appended to `log`.

    The own session keeps Ctrl-C at the terminal from reaching it: the supervisor stops its parts in its own order.
    """
    _keep_log_small(log)
    record.touch()
    if command.account is not None:
        os.chown(record, command.account.user_id, command.account.group_id)
    with log.open("ab") as output:
        return subprocess.Popen(
            ["/bin/sh", "-c", _RECORD_THEN_BECOME, str(record), *command.arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=command.working_dir,
            env={**os.environ, **command.environment},
            start_new_session=True,
            user=command.account.user_id if command.account else None,
            group=command.account.group_id if command.account else None,
            extra_groups=[] if command.account else None,
        )


def stop_all(processes: Iterable[Process], stop_signal: signal.Signals, *, seconds_max: float) -> list[Process]:
    """Ask all, wait for all; what does not leave in time is killed and returned."""
    asked = [process for process in processes if process.is_alive()]
    for process in asked:
        process.send(stop_signal)
    stubborn = _still_alive_after(asked, seconds_max)
    for process in stubborn:
        process.send(signal.SIGKILL)
    _still_alive_after(stubborn, seconds_max)
    return stubborn


def _still_alive_after(processes: Iterable[Process], seconds_max: float) -> list[Process]:
    deadline = time.monotonic() + seconds_max
    alive = [process for process in processes if process.is_alive()]
    while alive and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        alive = [process for process in alive if process.is_alive()]
    return alive


def _keep_log_small(log: Path) -> None:
    """A log over the limit makes room for a new one; the one before stays readable."""
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
