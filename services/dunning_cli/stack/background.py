"""Starting a supervisor that goes on when the command has returned."""

import subprocess
import sys
import time
from pathlib import Path

from dunning_cli.stack.errors import PART_NOT_READY, StackError, from_os_error
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.processes import POLL_SECONDS
from dunning_cli.stack.report import Report
from dunning_cli.stack.run import READY, UpOptions, is_ready
from dunning_cli.stack.scopes import ALL_SCOPES, is_running

_READY_SECONDS_MAX = 900  # The first start downloads a broker.


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
    deadline = time.monotonic() + _READY_SECONDS_MAX
    with log.open("rb") as file:
        file.seek(heard)
        while time.monotonic() < deadline:
            exit_code = supervisor.poll()
            for line in file.read().decode(errors="replace").splitlines():
                report.say(line)
                if line == READY:
                    return
            if exit_code is not None:
                raise SystemExit(exit_code or 1)
            time.sleep(POLL_SECONDS)
    raise StackError(PART_NOT_READY, f"not ready after {_READY_SECONDS_MAX} s; {log} tells more")


def _wait_for_the_running(layout: Layout, options: UpOptions, report: Report) -> None:
    report.say(f"{layout.root} is running already")
    deadline = time.monotonic() + _READY_SECONDS_MAX
    while not is_ready(layout, options.scopes):
        if time.monotonic() > deadline or not all(is_running(layout, scope) for scope in options.scopes):
            raise StackError(PART_NOT_READY, f"what runs there did not get ready; {layout.log_of('up')} tells more")
        time.sleep(POLL_SECONDS)
    report.say(READY)
