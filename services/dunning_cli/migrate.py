"""`dunning migrate`: the tables of the services, and the topics that are missing."""

from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.place import DataDir, find_place
from dunning_cli.run import ServiceName

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings


def migrate(
    service: Annotated[
        ServiceName | None, typer.Option("--service", help="Only this one's tables.", show_default=False)
    ] = None,
    outbox_shards: Annotated[
        int | None,
        typer.Option(
            "--outbox-shards",
            help="How many instances of a service can publish at once; fixed when its tables are made.  [default: 2]",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Bring the tables of all three services up to date, and create the topics that are missing.

    Safe to run twice, and by several at once. Topics that exist are never changed; `dunning doctor` compares them.

    Example: dunning migrate --service retry_scheduler
    """
    from dunning_cli.asking import ask

    settings = find_place(data_dir).settings
    services = [service] if service else list(ServiceName)
    for line in ask(_migrate(settings, [each.value for each in services], outbox_shards)):
        print(line)


async def _migrate(settings: "Settings", services: list[str], shards: int | None) -> list[str]:
    """What was done, a line each. The database first: it is what a deployment waits for."""
    from dunning.runtime.migrate import migrate_with_shadow
    from dunning.runtime.run import postgres_settings
    from dunning.runtime.topics import create_topics
    from dunning_cli.asking import require_broker, require_database

    require_database(settings)
    require_broker(settings)
    lines = []
    for service in services:
        applied = await migrate_with_shadow(postgres_settings(settings), service, shards=shards, start=settings.start)
        lines += [f"{service}: applied {step}" for step in applied] or [f"{service}: up to date"]
    report = await create_topics(settings)
    lines += [f"topic {name}: created" for name in report.created] or ["topics: all there"]
    return lines + [f"left as it is: {difference}" for difference in report.differences]
