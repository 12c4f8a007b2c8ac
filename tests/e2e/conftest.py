"""Fixtures of the end-to-end tests."""

from pathlib import Path

import pytest

from tests.e2e.alone import Ground


@pytest.fixture
def ground(tmp_path: Path, kafka_bootstrap: str, database_url: str, topic_prefix: str) -> Ground:
    """What one service needs, for this test alone."""
    return Ground(tmp_path, kafka_bootstrap, database_url, topic_prefix)
