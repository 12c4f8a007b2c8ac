"""The stores under contract: each test runs in memory and on PostgreSQL, with the same literal expectations."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from dunning.runtime.postgres import PostgresSettings, PostgresStore
from dunning.runtime.store import Store
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, migrate_toy, toy_service
from tests.contract.kit import NOON
from tests.stack import Servers, fresh_database

SHARDS = 4


@pytest.fixture
def clock() -> HandClock:
    """Noon, until the test moves it."""
    return HandClock(NOON)


@pytest.fixture(scope="module")
def toy_database_url(servers: Servers) -> Iterator[str]:
    """A database with the toy's schema for all tests of a module; `emptied` makes it new for each."""
    with fresh_database(servers.database_url) as url:
        asyncio.run(migrate_toy(url, shards=SHARDS))
        yield url


@pytest.fixture(params=["memory", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """The database of the store; None for the one in memory."""
    url: str | None = request.getfixturevalue("toy_database_url") if request.param == "postgres" else None
    return url


@pytest.fixture
async def store(store_url: str | None, clock: HandClock) -> AsyncIterator[Store[ToyAccount]]:
    """An empty store of the toy service."""
    if store_url is None:
        yield MemoryStore(toy_service(), clock=clock, shards=SHARDS)
        return
    async with PostgresStore.open(PostgresSettings(url=store_url), toy_service(), clock=clock) as opened:
        await emptied(opened)
        yield opened


@pytest.fixture
async def pg(toy_database_url: str) -> AsyncIterator[PostgresStore[ToyAccount]]:
    """An empty store in PostgreSQL that goes by the database's own clock."""
    async with PostgresStore.open(PostgresSettings(url=toy_database_url), toy_service()) as opened:
        await emptied(opened)
        yield opened


async def emptied(store: PostgresStore[ToyAccount]) -> None:
    """Making a database anew for each test would take most of the test's time."""
    async with store.connection() as connection:
        await connection.execute(
            "truncate offsets, inbox, accounts, cases, shared, outbox, journal, errands, policies, dead_letter_orders"
        )
        await connection.execute("update present_mode set word = null")
