"""Processes of an earlier `up` that still run: recognised by their records, stopped in order."""

import signal

from dunning_cli.stack.env_file import EnvFile
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.postgres import NAME as POSTGRES
from dunning_cli.stack.processes import Process, stop_all
from dunning_cli.stack.report import Report
from dunning_cli.stack.scopes import Scope

_STOP_SECONDS_MAX = 40
_SUPERVISOR_STOP_SECONDS_MAX = 120  # It stops everything else, one after the other.


def stop_leftovers(layout: Layout, scope: Scope, report: Report) -> int:
    """Stop what a killed supervisor left running; how many processes that were."""
    count = 0
    for part in scope.parts:
        count += _stop_recorded(layout, part, _stop_signal_of(part), report, seconds_max=_STOP_SECONDS_MAX)
        EnvFile(layout).set_pid(part, None)
    return count


def stop_supervisor(layout: Layout, scope: Scope, report: Report) -> int:
    """Ask the supervisor of a scope to stop all it started, and wait for it."""
    seconds_max = _SUPERVISOR_STOP_SECONDS_MAX
    return _stop_recorded(layout, scope.supervisor, signal.SIGTERM, report, seconds_max=seconds_max)


def _stop_recorded(
    layout: Layout, name: str, stop_signal: signal.Signals, report: Report, *, seconds_max: float
) -> int:
    record = layout.record_of(name)
    process = Process.recorded_in(record)
    was_alive = process is not None and process.is_alive()
    if process is not None and was_alive:
        killed = stop_all([process], stop_signal, seconds_max=seconds_max)
        report.say(f"{name} (pid {process.pid}) {'had to be killed' if killed else 'stopped'}")
    record.unlink(missing_ok=True)
    return int(was_alive)


def _stop_signal_of(part: str) -> signal.Signals:
    return signal.SIGINT if part == POSTGRES else signal.SIGTERM
