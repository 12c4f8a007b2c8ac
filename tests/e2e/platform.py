"""The whole platform for one test: `dunning up` with the three services, on servers shared with other tests.

Topics, database, mails and processes are the test's own; what it started is stopped at the end.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dunning_cli.stack.env_file import read_env_file
from tests.stack import dunning_process, services_environment

_UP_SECONDS_MAX = 180


@dataclass(frozen=True, slots=True)
class Platform:
    """Where everything is, once it is ready."""

    data_dir: Path
    policy_dir: Path
    topic_prefix: str
    settings: Mapping[str, str]

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap servers."""
        return self.settings["DUNNING_KAFKA_BOOTSTRAP_SERVERS"]

    @property
    def mail_dir(self) -> Path:
        """Where the sink keeps the mails."""
        return Path(self.settings["DUNNING_MAIL_DIR"])

    def verify(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """Have the verifier judge all that happened."""
        tables = ["--database", self.settings["DUNNING_DATABASE_URL"]]
        places = ["--bootstrap", self.kafka, "--topic-prefix", self.topic_prefix, *tables]
        seen = ["--policy-dir", str(self.policy_dir), "--mail-dir", str(self.mail_dir)]
        arguments = [sys.executable, "-m", "dunning_verifier", *places, *seen, *options]
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=_UP_SECONDS_MAX)


@contextmanager
def running_platform(
    data_dir: Path, policy_dir: Path, kafka_bootstrap: str, database_url: str, topic_prefix: str, **settings: str
) -> Iterator[Platform]:
    """Everything up with these policies; `settings` are further settings of the services."""
    named = {
        "DUNNING_KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "DUNNING_DATABASE_URL": database_url,
        "DUNNING_TOPIC_PREFIX": topic_prefix,
    }
    environment = services_environment({**named, **settings})
    where = ["--data-dir", str(data_dir)]
    try:
        done = dunning_process(environment, "up", *where, "--policy-dir", str(policy_dir), "--detach")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Platform(data_dir, policy_dir, topic_prefix, read_env_file(data_dir / "env"))
    finally:
        dunning_process(environment, "down", *where)
