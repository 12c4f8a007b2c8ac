"""One `down`: ask the supervisors, then stop whatever a killed one left behind."""

from pathlib import Path

from dunning_cli.stack.errors import from_os_error
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.leftovers import stop_leftovers, stop_supervisor
from dunning_cli.stack.report import Report
from dunning_cli.stack.scopes import Scope

_SERVICES_FIRST = (Scope.SERVICES, Scope.INFRA)


def stop_stack(data_dir: Path, report: Report) -> None:
    """Stop everything of a data directory; nothing there is nothing to do."""
    if not data_dir.expanduser().exists():
        report.say(f"nothing runs in {data_dir}")
        return
    try:
        layout = Layout.at(data_dir)
        stopped = sum(stop_supervisor(layout, scope, report) for scope in _SERVICES_FIRST)
        stopped += sum(stop_leftovers(layout, scope, report) for scope in _SERVICES_FIRST)
    except OSError as error:
        raise from_os_error(error) from error
    report.say("stopped; the data stays" if stopped else f"nothing runs in {data_dir}")
