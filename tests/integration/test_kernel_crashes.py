"""A process that dies at any point leaves nothing lost and nothing done twice; one that is asked to stop does so."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import orjson
import pytest

from dunning.runtime.crash_points import CRASH_POINTS
from dunning.runtime.letter_orders import By, LetterPlace, ReplayOrder
from tests.kernel import PATIENCE_SECONDS, Kernel, eventually, failure


@asynccontextmanager
async def toy_process(kernel: Kernel, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The toy service as a process of its own; killed at the end if it still runs."""
    settings = kernel.settings
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.toy_process",
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("DUNNING_")},
            "DUNNING_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "DUNNING_DATABASE_URL": settings.database_url.get_secret_value(),
            "DUNNING_TOPIC_PREFIX": settings.topic_prefix,
            "DUNNING_INSTANCE_ID": settings.instance_id,
            "DUNNING_KAFKA_SESSION_TIMEOUT_SECONDS": "6",
            **environment,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> str:
    """What it wrote, once it has ended."""
    _, text = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    return text.decode()


IN_THE_SPINE = ("turn.saved", "turn.committed", "relay.sent", "relay.published", "relay.finished", "timers.committed")
IN_REPLAYS = ("replay.saved", "replay.committed")
IN_ERRANDS = {  # how often the world was touched in the end, and what is said of it
    "errand.leased": (1, "accepted"),
    "errand.begun": (0, "unknown"),
    "errand.performed": (1, "unknown"),
    "errand.reported": (1, "accepted"),
}
ELSEWHERE = ("bounce.published",)  # tests/integration/test_bounces.py


def test_no_crash_point_is_forgotten() -> None:
    assert {*IN_THE_SPINE, *IN_REPLAYS, *IN_ERRANDS, *ELSEWHERE} == CRASH_POINTS


@pytest.mark.parametrize("point", IN_THE_SPINE)
async def test_a_crash_changes_nothing(kernel: Kernel, point: str) -> None:
    due_long_ago = datetime.now(UTC) - timedelta(days=1, hours=1)
    for number in range(10):
        await kernel.fails(f"acc-{number}", code="x", failed_at=due_long_ago, partition=number % 2)
    async with toy_process(kernel, DUNNING_CRASH_AT=point) as process:
        await said(process)
        assert process.returncode == -signal.SIGKILL
    async with kernel.instance():
        assert await kernel.transitions(20) == {f"acc-{number}": [1, 2] for number in range(10)}


