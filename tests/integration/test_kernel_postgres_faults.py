"""PostgreSQL says no: sessions ended, a statement that takes too long, a deadlock, a disk that is full."""

import asyncio
import os
import pwd
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from dunning.runtime.instance import Instance
from tests.kernel import Kernel, eventually

ACCOUNTS = 5
_SAYS_FULL = """
create function full_disk() returns trigger language plpgsql
    as $$ begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$;
create trigger full_disk before insert on outbox execute function full_disk();
"""


@asynccontextmanager
async def an_outsider(kernel: Kernel) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Somebody else in the same database."""
    connection = await asyncpg.connect(
        kernel.settings.database_url.get_secret_value(), server_settings={"search_path": "toy"}
    )
    try:
        yield connection
    finally:
        await connection.close()


async def told(instance: Instance[Any]) -> None:
    """Until somebody says that the database is the trouble."""

    async def is_told() -> bool:
        return any("DUN-R003" in each for each in instance.health.troubles.values())

    await eventually(is_told, "an alarm")


async def test_sessions_that_are_ended_again_and_again_cost_no_event_and_double_none(kernel: Kernel) -> None:
    end_all = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'toy'"
    async with kernel.instance(), an_outsider(kernel) as outsider:
        for number in range(1, 11):
            for account in range(ACCOUNTS):
                await kernel.fails(f"acc-{account}", f"pay-{number}", partition=account % 2)
            await outsider.execute(f"{end_all} and datname = current_database()")
            await kernel.published_at_least(number)

        found = await kernel.transitions(ACCOUNTS * 10)

    assert found == {f"acc-{account}": list(range(1, 11)) for account in range(ACCOUNTS)}


async def test_a_statement_that_takes_too_long_is_given_up_and_tried_again(kernel: Kernel) -> None:
    async with kernel.instance(database_statement_timeout_seconds=0.3) as instance, an_outsider(kernel) as outsider:
        await kernel.ready(instance)
        async with outsider.transaction():
            await outsider.execute("lock table inbox in access exclusive mode")
            await kernel.fails("acc-1")
            await told(instance)
        assert await kernel.transitions(1) == {"acc-1": [1]}
        await kernel.ready(instance)


async def test_whoever_loses_a_deadlock_tries_again(kernel: Kernel) -> None:
    """The turn holds its partition and waits for the account; the other way round, somebody holds the account."""
    waits = "select true from pg_stat_activity where application_name = 'toy' and wait_event_type = 'Lock' limit 1"
    async with kernel.instance() as instance, an_outsider(kernel) as outsider, an_outsider(kernel) as looker:
        await kernel.fails("acc-1", "pay-1")
        await kernel.transitions(1)
        await kernel.ready(instance)
        async with outsider.transaction():
            await outsider.execute("select from accounts where account_id = 'acc-1' for update")
            await kernel.fails("acc-1", "pay-2")
            await eventually(lambda: looker.fetchval(waits), "the turn to wait for the account")
            await outsider.execute("select from offsets for update")  # in vain, if the turn did not give way

        assert await kernel.transitions(2) == {"acc-1": [1, 2]}
        await kernel.ready(instance)


async def test_a_full_disk_is_waited_for(kernel: Kernel) -> None:
    """The outbox lies on a small disk that something else has filled."""
    async with a_full_disk_under_the_outbox(kernel) as room_is_made, kernel.instance() as instance:
        for account in range(ACCOUNTS):
            await kernel.fails(f"acc-{account}", partition=account % 2)
        await told(instance)
        await room_is_made()

        assert await kernel.transitions(ACCOUNTS) == {f"acc-{account}": [1] for account in range(ACCOUNTS)}
        await kernel.ready(instance)


@asynccontextmanager
async def a_full_disk_under_the_outbox(kernel: Kernel) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """A real one in memory for whoever may mount it; anybody else has PostgreSQL say what it says of one."""
    async with an_outsider(kernel) as outsider:
        if os.geteuid() != 0:
            await outsider.execute(_SAYS_FULL)
            yield lambda: outsider.execute("drop trigger full_disk on outbox")
            return
        with a_small_disk(mib=2) as (folder, room):
            await outsider.execute(f"create tablespace {folder.parent.name} location '{folder}'")
            await outsider.execute(f"alter table outbox set tablespace {folder.parent.name}")
            room.write_bytes(bytes(os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize))
            try:
                yield lambda: asyncio.to_thread(room.unlink)
            finally:
                room.unlink(missing_ok=True)
                await outsider.execute("alter table outbox set tablespace pg_default")
                await outsider.execute(f"drop tablespace {folder.parent.name}")


@contextmanager
def a_small_disk(mib: int) -> Iterator[tuple[Path, Path]]:
    """A folder for PostgreSQL, and a file that takes away the room beside it."""
    with TemporaryDirectory(prefix="dunning_disk_", ignore_cleanup_errors=True) as made:
        disk = Path(made)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0777", "tmpfs", made], check=True)
        try:
            folder = disk / "outbox"
            folder.mkdir()
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            yield folder, disk / "room"
        finally:
            subprocess.run(["umount", "--lazy", made], check=True)
