"""Connections to one service's schema, and what the errors of the driver mean to the kernel."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from dunning.runtime.postgres.settings import PostgresSettings
from dunning.runtime.store import StoreUnavailable

Clock = Callable[[], datetime]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_LINE_SECONDS = 5  # the server's own time limit comes first; when even its word is missing, the line is dead
_JSONB_VERSION = b"\x01"
_NUL_IN_JSON = b"\\u0000"

_GAVE_UP = (
    OSError,  # refused, reset, and TimeoutError, which the driver raises while it waits
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # what the driver makes of a line that broke under its hands, a COPY above all
    asyncpg.InvalidAuthorizationSpecificationError,  # a password that is being changed
    asyncpg.InvalidCatalogNameError,  # a database that is not there yet
    asyncpg.OperatorInterventionError,  # shutdown, cancelled by a time-out or an operator
    asyncpg.InsufficientResourcesError,  # disk full, too many connections
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,  # the server hung up on an idle session, and its last word was not an answer
    asyncpg.ReadOnlySQLTransactionError,  # a primary that became a standby
)


@contextmanager
def driver_errors_translated() -> Iterator[None]:
    """What may pass by itself becomes StoreUnavailable; what is a mistake of ours stays as it is.

    A task that is cancelled in the middle of a statement may get the driver's word on its connection instead. Whoever
    tries again what was unavailable would then do so for ever: a cancellation stays one.
    """
    try:
        yield
    except _GAVE_UP as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        raise StoreUnavailable(f"the database did not finish: {error or type(error).__name__}") from error


async def open_pool(settings: PostgresSettings, schema: str) -> Pool:
    """A pool whose connections see one schema and nothing else."""
    pool = asyncpg.create_pool(
        settings.url,
        min_size=1,
        max_size=settings.pool_size,
        init=_teach_json,
        reset=_keep_as_is,
        timeout=settings.connect_timeout_seconds,
        command_timeout=settings.statement_timeout_seconds + _LINE_SECONDS,
        ssl=settings.ssl,
        server_settings=_session_settings(settings, schema),
    )
    with driver_errors_translated():
        await pool
    return pool


def _session_settings(settings: PostgresSettings, schema: str) -> dict[str, str]:
    """Plans are made for each call: a plan that was remembered when the tables were empty reads them whole later.
    So does one of a table that grew a minute ago, of which nothing is known yet; and every statement has an index."""
    return {
        "application_name": schema,
        "search_path": schema,
        "statement_timeout": _milliseconds(settings.statement_timeout_seconds),
        "lock_timeout": _milliseconds(settings.lock_timeout_seconds),
        "idle_in_transaction_session_timeout": _milliseconds(settings.idle_in_transaction_timeout_seconds),
        "default_transaction_isolation": "read committed",
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
        "enable_seqscan": "off",
        "timezone": "UTC",
    }


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def _teach_json(connection: Connection) -> None:
    """States are bytes on our side: no way through `str`. They are json, and jsonb in tables from before that."""
    await connection.set_type_codec("json", schema="pg_catalog", format="binary", encoder=_encode_json, decoder=bytes)
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_encode_jsonb, decoder=_decode_jsonb
    )


def _encode_json(state: bytes) -> bytes:
    """PostgreSQL cannot hold the character NUL in a text. One in a customer's name must not stop the partition."""
    return _without_nul(state) if _NUL_IN_JSON in state else state


def _encode_jsonb(state: bytes) -> bytes:
    return _JSONB_VERSION + _encode_json(state)


def _decode_jsonb(value: bytes) -> bytes:
    return value[1:]


def _without_nul(state: bytes) -> bytes:
    r"""Drop every `\u0000` that is an escape; in `\\u0000` the first backslash escapes the second."""
    parts = state.split(b"\\\\")
    return b"\\\\".join(part.replace(_NUL_IN_JSON, b"") for part in parts)


async def _keep_as_is(_: Connection) -> None:
    """Nothing here changes a session, so the round trip that would reset it is saved."""
