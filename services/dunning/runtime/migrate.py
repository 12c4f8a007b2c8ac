"""Bring a service's database schema up to date: plain SQL, applied once each, under a lock.

A migration is a file `NNNN_name.pre.sql` or `NNNN_name.post.sql`: `pre` may run while the old code still works, `post`
only when nobody needs the old shape any more. The tables of the kernel are the same for every service and lie in
`schemas/db/kernel`; what a service adds to them lies in `schemas/db/<service>`.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal

import asyncpg

from dunning.contracts.topics import SERVICES
from dunning.runtime.mode import observed_schema
from dunning.runtime.pauses import Pauses
from dunning.runtime.postgres.connections import driver_errors_translated
from dunning.runtime.postgres.settings import PostgresSettings
from dunning.runtime.start import fix_start

Half = Literal["pre", "post"]
BOTH_HALVES: tuple[Half, ...] = ("pre", "post")
SHARDS_BY_DEFAULT = 2  # one transaction a shard: few shards, few and large transactions, and each is far from busy
SHARDS_MAX = 1024
KERNEL = "kernel"

_LOCK_SPACE = 0x64756E6E  # "dunn": keeps our advisory locks apart from other programs' in the same database
_LOCK_TIMEOUT_SECONDS = 10
_DEADLOCKS_MAX = 20  # of one step, before it gives up
_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.(pre|post)\.sql")
_SCHEMA_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SHARDS = "select value from facts where name = 'outbox_shards'"
_RECORD = """
create table if not exists migrations (
    name       text primary key,
    digest     text not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; nothing of the migration in question was applied."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step. `name` is `folder/file`; what was applied under it must never change."""

    name: str
    half: Half
    sql: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(service: str) -> list[Migration]:
    """All steps of a service in their order: those of the kernel, then its own."""
    root = _schema_folder()
    if not root.joinpath(service).is_dir():
        raise MigrationError(f"{service} has no migrations: {root.joinpath(service)} does not exist")
    return [*kernel_migrations(), *_read(root, service)]


def kernel_migrations() -> list[Migration]:
    """The steps that are the same for every service."""
    return _read(_schema_folder(), KERNEL)


async def migrate(
    database: PostgresSettings | str,
    service: str,
    *,
    shards: int | None = None,
    migrations: Sequence[Migration] | None = None,
    halves: Collection[Half] = BOTH_HALVES,
    start: datetime | None = None,
) -> list[str]:
    """Apply what is missing in the service's schema; returns the names of what was applied.

    `shards` is fixed by the first call (2 unless given): the order of an account's events rests on it, so that another
    number later is an error. So is the start (rule 43), for all services of the database: that moment unless given;
    another one later is a Problem. Safe to run twice, and by several at once: they wait for each other.
    """
    if shards is not None and not 1 <= shards <= SHARDS_MAX:
        raise MigrationError(f"the outbox can have 1 to {SHARDS_MAX} shards, not {shards}")
    steps = migrations_of(service) if migrations is None else migrations
    async with _locked_schema(_settings_of(database), service) as connection:
        applied = await _applied(connection)
        _check_unchanged(steps, applied)
        missing = [step for step in steps if step.name not in applied and step.half in halves]
        for step in missing:
            await _apply(connection, step)
        await _fix_shards(connection, shards)
        await fix_start(connection, start, dict.fromkeys([service, *SERVICES]), _LOCK_SPACE)
    return [step.name for step in missing]


async def migrate_with_shadow(
    database: PostgresSettings | str, service: str, *, shards: int | None = None, start: datetime | None = None
) -> list[str]:
    """A service's schema, and the one in which a shadow of it observes (rule 42); returns what was applied
    to the first."""
    applied = await migrate(database, service, shards=shards, start=start)
    shadow = observed_schema(service)
    if await _shards_of(database, shadow) is None:  # it may be that a first go, with another number, ended right here
        shards = await _shards_of(database, service)
    await migrate(database, shadow, shards=shards, migrations=migrations_of(service), start=start)
    connection = await _connect(_settings_of(database), shadow)
    try:
        await connection.execute("update present_mode set word = 'stop' where word is null")  # until it observes
    finally:
        await connection.close()
    return applied


def _schema_folder() -> Traversable:
    """`schemas/db`: inside the package when it was built into a wheel, else in the checkout that it runs from."""
    packaged = resources.files("dunning").joinpath("schemas", "db")
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "schemas" / "db"


def _read(root: Traversable, folder: str) -> list[Migration]:
    files = sorted(root.joinpath(folder).iterdir(), key=lambda file: file.name)
    migrations = []
    for file in files:
        if not (match := _FILE_NAME.fullmatch(file.name)):
            raise MigrationError(f"{folder}/{file.name} is not named like 0001_what_it_does.pre.sql or ….post.sql")
        half: Half = "pre" if match[1] == "pre" else "post"
        migrations.append(Migration(f"{folder}/{file.name}", half, file.read_text(encoding="utf-8")))
    return migrations


@asynccontextmanager
async def _locked_schema(
    settings: PostgresSettings, service: str
) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection that holds the service's migration lock, in the service's schema, which exists from now on.

    The lock belongs to the session, so that each step can be a transaction of its own, and ends with the connection.
    """
    if not _SCHEMA_NAME.fullmatch(service):
        raise MigrationError(f"{service!r} cannot name a schema: lower-case letters, digits and underscores only")
    connection = await _connect(settings, service)
    try:
        await connection.execute("select pg_advisory_lock($1, hashtext($2))", _LOCK_SPACE, service)
        await connection.execute(f'create schema if not exists "{service}"')
        await connection.execute(_RECORD)
        yield connection
    finally:
        await connection.close()


async def _connect(settings: PostgresSettings, service: str) -> "asyncpg.Connection[asyncpg.Record]":
    """No time limits but the one of `_apply`: a migration may have much to do."""
    session = {"search_path": service, "application_name": f"{service} migrate", "client_min_messages": "warning"}
    with driver_errors_translated():
        return await asyncpg.connect(
            settings.url, timeout=settings.connect_timeout_seconds, ssl=settings.ssl, server_settings=session
        )


def _settings_of(database: PostgresSettings | str) -> PostgresSettings:
    return PostgresSettings(url=database) if isinstance(database, str) else database


async def _applied(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, str]:
    return {row["name"]: row["digest"] for row in await connection.fetch("select name, digest from migrations")}


def _check_unchanged(steps: Sequence[Migration], applied: dict[str, str]) -> None:
    """What is applied stands as it was: a later change would leave this database different from a new one."""
    changed = [step.name for step in steps if applied.get(step.name, step.digest) != step.digest]
    if changed:
        names = ", ".join(changed)
        raise MigrationError(f"{names} changed after it was applied: put it back as it was, and add a new migration")


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", step: Migration) -> None:
    """One step and its record, together. Waiting long for a table would hold up everybody behind us, so we give up.

    A step that changes several tables takes them in its own order, so it may lose a deadlock with services at work:
    then nothing of it is there, and it is tried again.
    """
    pauses = Pauses(seconds_max=2.0)
    try:
        while True:
            try:
                return await _apply_at_once(connection, step)
            except asyncpg.DeadlockDetectedError:
                if pauses.tries == _DEADLOCKS_MAX:
                    raise
                await asyncio.sleep(pauses.next_seconds())
    except asyncpg.LockNotAvailableError as error:
        raise MigrationError(f"{step.name}: somebody uses the tables and does not let go; try again") from error
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{step.name}: {error}") from error


async def _apply_at_once(connection: "asyncpg.Connection[asyncpg.Record]", step: Migration) -> None:
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT_SECONDS}s'")
        await connection.execute(step.sql)
        await connection.execute("insert into migrations (name, digest) values ($1, $2)", step.name, step.digest)


async def _shards_of(database: PostgresSettings | str, service: str) -> int | None:
    """As they were fixed; None where that schema is yet to be made."""
    connection = await _connect(_settings_of(database), service)
    try:
        if not await connection.fetchval("select to_regclass('facts') is not null"):
            return None
        fixed = await connection.fetchval(_SHARDS)
        return None if fixed is None else int(json.loads(fixed))
    finally:
        await connection.close()


async def _fix_shards(connection: "asyncpg.Connection[asyncpg.Record]", wanted: int | None) -> None:
    shards = SHARDS_BY_DEFAULT if wanted is None else wanted
    await connection.execute(
        "insert into facts (name, value) values ('outbox_shards', $1) on conflict (name) do nothing", json.dumps(shards)
    )
    fixed = json.loads(await connection.fetchval(_SHARDS))
    if wanted is not None and wanted != fixed:
        raise MigrationError(f"the outbox has {fixed} shards since it was made; it cannot have {wanted}")
