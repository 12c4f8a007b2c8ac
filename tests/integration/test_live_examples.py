"""The examples of docs/examples that need Kafka, PostgreSQL or running services go as their `live.txt` says."""

import shutil
from pathlib import Path

import pytest

from tests import stack
from tests.sessions import answer, carry_out

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(file.parent.name for file in EXAMPLES.glob("*/live.txt")))
def test_a_session_on_real_servers_goes_as_it_says(
    name: str, tmp_path: Path, kafka_bootstrap: str, database_url: str, topic_prefix: str
) -> None:
    folder = shutil.copytree(EXAMPLES / name, tmp_path / name)
    settings = {stack.KAFKA: kafka_bootstrap, stack.DATABASE: database_url, "DUNNING_TOPIC_PREFIX": topic_prefix}
    try:
        carry_out(folder, (folder / "live.txt").read_text(), settings)
    finally:
        answer("dunning down --data-dir data", folder, settings)
