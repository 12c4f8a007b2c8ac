"""Whatever dies comes back with its data, and `up` goes on where a killed one stood."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from dunning_cli.stack.env_file import read_env_file
from dunning_cli.stack.kafka import why_unreachable
from dunning_cli.stack.processes import Process
from tests.stack import DATABASE, KAFKA, dunning_process, folder_for_servers, without_named_servers

PARTS = ("SUPERVISOR", "KAFKA", "POSTGRES", "MAIL_SINK")
_SECONDS_MAX = 90


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """A stack of this module's own: its parts get killed."""
    with folder_for_servers() as folder:
        up(folder)
        asyncio.run(put_something_in(settings(folder)))
        yield folder
        dunning("down", "--data-dir", str(folder))


@pytest.mark.parametrize("part", ["KAFKA", "POSTGRES", "MAIL_SINK"])
def test_a_killed_part_is_started_again_with_what_it_had_acknowledged(data_dir: Path, part: str) -> None:
    killed = kill(data_dir, part)

    wait_until(lambda: pid_of(data_dir, part) not in {None, killed.pid})
    wait_until_everything_answers(data_dir)

    assert asyncio.run(what_is_in(settings(data_dir))) == [b"paid", "acc_1"]
    assert f"{part.lower()} was killed by signal 9; starting it again in " in (data_dir / "logs" / "up.log").read_text()


def test_up_after_a_killed_supervisor_replaces_what_it_left_running(data_dir: Path) -> None:
    left_over = [process_of(data_dir, part) for part in PARTS[1:]]
    before = settings(data_dir)
    kill(data_dir, "SUPERVISOR")

    up(data_dir)

    assert not any(process.is_alive() for process in left_over)
    assert addresses(settings(data_dir)) == addresses(before)
    assert asyncio.run(what_is_in(settings(data_dir))) == [b"paid", "acc_1"]


def test_up_after_everything_was_killed_goes_on_with_the_same_data_and_ports(data_dir: Path) -> None:
    before = settings(data_dir)
    for part in PARTS:
        kill(data_dir, part)

    up(data_dir)

    assert addresses(settings(data_dir)) == addresses(before)
    assert asyncio.run(what_is_in(settings(data_dir))) == [b"paid", "acc_1"]


def test_up_beside_a_running_one_leaves_it_alone(data_dir: Path) -> None:
    before = settings(data_dir)

    said = up(data_dir)

    assert said.endswith("is running already, with the policies that it was started with\nready\n")
    assert settings(data_dir) == before


def test_down_stops_everything_and_keeps_the_data(data_dir: Path) -> None:
    before = settings(data_dir)
    running = [process_of(data_dir, part) for part in PARTS]

    stopped = dunning("down", "--data-dir", str(data_dir))
    again = dunning("down", "--data-dir", str(data_dir))

    assert stopped.stdout.endswith("stopped; the data stays\n")
    assert again.stdout == f"nothing runs in {data_dir}\n"
    assert not any(process.is_alive() for process in running)
    assert [name for name in settings(data_dir) if name.startswith("DUNNING_PIDS_")] == []

    up(data_dir)

    assert addresses(settings(data_dir)) == addresses(before)
    assert asyncio.run(what_is_in(settings(data_dir))) == [b"paid", "acc_1"]


def up(data_dir: Path) -> str:
    done = dunning("up", "--only", "infra", "--detach", "--data-dir", str(data_dir))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dunning(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return dunning_process(without_named_servers(), *arguments)


def settings(data_dir: Path) -> Mapping[str, str]:
    return read_env_file(data_dir / "env")


def addresses(named: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in named.items() if not name.startswith("DUNNING_PIDS_")}


def pid_of(data_dir: Path, part: str) -> int | None:
    pid = settings(data_dir).get(f"DUNNING_PIDS_{part}")
    return int(pid) if pid else None


def process_of(data_dir: Path, part: str) -> Process:
    pid = pid_of(data_dir, part)
    assert pid is not None
    process = Process.of_pid(pid)
    assert process is not None
    return process


def kill(data_dir: Path, part: str) -> Process:
    process = process_of(data_dir, part)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_alive())
    return process


def wait_until_everything_answers(data_dir: Path) -> None:
    named = settings(data_dir)
    wait_until(lambda: why_unreachable(named[KAFKA]) is None)
    wait_until(lambda: asyncio.run(database_answers(named[DATABASE])))


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.05)


async def database_answers(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    await connection.close()
    return True


async def put_something_in(named: Mapping[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=named[KAFKA])
    await admin.start()
    await admin.create_topics([NewTopic("payment.succeeded", num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=named[KAFKA], enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait("payment.succeeded", b"paid")
    await producer.stop()
    connection = await asyncpg.connect(named[DATABASE])
    await connection.execute("create table accounts as select 'acc_1' as account_id")
    await connection.close()


async def what_is_in(named: Mapping[str, str]) -> list[object]:
    consumer = AIOKafkaConsumer("payment.succeeded", bootstrap_servers=named[KAFKA], auto_offset_reset="earliest")
    await consumer.start()
    record = await asyncio.wait_for(consumer.getone(), _SECONDS_MAX)
    await consumer.stop()
    connection = await asyncpg.connect(named[DATABASE])
    account_id = await connection.fetchval("select account_id from accounts")
    await connection.close()
    return [record.value, account_id]
