"""A space of the demo's own on servers that the environment names, so that nobody's events, tables or mails are mixed.

Topics get a prefix, the database is a new one, and a named mail server is not used at all: the demo writes to thousands
of people.
"""

import asyncio
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from dunning.runtime.problem import DATABASE_UNREACHABLE
from dunning_cli.stack.errors import StackError
from dunning_cli.stack.infra import MAIL_DIR
from dunning_cli.stack.reach import DATABASE, KAFKA, SMTP

PREFIX = "DUNNING_TOPIC_PREFIX"
BUSY = {
    "DUNNING_ERRAND_CONCURRENCY": "48",
    "DUNNING_SMTP_CONNECTIONS_MAX": "12",
    "DUNNING_DATABASE_CONNECTIONS": "16",
}
"""Ladders of months within minutes: a hundred mails a second, which no service of this size sends in real life."""
EVERYTHING_ACTS = {
    "DUNNING_START": "2000-01-01T00:00:00Z",
    "DUNNING_MODE": "act",
    "DUNNING_MAX_RESTRICTIONS_PER_DAY": "1000000",
}
"""A world of its own, in which nothing is to be spared."""
_CONNECT_SECONDS_MAX = 10


@contextmanager
def own_space(*, keep: bool) -> Iterator[str]:
    """Set the environment accordingly and yield the topics' prefix; at the end put it back, and remove what was made
    unless it is to be kept."""
    before = dict(os.environ)
    name = f"demo_{uuid.uuid4().hex[:8]}"
    kafka, database = os.environ.get(KAFKA), os.environ.get(DATABASE)
    for setting in (SMTP, MAIL_DIR, PREFIX):
        os.environ.pop(setting, None)
    os.environ.update({setting: value for setting, value in BUSY.items() if setting not in before})
    os.environ.update(EVERYTHING_ACTS)
    try:
        if kafka:
            os.environ[PREFIX] = f"{name}."
        if database:
            _execute(database, f"create database {name}")
            os.environ[DATABASE] = urlunsplit(urlsplit(database)._replace(path=f"/{name}"))
        yield os.environ.get(PREFIX, "")
    finally:
        os.environ.clear()
        os.environ.update(before)
        if kafka and not keep:
            asyncio.run(_delete_topics(kafka, f"{name}."))
        if database and not keep:
            _execute(database, f"drop database if exists {name} with (force)")


def _execute(url: str, statement: str) -> None:
    try:
        asyncio.run(_execute_on(url, statement))
    except (OSError, asyncpg.PostgresError) as error:
        raise StackError(DATABASE_UNREACHABLE, f"the demo cannot `{statement}`: {error}") from error


async def _execute_on(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS_MAX)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _delete_topics(servers: str, prefix: str) -> None:
    """A broker that has gone in the meantime keeps them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    with suppress(KafkaError, OSError):
        await admin.start()
        try:
            await admin.delete_topics([topic for topic in await admin.list_topics() if topic.startswith(prefix)])
        finally:
            await admin.close()
