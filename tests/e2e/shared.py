"""One platform for all tests of a module: starting it costs more than most of them."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests import stack
from tests.e2e.platform import Platform, running_platform


def a_prefix() -> str:
    """Sets the topics, groups and transactional ids of a module apart from all others on the same broker."""
    return f"t{uuid.uuid4().hex[:12]}."


def write_policies(folder: Path, policies: Mapping[str, str]) -> Path:
    """A directory with these files."""
    folder.mkdir(exist_ok=True)
    for name, text in policies.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@contextmanager
def a_platform(
    folder: Path, servers: stack.Servers, policies: Mapping[str, str], **settings: str
) -> Iterator[Platform]:
    """The three services and a mail sink, on a database and topics of their own."""
    policy_dir = write_policies(folder / "policies", policies)
    with (
        stack.fresh_database(servers.database_url) as database_url,
        running_platform(
            folder / "data", policy_dir, servers.kafka_bootstrap_servers, database_url, a_prefix(), **settings
        ) as running,
    ):
        yield running