@pytest.mark.parametrize("point", IN_ERRANDS)
async def test_a_crash_touches_the_world_at_most_once_and_says_unknown_where_nobody_knows(
    kernel: Kernel, point: str, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    world.touch()
    await kernel.fails("acc-1", code="toy_errand", failed_at=datetime.now(UTC))
    known = {"TOY_WORLD": str(world), "DUNNING_ERRAND_LEASE_SECONDS": "1"}
    async with toy_process(kernel, DUNNING_CRASH_AT=point, **known) as process:
        await said(process)
        assert process.returncode == -signal.SIGKILL
    async with toy_process(kernel, **known):
        told = [orjson.loads(record.value) for record in await kernel.published(2)]
    touched, outcome = IN_ERRANDS[point]
    assert len(world.read_text().splitlines()) == touched
    assert [each["reason"] for each in told] == ["PaymentFailed", "ErrandReport"]
    assert told[1]["details"]["outcome"] == outcome


@pytest.mark.parametrize("point", IN_REPLAYS)
async def test_a_crash_while_a_replay_is_taken_neither_loses_nor_doubles_it(kernel: Kernel, point: str) -> None:
    place = LetterPlace("payment.failed", 0, 0)
    async with kernel.store() as store:
        await store.give_replay(ReplayOrder(place, "no_policy", b"acc-1", (), failure("acc-1")), By("anna"))
        async with toy_process(kernel, DUNNING_CRASH_AT=point) as process:
            await said(process)
            assert process.returncode == -signal.SIGKILL
        async with kernel.instance():
            assert await kernel.transitions(1) == {"acc-1": [1]}
        assert [order.outcome for order in await store.orders_on_file([place])] == ["applied"]


async def test_a_process_that_was_frozen_is_replaced_and_does_no_harm_when_it_goes_on(kernel: Kernel) -> None:
    async def send(first: int, last: int) -> None:
        for number in range(first, last):
            await kernel.fails(f"acc-{number % 5}", f"pay-{number}", partition=number % 2)

    async with toy_process(kernel) as frozen:
        await send(0, 20)
        await kernel.published_at_least(20)
        frozen.send_signal(signal.SIGSTOP)
        await send(20, 40)
        async with kernel.instance("two"):
            assert await kernel.transitions(40) == {f"acc-{n}": list(range(1, 9)) for n in range(5)}
            frozen.send_signal(signal.SIGCONT)
            await send(40, 60)
            assert await kernel.transitions(60) == {f"acc-{n}": list(range(1, 13)) for n in range(5)}
        assert frozen.returncode is None


@pytest.mark.parametrize("point", ["turn.saved", "relay.sent"])
async def test_a_process_frozen_between_two_steps_is_replaced_and_does_no_harm_when_it_goes_on(
    kernel: Kernel, point: str
) -> None:
    """In the middle of a turn it holds its partition until the server ends its transaction; in the middle of publishing
    its shard, until the successor fences it."""
    accounts = [f"acc-{number}" for number in range(10)]
    for number, account in enumerate(accounts):
        await kernel.fails(account, partition=number % 2)
    async with toy_process(kernel, DUNNING_FREEZE_AT=point) as frozen, kernel.store() as store:

        async def is_frozen() -> bool:
            return Path(f"/proc/{frozen.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

        async def holds_nothing() -> bool:
            async with store.connection() as connection:
                idle = "application_name = 'toy' and state = 'idle in transaction' and datname = current_database()"
                return not await connection.fetchval(f"select count(*) from pg_stat_activity where {idle}")

        await eventually(is_frozen, f"the process to come to {point}")
        async with kernel.instance("two"):
            await eventually(holds_nothing, "the server to end what the frozen one had begun")
            assert await kernel.transitions(10) == {account: [1] for account in accounts}
            frozen.send_signal(signal.SIGCONT)
            for number, account in enumerate(accounts):
                await kernel.fails(account, "pay-2", partition=number % 2)
            assert await kernel.transitions(20) == {account: [1, 2] for account in accounts}
        assert frozen.returncode is None


async def test_asked_to_stop_it_stops_soon_and_nothing_is_left_or_repeated(kernel: Kernel) -> None:
    async def send() -> None:
        for number in range(200):
            await kernel.fails(f"acc-{number % 5}", f"pay-{number}", partition=number % 2)

    sending = asyncio.create_task(send())
    async with toy_process(kernel) as process:
        await kernel.published_at_least(10)
        process.terminate()
        asked_at = time.monotonic()
        text = await said(process)
        assert process.returncode == 0, text
        assert time.monotonic() - asked_at < kernel.settings.stop_timeout_seconds
        async with kernel.store() as store:
            assert [await store.pending(shard, 10) for shard in range(store.shards)] == [[], []]
    await sending
    async with kernel.instance():
        assert await kernel.transitions(200) == {f"acc-{number}": list(range(1, 41)) for number in range(5)}


async def test_it_is_ready_when_it_says_so_and_shows_its_metrics(kernel: Kernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    await kernel.fails("acc-1")
    async with toy_process(kernel, DUNNING_METRICS_PORT=str(port)), aiohttp.ClientSession() as session:

        async def ready() -> bool:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        await eventually(ready, "ready")
        async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
        await kernel.published(1)
        async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
    assert f'dunning_events_consumed_total{{topic="{kernel.topic("payment.failed")}"}} 1.0' in text
    assert 'dunning_build_info{service="toy"' in text


async def test_a_taken_port_is_one_clear_line(kernel: Kernel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        async with toy_process(kernel, DUNNING_METRICS_PORT=str(taken.getsockname()[1])) as process:
            last_line = (await said(process)).splitlines()[-1]
    assert process.returncode == 1
    assert last_line.endswith("[DUN-R007]")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"DUNNING_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}, "DUN-R002"),
        ({"DUNNING_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}, "DUN-R003"),
        ({"DUNNING_TOPIC_PREFIX": "no.such."}, "DUN-R005"),
    ],
)
async def test_what_is_missing_is_told_in_one_line(kernel: Kernel, changed: dict[str, str], code: str) -> None:
    async with toy_process(kernel, DUNNING_START_TIMEOUT_SECONDS="0.5", **changed) as process:
        last_line = (await said(process)).splitlines()[-1]
    assert process.returncode == 1
    assert last_line.endswith(f"[{code}]")
    assert not last_line.startswith("{")


async def test_a_wrong_setting_is_told_in_one_line(kernel: Kernel) -> None:
    async with toy_process(kernel, DUNNING_METRICS_PORT="high", DUNNING_DATABASE_URL="") as process:
        lines = (await said(process)).splitlines()
    assert process.returncode == 2
    assert len(lines) == 1
    assert "DUNNING_DATABASE_URL is not set" in lines[0]
    assert "DUNNING_METRICS_PORT" in lines[0]
    assert lines[0].endswith("[DUN-R001]")
