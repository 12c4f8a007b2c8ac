"""Asking the servers: what they may answer instead of what was asked becomes one line with a code."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg

from dunning.contracts.topics import inputs_of, kafka_name
from dunning.runtime.broker_log import KAFKA_TROUBLES, Bounds, BrokerLog
from dunning.runtime.migrate import MigrationError
from dunning.runtime.postgres.connections import driver_errors_translated
from dunning.runtime.problem import DATABASE_UNREACHABLE, KAFKA_UNREACHABLE, SCHEMA_MISSING
from dunning.runtime.settings import Settings
from dunning.runtime.store import StoreUnavailable, TopicPartition
from dunning_cli.errors import CommandError
from dunning_cli.stack import reach

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

MIGRATION_FAILED = "DUN-C003"
TOO_MUCH = "DUN-C004"
_CONNECT_SECONDS_MAX = 10
_STATEMENT_SECONDS_MAX = 30


def ask(question: Coroutine[Any, Any, T]) -> T:
    """Run it to its end. Raises CommandError for what somebody can do something about."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the error below says it once
    try:
        return asyncio.run(question)
    except StoreUnavailable as error:
        if isinstance(error.__cause__, asyncpg.QueryCanceledError):
            narrow = "ask for less, such as one account"
            raise CommandError(TOO_MUCH, f"no answer in {_STATEMENT_SECONDS_MAX} s: {narrow}") from error
        hint = "is it running, and is DUNNING_DATABASE_URL right?"
        raise CommandError(DATABASE_UNREACHABLE, f"cannot reach PostgreSQL ({error}): {hint}") from error
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise CommandError(SCHEMA_MISSING, f"{error}: `dunning migrate` makes the tables") from error
    except asyncpg.PostgresError as error:
        raise CommandError(DATABASE_UNREACHABLE, f"PostgreSQL refused: {error}") from error
    except MigrationError as error:
        raise CommandError(MIGRATION_FAILED, f"cannot migrate: {error}") from error
    except KAFKA_TROUBLES as error:
        hint = "is it running, and is DUNNING_KAFKA_BOOTSTRAP_SERVERS right?"
        raise CommandError(KAFKA_UNREACHABLE, f"cannot reach Kafka ({error}): {hint}") from error


@asynccontextmanager
async def looking_into(settings: Settings) -> AsyncIterator[Connection]:
    """A connection that sees the database as it is at one instant, over all services' schemas, and changes nothing."""
    connection = await connected(settings)
    try:
        with driver_errors_translated():
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield connection
    finally:
        await connection.close()


async def connected(settings: Settings, *, to_write_in: str | None = None) -> Connection:
    """A connection with time limits of the server's own. It can only read, unless a service's schema is named: then it
    sees that one's tables and may write."""
    url = settings.database_url.get_secret_value()
    reach.require_database(url)
    session = {
        "application_name": "dunning",
        "default_transaction_read_only": "off" if to_write_in else "on",
        "statement_timeout": str(_STATEMENT_SECONDS_MAX * 1000),
        "timezone": "UTC",
    }
    if to_write_in is not None:
        session["search_path"] = to_write_in
    with driver_errors_translated():
        return await asyncpg.connect(
            url, timeout=_CONNECT_SECONDS_MAX, ssl=settings.database_tls(), server_settings=session
        )


@asynccontextmanager
async def working_in(settings: Settings, service: str) -> AsyncIterator[Connection]:
    """A connection that sees the tables of one service and may write to them."""
    connection = await connected(settings, to_write_in=service)
    try:
        with driver_errors_translated():
            yield connection
    finally:
        await connection.close()


async def bounds_of(settings: Settings, service: str) -> dict[TopicPartition, Bounds]:
    """What the logs of all partitions hold that a service reads. Raises Problem where a topic does not exist."""
    topics = [kafka_name(topic, settings.topic_prefix) for topic in inputs_of(service)]
    async with BrokerLog(settings, topics) as log:
        return await log.bounds(await log.partitions())


def require_database(settings: Settings) -> None:
    """Say at once that nobody listens there."""
    reach.require_database(settings.database_url.get_secret_value())


def require_broker(settings: Settings) -> None:
    """Say at once that nobody listens there, instead of trying for half a minute."""
    reach.require_kafka(settings.kafka_bootstrap_servers)
