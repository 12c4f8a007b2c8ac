"""`dunning report`: what happened, or would have, in numbers by day."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunning_cli.listing import Format, Output, columns, parse_time, print_json
from dunning_cli.place import DataDir, find_place

if TYPE_CHECKING:
    from datetime import datetime

    from dunning.runtime.settings import Settings
    from dunning_cli.observed.read import DryRun

app = typer.Typer(help="Reports in numbers.", no_args_is_help=True)

WRONG_QUESTION = "DUN-C031"


@app.callback()
def _commands() -> None:
    """Keeps the name of the command in use while there is only one."""


@app.command("dry-run", short_help="What services in mode observe would have done, by day.")
def dry_run(
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="From then on: an RFC 3339 time, or 2h, 3d.  [default: the last switch]"
        ),
    ] = None,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """Show what would have happened while services observed: notices by rung and channel, charges, restrictions.

    Days are those of UTC. Without --since each service is shown since it was last switched to observe.

    Example: dunning report dry-run --format json
    """
    from dunning_cli.asking import ask

    found = ask(_found(find_place(data_dir).settings, parse_time("--since", since, WRONG_QUESTION)))
    if output is Format.JSON:
        print_json(_as_json(found))
    else:
        print("\n".join(_lines(found)))


async def _found(settings: "Settings", since: "datetime | None") -> "DryRun":
    from dunning_cli.asking import looking_into
    from dunning_cli.observed.read import read_dry_run

    async with looking_into(settings) as connection:
        return await read_dry_run(connection, settings.topic_prefix, since)


def _as_json(found: "DryRun") -> dict[str, Any]:
    return {
        "since": found.since,
        "notices": [dict(each) for each in found.notices],
        "charges": [dict(each) for each in found.charges],
        "restrictions": [dict(each) for each in found.restrictions],
    }


def _lines(found: "DryRun") -> list[str]:
    from dunning.domain.calendar import rfc3339
    from dunning_cli.discreet import visible
    from dunning_cli.money import money

    if not found.since:
        return ["no service has observed yet: `dunning mode set all observe`"]
    lines = [f"{service} observed since {rfc3339(at)}" for service, at in found.since.items()]
    lines += ["", "notices that would have been sent, and those that would not"]
    lines += _table(
        ("day", "rung", "channel", "outcome", "number"),
        [
            (each["day"], visible(each["rung"]), each["channel"], _outcome(each), str(each["number"]))
            for each in found.notices
        ],
    )
    lines += ["", "charges that would have been asked for"]
    lines += _table(
        ("day", "number", "amount"),
        [(each["day"], str(each["number"]), money(each["amount_minor"], each["currency"])) for each in found.charges],
    )
    lines += ["", "accounts that would have become"]
    lines += _table(
        ("day", "status", "accounts"),
        [(each["day"], each["status"], str(each["accounts"])) for each in found.restrictions],
    )
    return lines


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; a table without rows says so."""
    return columns(titles, rows) if rows else ["none"]


def _outcome(each: Any) -> str:
    return f"{each['outcome']} ({each['reason']})" if each["reason"] else str(each["outcome"])
