"""`dunning doctor`: is everything as it should be, and if not, what to do."""

from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from dunning_cli.listing import Format, Output, print_json
from dunning_cli.place import DataDir, Place, find_place

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings
    from dunning_cli.health.findings import Finding


def doctor(output: Output = Format.TEXT, data_dir: DataDir = None) -> None:
    """Look at brokers, topics, tables, policies, clocks, modes, lag, dead letters, outbox, services and mail.

    Nothing is changed. Exit code 0: nothing is a problem, warnings or not; 1: something is.

    Example: dunning doctor --data-dir .dunning --format json
    """
    from dunning_cli.asking import ask
    from dunning_cli.health.findings import Level

    findings = ask(examine(find_place(data_dir)))
    if output is Format.JSON:
        print_json([_as_json(each) for each in findings])
    else:
        print("\n".join(_lines(findings)))
    if any(each.level is Level.PROBLEM for each in findings):
        raise typer.Exit(1)


async def examine(place: Place) -> "list[Finding]":
    """Every look, also after one that failed: who is called at night wants the whole picture."""
    import asyncio

    from dunning.contracts.topics import SERVICES
    from dunning_cli.health import brokers, outside

    settings = place.settings
    findings = await _answered(brokers.KAFKA, brokers.look_at_topics(settings))
    findings += await _database(place, settings)
    for service in SERVICES:
        findings.append(await asyncio.to_thread(outside.look_at_service, service, place.metrics_url(service)))
    smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    findings.append(await asyncio.to_thread(outside.look_at_mail, smtp_url))
    return findings


async def _database(place: Place, settings: "Settings") -> "list[Finding]":
    from dunning_cli.health import database, policies

    found = await _answered(database.DATABASE, _in_database(place, settings))
    if not any(each.check == policies.POLICIES for each in found):
        found += policies.look_at_policies(place.policy_dir, {})
    return found


async def _in_database(place: Place, settings: "Settings") -> "list[Finding]":
    from dunning.contracts.topics import SERVICES
    from dunning_cli.asking import connected
    from dunning_cli.health import database, lag, letters, live, policies

    connection = await connected(settings)
    try:
        findings = await database.look_at_clock(connection, settings)
        schemas, usable = await database.look_at_schemas(connection)
        findings += schemas
        findings += policies.look_at_policies(place.policy_dir, await policies.versions_on_file(connection, usable))
        findings += await live.look_at_start(connection, usable)
        findings += [await live.look_at_mode(connection, service) for service in usable]
        findings += await live.look_at_brake(connection, usable)
        findings += await _answered(lag.LAG, lag.look_at_lag(connection, settings, usable))
        if len(usable) == len(SERVICES):
            findings += await _answered(letters.LETTERS, letters.look_at_letters(settings))
        return findings + [await database.look_at_outbox(connection, service) for service in usable]
    finally:
        await connection.close()


async def _answered(check: str, look: "Coroutine[Any, Any, list[Finding]]") -> "list[Finding]":
    """What a look found; where nobody answered it, that is the finding."""
    import asyncpg

    from dunning.runtime.broker_log import KAFKA_TROUBLES
    from dunning.runtime.problem import Problem
    from dunning.runtime.store import StoreUnavailable
    from dunning_cli.errors import CommandError
    from dunning_cli.health.findings import problem

    try:
        return await look
    except (CommandError, Problem) as error:  # say themselves what to do
        return [problem(check, str(error), "")]
    except (asyncpg.PostgresError, StoreUnavailable) as error:
        return [problem(check, f"PostgreSQL: {error}", "is it running, and is DUNNING_DATABASE_URL right?")]
    except KAFKA_TROUBLES as error:
        return [problem(check, f"Kafka: {error or type(error).__name__}", "is it running? Its log says more")]


def _lines(findings: "Sequence[Finding]") -> Iterator[str]:
    from dunning_cli.discreet import visible

    for each in findings:
        yield visible(f"{each.level:<8} {each.check:<9} {each.message}")
        if each.do:
            yield visible(f"{'':<18} -> {each.do}")
    counts = Counter(str(each.level) for each in findings)
    yield ", ".join(_counted(count, level) for level, count in counts.items())


def _counted(count: int, level: str) -> str:
    return f"{count} {level}{'s' if count > 1 and level != 'ok' else ''}"


def _as_json(finding: "Finding") -> dict[str, str]:
    return {"check": finding.check, "level": finding.level, "message": finding.message, "do": finding.do}
