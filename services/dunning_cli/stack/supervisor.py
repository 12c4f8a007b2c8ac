"""Whoever starts parts, watches them, starts again what dies, and stops them in the right order."""

import logging
import subprocess
import threading
import time
from collections.abc import Iterable

from dunning_cli.stack.env_file import EnvFile
from dunning_cli.stack.errors import PART_DIED, PART_NOT_READY, StackError, cause_in_log, from_os_error
from dunning_cli.stack.layout import Layout
from dunning_cli.stack.parts import Part
from dunning_cli.stack.processes import spawn
from dunning_cli.stack.report import Report
from dunning_cli.stack.restarts import next_pause_seconds
from dunning_cli.stack.signals import raise_if_asked

WATCH_SECONDS = 0.1
_DEATHS_MAX_BEFORE_READY = 4
# Causes that no new start cures: a setting, the policies.
_MENDED_BY_PEOPLE = ("[DUN-R001]", "[DUN-R020]")


class Child:
    """One part and its process of the moment."""

    def __init__(self, part: Part, layout: Layout) -> None:
        self.part = part
        self.deaths = 0
        self.pause_seconds: float | None = None
        self.restart_at: float | None = None
        self._layout = layout
        self._popen: subprocess.Popen[bytes] | None = None
        self._launched_at = 0.0

    def launch(self) -> int:
        record, log = self._layout.record_of(self.part.name), self._layout.log_of(self.part.name)
        self._launched_at = time.monotonic()
        self._popen = spawn(self.part.command(), record=record, log=log)
        self.restart_at = None
        return self._popen.pid

    def exit_code(self) -> int | None:
        return None if self._popen is None else self._popen.poll()

    def plan_restart(self) -> None:
        now = time.monotonic()
        alive_seconds = now - self._launched_at
        self.pause_seconds = next_pause_seconds(self.pause_seconds, was_alive_seconds=alive_seconds)
        self.restart_at = now + self.pause_seconds
        self.deaths += 1

    def send_stop(self) -> None:
        if self.exit_code() is None and self._popen is not None:
            self._popen.send_signal(self.part.stop_signal)

    def wait_or_kill(self) -> bool:
        """Whether it had to be killed."""
        if self._popen is None:
            return False
        try:
            self._popen.wait(self.part.stop_seconds_max)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            return True
        return False

    def last_words(self) -> str:
        return cause_in_log(self._layout.log_of(self.part.name))


class Supervisor:
    """Runs parts until `stopping` is set."""

    def __init__(self, layout: Layout, env_file: EnvFile, report: Report, stopping: threading.Event) -> None:
        self._layout = layout
        self._env_file = env_file
        self._report = report
        self._stopping = stopping
        self._children: list[Child] = []
        self._unwritten_pids: dict[str, int | None] = {}
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # A broker that is not up yet is no news.

    def start(self, parts: Iterable[Part]) -> None:
        """Start all, then wait for all: they get ready side by side."""
        started = [self._launch_first(part) for part in parts]
        for child in started:
            self._wait_until_ready(child)

    def watch(self) -> None:
        """Start again what dies, until asked to stop."""
        while not self._stopping.wait(WATCH_SECONDS):
            self._look_after_children()

    def stop(self) -> None:
        """Services first, together; then the rest, last started first: nobody loses what it needs to end well."""
        self._stop_together([child for child in self._children if child.part.stops_first])
        for child in reversed([child for child in self._children if not child.part.stops_first]):
            self._stop_together([child])

    def _launch_first(self, part: Part) -> Child:
        raise_if_asked(self._stopping)
        part.prepare()
        raise_if_asked(self._stopping)
        child = Child(part, self._layout)
        self._children.append(child)
        self._note_pid(child, child.launch())
        return child

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + child.part.ready_seconds_max
        while (reason := child.part.why_not_ready()) is not None:
            self._look_after_children()
            if child.deaths >= _DEATHS_MAX_BEFORE_READY:
                raise StackError(PART_DIED, f"{child.part.name} does not stay up: {child.last_words()}")
            if child.deaths and (cause := child.last_words()).endswith(_MENDED_BY_PEOPLE):
                raise StackError(PART_DIED, f"{child.part.name} cannot start: {cause}")
            if time.monotonic() > deadline:
                message = f"{child.part.name} is not ready after {child.part.ready_seconds_max:.0f} s: {reason}"
                raise StackError(PART_NOT_READY, f"{message} (log: {self._layout.log_of(child.part.name)})")
            self._stopping.wait(WATCH_SECONDS)
            raise_if_asked(self._stopping)
        self._report.say(f"{child.part.name} is ready")

    def _look_after_children(self) -> None:
        self._write_pids()
        for child in self._children:
            if child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    self._launch_again(child)
            elif (exit_code := child.exit_code()) is not None:
                self._plan_restart(child, exit_code)

    def _plan_restart(self, child: Child, exit_code: int) -> None:
        child.plan_restart()
        self._note_pid(child, None)
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with {exit_code}: {child.last_words()}"
        self._report.event(f"{child.part.name} {how}; starting it again in {child.pause_seconds:.1f} s")

    def _launch_again(self, child: Child) -> None:
        try:
            pid = child.launch()
        except OSError as error:
            child.plan_restart()
            cause = from_os_error(error)
            self._report.event(f"cannot start {child.part.name}: {cause}; again in {child.pause_seconds:.1f} s")
            return
        self._note_pid(child, pid)
        self._report.event(f"{child.part.name} started again, pid {pid}")

    def _stop_together(self, children: list[Child]) -> None:
        for child in children:
            child.send_stop()
        for child in children:
            was_killed = child.wait_or_kill()
            self._note_pid(child, None)
            self._report.say(f"{child.part.name} {'had to be killed' if was_killed else 'stopped'}")

    def _note_pid(self, child: Child, pid: int | None) -> None:
        self._unwritten_pids[child.part.name] = pid
        self._write_pids()

    def _write_pids(self) -> None:
        """A full disk keeps nobody from being watched and stopped; what could not be written is tried again."""
        try:
            for part, pid in list(self._unwritten_pids.items()):
                self._env_file.set_pid(part, pid)
                del self._unwritten_pids[part]
        except OSError as error:
            self._report.say_once(f"{self._layout.env_file} is out of date: {from_os_error(error)}")
