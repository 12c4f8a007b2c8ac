"""Where a trial runs: servers, topics, tables, and what its services are told."""

import asyncio
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from dunning.runtime.migrate import migrate
from dunning.runtime.settings import Settings, load_settings
from dunning.runtime.topics import create_topics
from tests import stack
from tests.bench.figures import counters
from tests.bench.measure import Wrong, running
from tests.pages import page_of

# What docs/operations.md asks for; all else is PostgreSQL's default.
DATABASE_SETTINGS = {"shared_buffers": "4GB", "max_wal_size": "16GB", "checkpoint_timeout": "15min"}
POLICIES = Path(__file__).parent / "policies"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def _fresh_prefix() -> str:
    return f"bench{uuid.uuid4().hex[:8]}."


@dataclass(frozen=True, slots=True)
class Place:
    """A broker, a database and a folder for logs. `servers` are the process ids of broker and database, where they
    are there for this trial alone."""

    bootstrap: str
    database: str
    folder: Path
    servers: Mapping[str, int] = field(default_factory=dict)
    prefix: str = field(default_factory=_fresh_prefix)
    policies: Path = POLICIES

    def with_database(self, url: str) -> "Place":
        """The same servers with another database, and topics of its own."""
        return replace(self, database=url, prefix=_fresh_prefix())

    def topic(self, name: str) -> str:
        return self.prefix + name

    async def prepare(self, services: Sequence[str]) -> None:
        """Topics, and tables of these services."""
        given = {"kafka_bootstrap_servers": self.bootstrap, "database_url": self.database, "topic_prefix": self.prefix}
        await create_topics(load_settings(Settings, **given))
        for service in services:
            await migrate(self.database, service, start=LONG_AGO)

    def environment(self, **more: str) -> dict[str, str]:
        """What a service is told."""
        return {
            stack.KAFKA: self.bootstrap,
            stack.DATABASE: self.database,
            "DUNNING_TOPIC_PREFIX": self.prefix,
            "DUNNING_POLICY_DIR": str(self.policies),
            "DUNNING_MAX_RESTRICTIONS_PER_DAY": "1000000000",
            **more,
        }

    @contextmanager
    def running(self, services: Sequence[str], **settings: str) -> Iterator[dict[str, int]]:
        """The services as processes; yields their process ids. Where nothing comes of it, their last words say why."""
        with running(services, self.environment(**settings), self.folder) as pids:
            try:
                yield pids
            except Wrong as error:
                raise Wrong(f"{error}; {self._last_words(services)}") from None

    def _last_words(self, services: Sequence[str]) -> str:
        said = ((self.folder / f"{service}.log").read_text().strip().splitlines() for service in services)
        return "; ".join(lines[-1] for lines in said if lines) or "they said nothing"

    def metrics(self, service: str) -> Mapping[str, float]:
        """What the running service counts, labels summed up; nothing while it does not answer yet."""
        answer = page_of(self.folder / f"{service}.log", "/metrics")
        return counters(answer[1]) if answer is not None else {}


@contextmanager
def own_place() -> Iterator[Place]:
    """Servers of its own, so that no trial inherits another's tables, caches and logs. Started twice: the database
    server takes its memory when it starts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)  # the database server runs as a user of its own where we are root
        with stack.kept(root / "stack") as settings:
            for name, value in DATABASE_SETTINGS.items():
                asyncio.run(stack.execute(settings[stack.DATABASE], f"alter system set {name} = '{value}'"))
        with stack.kept(root / "stack") as settings:
            servers = {name: int(settings[f"DUNNING_PIDS_{name.upper()}"]) for name in ("kafka", "postgres")}
            yield Place(settings[stack.KAFKA], settings[stack.DATABASE], root, servers)
