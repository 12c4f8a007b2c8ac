"""Fixtures for everyone: a real Kafka and a real PostgreSQL, started when the first test asks for one."""

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis  # noqa: F401 - before any connection is left open: see below
import pytest

from tests import stack

# Python 3.11 dies of a `compile` during which a finalizer formats a traceback (caret marks come from `ast.parse`), as
# those of unclosed Kafka connections do. Hypothesis' plugin would import all of Hypothesis at the end of a run.

HERE = Path(__file__).parent
END_TO_END = HERE / "e2e"
THINKING = (HERE / "property", HERE / "simulation", HERE / "unit")  # they need nothing but the processor


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """What stays together when tests run two at a time: a file, for its fixtures; and all end-to-end tests, for they
    follow the real clock, and two of them would be late for each other."""
    for item in items:
        together = END_TO_END if END_TO_END in item.path.parents else item.path
        item.add_marker(pytest.mark.xdist_group(str(together)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """What only thinks gives way to what follows the real clock beside it; it comes last, so it slows nothing else."""
    if "PYTEST_XDIST_WORKER" in os.environ and os.nice(0) == 0 and any(each in item.path.parents for each in THINKING):
        os.nice(10)


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
