"""PostgreSQL: whether it answers, whether its clock agrees with ours, and how old each service's tables are."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dunning.contracts.topics import SERVICES
from dunning.runtime.migrate import MigrationError, migrations_of
from dunning.runtime.settings import Settings
from dunning_cli.asking import Connection
from dunning_cli.health.findings import Finding, ok, problem, warning

DATABASE, CLOCK, SCHEMA, OUTBOX = "database", "clock", "schema", "outbox"
_SKEW_NOTICED = timedelta(seconds=1)
_OUTBOX_AGE_NOTICED, _OUTBOX_AGE_MAX = timedelta(seconds=30), timedelta(minutes=5)
_COUNTED_MAX = 100_000
_APPLIED = "select name, digest from {schema}.migrations"
_MODE = "select word from {schema}.present_mode"
_BACKLOG = """
select clock_timestamp() as now,
    (select count(*) from (select from {schema}.outbox limit $1) counted) as pending,
    (select min(recorded_at) from (
        select distinct on (shard) recorded_at from {schema}.outbox order by shard, id
    ) oldest) as oldest_at
"""


async def look_at_clock(connection: Connection, settings: Settings) -> list[Finding]:
    """The database decides what is due; while host and database differ too much, services wait (rule 3)."""
    before = datetime.now(UTC)
    database_now = await connection.fetchval("select clock_timestamp()")
    after = datetime.now(UTC)
    version = await connection.fetchval("show server_version")
    return [ok(DATABASE, f"PostgreSQL {version} answers"), compare_clocks(before, database_now, after, settings)]


def compare_clocks(before: datetime, database_now: datetime, after: datetime, settings: Settings) -> Finding:
    """Whatever lies between question and answer agrees; how far outside of it the database is, counts."""
    skew = max(before - database_now, database_now - after, timedelta())
    said = f"this host and the database differ by {skew.total_seconds():.1f} s"
    if skew.total_seconds() > settings.clock_skew_seconds_max:
        return problem(CLOCK, f"{said}: services stop reading and firing timers", "set both by NTP (chrony)")
    if skew > _SKEW_NOTICED:
        return warning(CLOCK, said, "set both by NTP (chrony) before it grows")
    return ok(CLOCK, said)


async def look_at_schemas(connection: Connection) -> tuple[list[Finding], list[str]]:
    """What is applied against the files; and the services whose tables can be asked."""
    findings: list[Finding] = []
    usable: list[str] = []
    for service in SERVICES:
        there = await connection.fetchval("select to_regclass($1) is not null", f"{service}.migrations")
        rows = await connection.fetch(_APPLIED.replace("{schema}", service)) if there else []
        found = compare_migrations(service, {row["name"]: row["digest"] for row in rows})
        findings.append(found)
        if rows:
            usable.append(service)
    return findings, usable


def compare_migrations(service: str, applied: dict[str, str]) -> Finding:
    """One service's tables."""
    try:
        steps = migrations_of(service)
    except MigrationError as error:
        return problem(SCHEMA, str(error), "install the program again: its files are not complete")
    missing = [step.name for step in steps if step.name not in applied]
    changed = [step.name for step in steps if applied.get(step.name, step.digest) != step.digest]
    newer = sorted(applied.keys() - {step.name for step in steps})
    if not applied:
        return problem(SCHEMA, f"{service} has no tables", "`dunning migrate` makes them")
    if changed:
        return problem(
            SCHEMA,
            f"{service}: {_listed(changed)} changed after it was applied",
            "put the file back as it was, and add a new migration",
        )
    if missing:
        return problem(SCHEMA, f"{service}: {_listed(missing)} is not applied", "`dunning migrate` applies it")
    if newer:
        return warning(
            SCHEMA, f"{service}: {_listed(newer)} is newer than this program", "bring this program up to date"
        )
    return ok(SCHEMA, f"{service} is up to date ({len(steps)} migrations)")


async def look_at_outbox(connection: Connection, service: str) -> Finding:
    """Events that are decided but not in Kafka yet."""
    row = await connection.fetchrow(_BACKLOG.replace("{schema}", service), _COUNTED_MAX)
    assert row is not None, "a select without from has one row"
    mode = await connection.fetchval(_MODE.replace("{schema}", service))
    if mode not in (None, "act") and row["pending"]:
        return ok(OUTBOX, f"{service}: {row['pending']} events are held back while its mode is {mode}")
    return judge_outbox(service, row["pending"], row["oldest_at"], row["now"])


def judge_outbox(service: str, pending: int, oldest_at: datetime | None, now: datetime) -> Finding:
    """By the age of the oldest: a busy relay has many rows, a stuck one has old ones."""
    if oldest_at is None:
        return ok(OUTBOX, f"{service}: nothing waits to be published")
    age = now - oldest_at
    count = f"more than {_COUNTED_MAX}" if pending == _COUNTED_MAX else str(pending)
    said = f"{service}: {count} events wait to be published, the oldest for {age.total_seconds():.0f} s"
    do = f"is {service} running, and does it reach Kafka? Its log and /readyz say why it does not publish"
    if age > _OUTBOX_AGE_MAX:
        return problem(OUTBOX, said, do)
    return warning(OUTBOX, said, do) if age > _OUTBOX_AGE_NOTICED else ok(OUTBOX, said)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
