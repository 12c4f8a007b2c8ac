"""The stores under contract: each test runs in memory and on PostgreSQL, with the same literal expectations."""

from collections.abc import AsyncIterator

import pytest

from dunning.runtime.postgres import PostgresSettings, PostgresStore
from dunning.runtime.store import Store
from dunning.testing.hand_clock import HandClock
from dunning.testing.memory import MemoryStore
from dunning.testing.toy import ToyAccount, migrate_toy, toy_service
from tests.contract.kit import NOON

SHARDS = 4


@pytest.fixture
def clock() -> HandClock:
    """Noon, until the test moves it."""
    return HandClock(NOON)


@pytest.fixture(params=["memory", "postgres"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """The database of the store; None for the one in memory."""
    url: str | None = request.getfixturevalue("database_url") if request.param == "postgres" else None
    return url


@pytest.fixture
async def store(store_url: str | None, clock: HandClock) -> AsyncIterator[Store[ToyAccount]]:
    """An empty store of the toy service."""
    if store_url is None:
        yield MemoryStore(toy_service(), clock=clock, shards=SHARDS)
        return
    await migrate_toy(store_url, shards=SHARDS)
    async with PostgresStore.open(PostgresSettings(url=store_url), toy_service(), clock=clock) as opened:
        yield opened
