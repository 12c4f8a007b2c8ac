"""Whether the services are switched on, and since when what fails counts (rules 42 and 43)."""

from collections.abc import Sequence
from datetime import datetime

from dunning.contracts.topics import ACCOUNT_ENFORCEMENT
from dunning.domain.calendar import rfc3339
from dunning.runtime.start import read_start
from dunning_cli.asking import Connection
from dunning_cli.discreet import visible
from dunning_cli.health.findings import Finding, ok, problem, warning

MODE, START, BRAKE = "mode", "start", "brake"
_START = "select value from {schema}.facts where name = 'start'"
_BRAKE = """
select shut_at, (select count(distinct account_id) from account_enforcement.cases where held_since is not null) as held
from account_enforcement.brake
"""
_MODE = """
select word, at, by_name, reason
from {schema}.present_mode left join (
    select at, by_name, reason from {schema}.mode_switches order by id desc limit 1
) last on true
"""


async def look_at_start(connection: Connection, usable: Sequence[str]) -> list[Finding]:
    """Services that share a database agree by themselves; each of several databases must have been told."""
    found: dict[str, datetime] = {}
    for service in usable:
        value = await connection.fetchval(_START.replace("{schema}", service))
        if value is not None:
            found[service] = read_start(value)
    return [judge_start(found, await connection.fetchval("select now()"))] if found else []


def judge_start(found: dict[str, datetime], now: datetime) -> Finding:
    """One instant for all. One that lies ahead may be meant, but a slip in it would show in nothing else."""
    if len(set(found.values())) > 1:
        said = ", ".join(f"{service} {rfc3339(start)}" for service, start in found.items())
        return problem(START, f"the services do not agree on DUNNING_START: {said}", "give all the same, from a backup")
    start = next(iter(found.values()))
    if start > now:
        message = f"no failure opens a case before {rfc3339(start)} (DUNNING_START), which lies ahead"
        return warning(START, message, "where that is not meant: it is fixed, so begin anew with empty databases")
    return ok(START, f"what failed before {rfc3339(start)} opens no case (DUNNING_START)")


async def look_at_mode(connection: Connection, service: str) -> Finding:
    """Who switched it."""
    there = await connection.fetchval("select to_regclass($1) is not null", f"{service}.present_mode")
    row = await connection.fetchrow(_MODE.replace("{schema}", service)) if there else None
    if row is None:
        return problem(MODE, f"{service} does not know its mode", "`dunning migrate`")
    return judge_mode(service, row["word"], row["at"], row["by_name"], row["reason"])


async def look_at_brake(connection: Connection, usable: Sequence[str]) -> list[Finding]:
    """Whether accounts wait for somebody to look."""
    there = ACCOUNT_ENFORCEMENT in usable and await connection.fetchval(
        "select to_regclass($1) is not null", f"{ACCOUNT_ENFORCEMENT}.brake"
    )
    if not there:
        return []
    row = await connection.fetchrow(_BRAKE)
    assert row is not None, "there is one row"
    return [judge_brake(row["shut_at"], row["held"])]


def judge_brake(shut_at: datetime | None, held: int) -> Finding:
    """Shut is a problem: customers wait, one way or the other."""
    if shut_at is None:
        return ok(BRAKE, "the brake is open")
    said = f"the brake is shut since {rfc3339(shut_at)}, {held} accounts wait"
    return problem(BRAKE, said, "find out why so many; `dunning brake open` lets them go on")


def judge_mode(service: str, word: str | None, at: datetime | None, by: str | None, reason: str | None) -> Finding:
    """A service that does not act is as somebody wanted it; whoever wonders why nothing happens should see it here."""
    if word is None:
        return ok(MODE, f"{service} was not started yet")
    since = f" since {rfc3339(at)} by {visible(by or '')}" if at else ""
    why = f" ({visible(reason)})" if reason else ""
    said = f"{service}: {word}{since}{why}"
    if word == "act":
        return ok(MODE, said)
    return warning(MODE, f"{said}: nothing goes out", f"`dunning mode set {service} act` when it shall")
