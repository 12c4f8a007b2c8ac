"""One real Kafka and one real PostgreSQL for a whole test run, started when the first test asks.

`DUNNING_TEST_KAFKA_BOOTSTRAP_SERVERS` and `DUNNING_TEST_DATABASE_URL` name running ones instead; with both, a test run
starts at once (`python -m dunning_cli.stack.keep --data-dir DIR` keeps such a pair).
"""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from dunning_cli.stack.env_file import read_env_file

KAFKA = "DUNNING_KAFKA_BOOTSTRAP_SERVERS"
DATABASE = "DUNNING_DATABASE_URL"
LONG_AGO = "2000-01-01T00:00:00Z"  # `DUNNING_START` of stories that are dated in the past
_STOP_SECONDS_MAX = 60
_COMMAND_SECONDS_MAX = 300


@dataclass(frozen=True)
class Servers:
    """Where the tests find what they need; both servers may be used by other test runs at the same time."""

    kafka_bootstrap_servers: str
    database_url: str


def named_by_environment() -> Servers | None:
    """Servers that somebody keeps running, when both are named."""
    kafka, database = os.environ.get(f"DUNNING_TEST_{KAFKA[8:]}"), os.environ.get(f"DUNNING_TEST_{DATABASE[8:]}")
    return Servers(kafka, database) if kafka and database else None


@contextmanager
def folder_for_servers() -> Iterator[Path]:
    """A folder outside pytest's own: each pytest run closes that one to other users, PostgreSQL's among them."""
    with TemporaryDirectory(prefix="dunning-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def started_in(data_dir: Path) -> Iterator[Servers]:
    """Servers of our own, stopped at the end, also when this process is killed: they listen to a pipe of ours."""
    with kept(data_dir) as settings:
        asyncio.run(_spare_the_disk(settings[DATABASE]))
        yield Servers(settings[KAFKA], settings[DATABASE])


@contextmanager
def kept(data_dir: Path, **environment: str) -> Iterator[Mapping[str, str]]:
    """`keep --while-stdin-open` as a process; yields the settings once it is ready."""
    arguments = [sys.executable, "-m", "dunning_cli.stack.keep", "--data-dir", str(data_dir), "--while-stdin-open"]
    with subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**without_named_servers(), **environment},
        start_new_session=True,
    ) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        said = []
        for line in keeper.stdout:
            said.append(line)
            if line == "ready\n":
                break
        else:
            raise AssertionError(f"the test stack did not start: {''.join(said)}")
        try:
            yield read_env_file(data_dir / "env")
        finally:
            with suppress(BrokenPipeError):
                keeper.stdin.close()
            keeper.wait(_STOP_SECONDS_MAX)


def without_named_servers() -> dict[str, str]:
    """The environment without what would make `up` use other people's servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DUNNING_") or "CACHE" in name}


def services_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of services that open cases whatever their dates, restrict as many as they like, and find their
    servers by these settings alone."""
    return {
        **without_named_servers(),
        "DUNNING_START": LONG_AGO,
        "DUNNING_MAX_RESTRICTIONS_PER_DAY": "1000000",
        **settings,
    }


def dunning_process(environment: Mapping[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command as a process of its own, with this environment and no other."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "dunning_cli", *arguments],
        capture_output=True,
        text=True,
        env=dict(environment),
        timeout=_COMMAND_SECONDS_MAX,
        check=False,
    )


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """An empty database of its own, gone at the end."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    asyncio.run(execute(server_url, f"create database {name}"))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        asyncio.run(execute(server_url, f"drop database {name} with (force)"))


async def _spare_the_disk(server_url: str) -> None:
    """Tests kill processes, not the power: commits need not wait for the disk."""
    await execute(server_url, "alter system set fsync = off")
    await execute(server_url, "select pg_reload_conf()")


async def execute(url: str, statement: str) -> None:
    """One statement, in a connection of its own."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
