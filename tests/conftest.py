"""Fixtures for everyone: a real Kafka and a real PostgreSQL, started when the first test asks for one."""

import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping

import hypothesis  # before any connection is left open: see below
import pytest
import uvloop

from tests import stack
from tests.faults.sizes import SIZES

# Python 3.11 dies of a `compile` during which a finalizer formats a traceback (caret marks come from `ast.parse`), as
# those of unclosed Kafka connections do. Hypothesis' plugin would import all of Hypothesis at the end of a run.
hypothesis.settings.register_profile(
    "any machine", deadline=None
)  # how long an example takes says how busy the machine is
hypothesis.settings.load_profile("any machine")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the services run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def servers() -> Iterator[stack.Servers]:
    """The servers of this test run; ask for `kafka_bootstrap` or `database_url` instead."""
    named = stack.named_by_environment()
    if named is not None:
        yield named
        return
    with stack.folder_for_servers() as folder, stack.started_in(folder) as started:
        yield started


@pytest.fixture(scope="session")
def kafka_bootstrap(servers: stack.Servers) -> str:
    """`host:port` of a real broker, shared by all tests: keep apart by `topic_prefix`."""
    return servers.kafka_bootstrap_servers


@pytest.fixture
def database_url(servers: stack.Servers) -> Iterator[str]:
    """An empty database in a real PostgreSQL, for this test alone."""
    with stack.fresh_database(servers.database_url) as url:
        yield url


@pytest.fixture
def topic_prefix() -> str:
    """Sets this test's topics, groups and transactional ids apart from all others on the same broker."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[object], None]:
    """Show what was measured at full size, where all went well too."""

    def show(measured: object) -> None:
        if SIZES.judges_time:
            with capsys.disabled():
                print(f"\n{measured}")  # noqa: T201 - what `make faults` is for

    return show
