"""One `up` from beginning to end: stop what was left over, start, prepare, say `ready`, watch, stop."""

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from dunning.contracts.topics import SERVICES
from dunning_cli.stack.env_file import EnvFile
from dunning_cli.stack.errors import ALREADY_RUNNING, DISK_FULL, FREE_BYTES_MIN, StackError, from_os_error
from dunning_cli.stack.infra import Infra, InfraPlan, infra_in_use
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.leftovers import stop_leftovers
from dunning_cli.stack.ports import Ports
from dunning_cli.stack.prepare import prepare
from dunning_cli.stack.report import Report
from dunning_cli.stack.scopes import Scope, held, mark_ready, unmark_ready, wait_until_ready
from dunning_cli.stack.services import LocalService
from dunning_cli.stack.signals import StopAsked
from dunning_cli.stack.supervisor import Supervisor

READY = "ready"
_PREFIX = "DUNNING_TOPIC_PREFIX"


@dataclass(frozen=True)
class UpOptions:
    """What `dunning up` was asked for."""

    data_dir: Path
    policy_dir: Path
    scopes: frozenset[Scope]


def run_stack(options: UpOptions, report: Report, stopping: threading.Event) -> None:
    """Run until `stopping` is set; whatever was started is stopped again, also when something goes wrong."""
    try:
        layout = Layout.at(options.data_dir)
        _require_free_disk(layout)
        with held(layout, options.scopes) as scopes:
            if not scopes:
                raise StackError(ALREADY_RUNNING, f"{layout.root} is running already: `dunning down` stops it")
            _Run(options, layout, report, stopping).run(scopes)
    except OSError as error:
        raise from_os_error(error) from error


class _Run:
    def __init__(self, options: UpOptions, layout: Layout, report: Report, stopping: threading.Event) -> None:
        self._options = options
        self._layout = layout
        self._report = report
        self._stopping = stopping
        self._env_file = EnvFile(layout)
        self._supervisor = Supervisor(layout, self._env_file, report, stopping)

    def run(self, scopes: frozenset[Scope]) -> None:
        name = (Scope.INFRA if Scope.INFRA in scopes else Scope.SERVICES).supervisor
        unmark_ready(self._layout, scopes)
        for scope in sorted(scopes, reverse=True):
            stop_leftovers(self._layout, scope, self._report)
        self._sign_in(name)
        try:
            self._start(scopes)
            mark_ready(self._layout, scopes)
            self._report.say(READY)
            self._supervisor.watch()
        except StopAsked:
            self._report.say("stopping before everything was ready")
        finally:
            unmark_ready(self._layout, scopes)
            self._supervisor.stop()
            self._env_file.set_pid(name, None)

    def _start(self, scopes: frozenset[Scope]) -> None:
        ports = Ports(self._layout)
        infra = self._start_infra(ports) if Scope.INFRA in scopes else self._find_infra()
        if Scope.SERVICES in scopes:
            self._start_services(infra, ports)

    def _start_infra(self, ports: Ports) -> Infra:
        plan = InfraPlan(self._layout, ports, self._report, self._stopping)
        plan.require_the_named()
        self._supervisor.start(plan.parts)
        self._env_file.update(plan.infra().as_settings())
        return plan.infra()

    def _find_infra(self) -> Infra:
        infra = infra_in_use(self._layout, runs_here=wait_until_ready(self._layout, frozenset({Scope.INFRA})))
        self._env_file.update(infra.as_settings())
        return infra

    def _start_services(self, infra: Infra, ports: Ports) -> None:
        policy_dir = self._options.policy_dir.resolve()
        services = [LocalService(name, self._layout, ports, infra, policy_dir) for name in SERVICES]
        prepare(infra, self._report)
        self._supervisor.start([service.part() for service in services])
        # Whoever looks at this stack later (`dunning doctor`, `dunning dlq`) looks with the same eyes.
        shared = {"DUNNING_POLICY_DIR": str(policy_dir), _PREFIX: os.environ.get(_PREFIX) or None}
        self._env_file.update({**shared, **dict(service.metrics_setting for service in services)})

    def _sign_in(self, name: str) -> None:
        self._layout.record_of(name).write_text(Path("/proc/self/stat").read_text())
        self._env_file.set_pid(name, os.getpid())


def _require_free_disk(layout: Layout) -> None:
    free = shutil.disk_usage(layout.root).free
    if free < FREE_BYTES_MIN:
        message = (
            f"only {free // 2**20} MiB are free on the disk of {layout.root}: {FREE_BYTES_MIN // 2**20} are needed"
        )
        raise StackError(DISK_FULL, message)
