"""The kernel on real servers, with the toy service."""

from collections.abc import AsyncIterator

import pytest

from tests.kernel import Kernel, a_kernel


@pytest.fixture
async def kernel(kafka_bootstrap: str, database_url: str, topic_prefix: str) -> AsyncIterator[Kernel]:
    """Everything but an instance: that is the test's to start."""
    async with a_kernel(kafka_bootstrap, database_url, topic_prefix) as ready:
        yield ready
