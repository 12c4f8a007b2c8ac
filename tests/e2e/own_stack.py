"""A whole stack of a test's own, Kafka and PostgreSQL included, whose parts may be killed."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dunning_cli.demo.arrival import stamp_on_arrival
from dunning_cli.stack.env_file import read_env_file
from dunning_cli.stack.processes import Process
from tests.e2e.platform import Platform
from tests.e2e.watch import eventually
from tests.stack import dunning_process, services_environment

SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class OwnStack:
    """What `dunning up` runs for one data directory."""

    data_dir: Path
    policy_dir: Path
    environment: Mapping[str, str]
    only: str | None = None  # one half of the stack

    @property
    def platform(self) -> Platform:
        """Where everything is at this moment."""
        return Platform(self.data_dir, self.policy_dir, "", read_env_file(self.data_dir / "env"))

    def up(self) -> None:
        """Start what does not run, and wait until all of it is ready."""
        half = ["--only", self.only] if self.only else ["--policy-dir", str(self.policy_dir)]
        done = self._dunning("up", *half, "--detach")
        assert done.returncode == 0, done.stdout + done.stderr

    async def stamp_on_arrival(self) -> None:
        """Have the log date what it takes in, as the verifier understands its timestamps: a sender dates what it writes
        while Kafka is away, and nobody can have read it by then."""
        await stamp_on_arrival(self.platform.kafka)

    def down(self) -> None:
        """Stop all of it."""
        self._dunning("down")

    def process_of(self, part: str) -> Process | None:
        """The living process of a part, if there is one."""
        pid = self.platform.settings.get(f"DUNNING_PIDS_{part.upper()}")
        return Process.of_pid(int(pid)) if pid else None

    async def kill(self, part: str) -> None:
        """`kill -9`, and wait until it is there again: by itself, or, if nobody is left to see to that, by `up`."""
        killed = self.process_of(part)
        assert killed is not None, f"{part} does not run"
        os.kill(killed.pid, signal.SIGKILL)
        if part == SUPERVISOR:
            await eventually(lambda: not killed.is_alive(), "the supervisor's end")
            await asyncio.to_thread(self.up)
        await eventually(lambda: self.process_of(part) not in (None, killed), f"{part} to be started again")

    def _dunning(self, command: str, *options: str) -> "subprocess.CompletedProcess[str]":
        return dunning_process(self.environment, command, "--data-dir", str(self.data_dir), *options)


@contextmanager
def own_stack(policy: str, *, only: str | None = None, **settings: str) -> Iterator[OwnStack]:
    """Everything up, gone at the end. Not in pytest's folder, which is closed to the user that PostgreSQL runs as."""
    with TemporaryDirectory(prefix="dunning-test-", ignore_cleanup_errors=True) as folder:
        policies = Path(folder) / "policies"
        policies.mkdir()
        (policies / "policy.yaml").write_text(policy)
        stack = OwnStack(Path(folder) / "data", policies, services_environment(settings), only)
        try:
            stack.up()
            yield stack
        finally:
            stack.down()
