"""What has to be there before a service starts: its topics and its tables."""

import asyncio

from dunning.contracts.topics import SERVICES
from dunning_cli.stack.errors import PREPARATION_FAILED, StackError
from dunning_cli.stack.infra import Infra
from dunning_cli.stack.report import Report


def prepare(infra: Infra, report: Report) -> None:
    """Create the topics that are missing and bring each service's schema up to date; safe to do again."""
    asyncio.run(_prepare(infra, report))


async def _prepare(infra: Infra, report: Report) -> None:
    import asyncpg

    from dunning.runtime.migrate import MigrationError, migrate_with_shadow
    from dunning.runtime.problem import Problem
    from dunning.runtime.settings import Settings, load_settings
    from dunning.runtime.topics import create_topics

    # The other settings (TLS, the topic prefix) are read from the environment, as the services do.
    given = {"kafka_bootstrap_servers": infra.kafka_bootstrap_servers, "database_url": infra.database_url}
    settings = load_settings(Settings, **given)
    topics = await create_topics(settings)
    for difference in topics.differences:
        report.say(f"left as it is: {difference}")
    try:
        applied = []
        for service in SERVICES:
            applied += await migrate_with_shadow(infra.database_url, service, start=settings.start)
    except (MigrationError, Problem, asyncpg.PostgresError) as error:
        raise StackError(PREPARATION_FAILED, f"cannot migrate: {error}") from error
    if topics.created or applied:
        report.say(f"created {len(topics.created)} topics, applied {len(applied)} migrations")
