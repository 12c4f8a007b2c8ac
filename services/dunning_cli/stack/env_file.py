"""`DIR/env`: the settings of a running stack as `NAME=value` lines, for people, scripts and services."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

from dunning_cli.stack.layout import Layout

_PID_PREFIX = "DUNNING_PIDS_"


class EnvFile:
    """Readers always see a whole file; two writers (a supervisor of each scope) do not lose each other's lines."""

    def __init__(self, layout: Layout) -> None:
        self._path = layout.env_file
        self._lock = layout.lock_of("env")

    def read(self) -> dict[str, str]:
        return read_env_file(self._path)

    def update(self, changes: Mapping[str, str | None]) -> None:
        """Set what has a value, remove what has none."""
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lines = {**self.read(), **changes}
            self._write({name: value for name, value in lines.items() if value is not None})

    def set_pid(self, part: str, pid: int | None) -> None:
        self.update({f"{_PID_PREFIX}{part.upper()}": None if pid is None else str(pid)})

    def _write(self, lines: Mapping[str, str]) -> None:
        fresh = self._path.with_suffix(".new")
        # The database's address carries its password.
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{name}={value}\n" for name, value in sorted(lines.items()))
        fresh.replace(self._path)


def read_env_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    lines = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for name, sign, value in lines if sign}
