"""One service as a process of its own, with nobody beside it but Kafka, PostgreSQL and perhaps a mail server."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.foreign import ForeignClient, a_foreign_client
from tests.e2e.shared import write_policies
from tests.e2e.watch import Watch, eventually, watching
from tests.pages import page_of
from tests.stack import dunning_process, services_environment

_RAN_ON_SECONDS_MAX = 60


class LoneService:
    """Starts it, stops it, and reads what it says."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._name = name
        self._folder = folder
        self._environment = environment
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Until it says of itself that it is ready."""
        self._launch()
        await eventually(self._ready, lambda: f"{self._name} to be ready: {self.said()[-3:]}")

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self._end()

    async def run_to_its_end(self) -> int:
        """Start what will not stay up; returns the exit code."""
        self._launch()
        return await self._end()

    def kill(self) -> None:
        """Leave nothing behind, whatever went wrong."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def said(self) -> list[str]:
        """Its lines so far, of all its lives."""
        return self._log.read_text().splitlines()

    def facts(self, event: str) -> list[dict[str, Any]]:
        """Its log lines about one kind of thing."""
        lines = [json.loads(line) for line in self.said() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def _launch(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", self._name],
                cwd=self._folder,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def _end(self) -> int:
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, _RAN_ON_SECONDS_MAX)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.said()[-5:]
        answer = page_of(self._log, "/readyz")
        return answer is not None and answer[0] == 200


@dataclass(frozen=True)
class Alone:
    """A service and all that a test does to it."""

    service: LoneService
    world: ForeignClient
    seen: Watch
    policy_dir: Path


@dataclass(frozen=True)
class Ground:
    """What a service stands on: a folder, Kafka, a database and topics of the test's own."""

    folder: Path
    kafka: str
    database_url: str
    topic_prefix: str


@asynccontextmanager
async def alone(name: str, ground: Ground, policies: Mapping[str, str], **settings: str) -> AsyncIterator[Alone]:
    """A service that is ready; killed at the end if it still runs."""
    policy_dir = write_policies(ground.folder / "policies", policies)
    named = {
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": ground.kafka,
        "DUNNING_DATABASE_URL": ground.database_url,
        "DUNNING_TOPIC_PREFIX": ground.topic_prefix,
        "DUNNING_POLICY_DIR": str(policy_dir),
        "DUNNING_INSTANCE_ID": f"{name}-1",
    }
    environment = services_environment({**named, **settings})
    migrated = await asyncio.to_thread(dunning_process, environment, "migrate")
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    service = LoneService(name, ground.folder, environment)
    try:
        await service.start()
        async with (
            a_foreign_client(ground.kafka, ground.topic_prefix) as world,
            watching(ground.kafka, ground.topic_prefix) as seen,
        ):
            yield Alone(service, world, seen, policy_dir)
    finally:
        await asyncio.to_thread(service.kill)
