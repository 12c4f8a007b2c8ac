"""Starting a supervisor that goes on when the command has returned."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from dunning_cli.stack.errors import PART_NOT_READY, StackError, from_os_error
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.processes import POLL_SECONDS
from dunning_cli.stack.report import Report
from dunning_cli.stack.run import READY, UpOptions
from dunning_cli.stack.scopes import ALL_SCOPES, READY_SECONDS_MAX, is_running, wait_until_ready


def up_in_background(options: UpOptions, report: Report) -> None:
    """Return when everything is ready; what the supervisor says on the way is repeated here."""
    try:
        layout = Layout.at(options.data_dir)
        log = layout.log_of("up")
        heard = log.stat().st_size if log.exists() else 0
        if all(is_running(layout, scope) for scope in options.scopes):
            _wait_for_the_running(layout, options, report)
        else:
            _repeat_until_ready(_launch(options, log), log, heard, report)
    except OSError as error:
        raise from_os_error(error) from error


def _launch(options: UpOptions, log: Path) -> "subprocess.Popen[bytes]":
    only = [] if options.scopes == ALL_SCOPES else ["--only", *options.scopes]
    arguments = ["--data-dir", str(options.data_dir), "--policy-dir", str(options.policy_dir), *only]
    with log.open("ab") as errors:  # What it says it writes there itself.
        return subprocess.Popen(
            [sys.executable, "-m", "dunning_cli", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


def _repeat_until_ready(supervisor: "subprocess.Popen[bytes]", log: Path, heard: int, report: Report) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    with log.open("rb") as file:
        file.seek(heard)
        while time.monotonic() < deadline:
            exit_code = supervisor.poll()
            for line in _whole_lines(file):
                report.say(line)
                if line == READY:
                    return
            if exit_code is not None:
                raise SystemExit(exit_code or 1)
            time.sleep(POLL_SECONDS)
    raise StackError(PART_NOT_READY, f"not ready after {READY_SECONDS_MAX} s; {log} tells more")


def _whole_lines(file: BinaryIO) -> Iterator[str]:
    """The lines since last time; one that is still being written is left for the next time."""
    while (line := file.readline()).endswith(b"\n"):
        yield line.decode(errors="replace").rstrip()
    file.seek(-len(line), os.SEEK_CUR)


def _wait_for_the_running(layout: Layout, options: UpOptions, report: Report) -> None:
    report.say(f"{layout.root} is running already, with the policies that it was started with")
    if not wait_until_ready(layout, options.scopes):
        raise StackError(PART_NOT_READY, f"what runs there did not get ready; {layout.log_of('up')} tells more")
    report.say(READY)
