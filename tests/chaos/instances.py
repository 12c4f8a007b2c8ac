"""Two instances of each service as processes, started again whenever one ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from dunning.contracts.topics import SERVICES
from tests.beside import beside
from tests.chaos.plan import SIDES
from tests.pages import page_of

_LOOK_SECONDS = 0.2
_STOP_SECONDS_MAX = 30
_WELL_SECONDS_MAX = 120
_TOLD = (0, -signal.SIGKILL, -signal.SIGTERM)  # how instances end that were told to, one just born by SIGTERM


class Instances:
    """Keeps them, and counts those that ended without being told to."""

    def __init__(self, folder: Path, environments: Mapping[int, Mapping[str, str]]) -> None:
        self.ended_by_themselves: list[str] = []
        self._folder = folder
        self._environments = environments
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False
        for side in SIDES:
            for service in SERVICES:
                self._launch(f"{service}-{side}")

    async def keep(self) -> None:
        """Until all are stopped, or cancelled."""
        while not self._stopping:
            for name, process in list(self._processes.items()):
                code = process.poll()
                if code is not None:
                    if code not in _TOLD:
                        self.ended_by_themselves.append(f"{name} ended with {code}: {self._last_line(name)}")
                    self._launch(name)
            await asyncio.sleep(_LOOK_SECONDS)

    def send(self, name: str, number: signal.Signals) -> None:
        """A signal to the present process, if it lives."""
        process = self._processes[name]
        if process.poll() is None:
            process.send_signal(number)

    @asynccontextmanager
    async def frozen(self, name: str) -> AsyncIterator[None]:
        """The present process, for the length of a block; another may have taken its place by then."""
        process = self._processes[name]
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)

    async def well(self) -> list[str]:
        """Wait until nobody says any more that something is wrong; gives back who still does, and what."""
        deadline = time.monotonic() + _WELL_SECONDS_MAX
        while True:
            unwell = await asyncio.to_thread(self._unwell)
            if not unwell or time.monotonic() > deadline:
                return unwell
            await asyncio.sleep(_LOOK_SECONDS)

    async def stop(self) -> list[str]:
        """Ask all to end, for good; gives back who had to be killed."""
        self._stopping = True
        for name in self._processes:
            self.send(name, signal.SIGTERM)
        await asyncio.gather(*(asyncio.to_thread(_wait_for, process) for process in self._processes.values()))
        stubborn = [name for name, process in self._processes.items() if process.poll() is None]
        for name in stubborn:
            self._processes[name].kill()
            self._processes[name].wait()
        return stubborn

    def _launch(self, name: str) -> None:
        service, _, side = name.rpartition("-")
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-P", "-m", service],
                cwd=self._folder,
                env={**self._environments[int(side)], "DUNNING_INSTANCE_ID": name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _unwell(self) -> list[str]:
        answers = {
            name: page_of(self._folder / f"{name}.log", "/readyz") or (0, "no answer") for name in self._processes
        }
        return [f"{name}: {said}" for name, (status, said) in answers.items() if status != 200]

    def _last_line(self, name: str) -> str:
        lines = (self._folder / f"{name}.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it said nothing"


def _wait_for(process: "subprocess.Popen[bytes]") -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS_MAX)


@asynccontextmanager
async def kept(folder: Path, environments: Mapping[int, Mapping[str, str]]) -> AsyncIterator[Instances]:
    """All of them, for the length of the block; they are asked to end at its end."""
    instances = Instances(folder, environments)
    try:
        async with beside(instances.keep()):
            yield instances
    finally:
        await instances.stop()
