"""`dunning brake`: how many accounts were restricted, and letting those that wait go on (rule 45)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from dunning_cli.listing import Format, Output, print_json
from dunning_cli.mode import By, Why, user_name
from dunning_cli.place import DataDir, find_place

if TYPE_CHECKING:
    from account_enforcement.brake import Standing
    from dunning_cli.place import Place

app = typer.Typer(help="See and open the brake against mass restriction.", no_args_is_help=True)

RECORDS_SHOWN = 10
_SERVICE = "account_enforcement"


@dataclass(frozen=True, slots=True)
class _Shown:
    """What there is to show."""

    standing: "Standing"
    record: list[dict[str, Any]]


@app.command("show", short_help="Show whether it is shut, how many wait, and who opened it.")
def show(output: Output = Format.TEXT, data_dir: DataDir = None) -> None:
    """Show how many accounts were newly restricted within 24 hours, the limit, and how many wait.

    Example: dunning brake show --format json
    """
    from dunning_cli.asking import ask

    found = ask(_shown(find_place(data_dir)))
    if output is Format.JSON:
        print_json(_as_json(found))
    else:
        print("\n".join(_lines(found)))


@app.command("open", short_help="Let the accounts that wait go on.")
def open_it(
    by: By = None,
    reason: Why = "",
    data_dir: DataDir = None,
) -> None:
    """Open the brake: what waits goes on, as after any outage, and what comes later counts anew.

    Look first whether they should: `dunning case list --stage past_due --open` shows cases.

    Example: dunning brake open --by ada --reason "looked at them, all real"
    """
    from dunning_cli.asking import ask

    held = ask(_opened(find_place(data_dir), by or user_name(), reason))
    print(f"open: {held} accounts go on")


async def _shown(place: "Place") -> _Shown:
    from account_enforcement.brake import QUERIES, Brake
    from dunning_cli.asking import working_in

    async with working_in(place.settings, _SERVICE) as connection:
        standing = await Brake(None).standing(connection)
        rows = await connection.fetch(QUERIES["brake_record"], RECORDS_SHOWN)
    return _Shown(standing, [dict(row) for row in rows])


async def _opened(place: "Place", by: str, reason: str) -> int:
    from account_enforcement.brake import open_brake
    from dunning_cli.asking import working_in

    async with working_in(place.settings, _SERVICE) as connection:
        return await open_brake(connection, by, reason)


def _lines(found: _Shown) -> list[str]:
    from dunning.domain.calendar import rfc3339
    from dunning_cli.discreet import visible

    at = found.standing
    state = f"shut since {rfc3339(at.shut_at)}" if at.shut_at else "open"
    lines = [
        f"the brake is {state}",
        f"newly restricted, suspended or terminated: {at.restricted} accounts of {at.limit} within 24 hours",
        f"waiting: {at.held} accounts",
    ]
    if found.record:
        lines += ["", "on record"]
    for each in found.record:
        why = f": {visible(each['reason'])}" if each["reason"] else ""
        lines.append(f"  {rfc3339(each['at'])}  {each['what']} by {visible(each['by_name'])}{why}")
    return lines


def _as_json(found: _Shown) -> dict[str, Any]:
    at = found.standing
    return {
        "shut_at": at.shut_at,
        "restricted": at.restricted,
        "limit": at.limit,
        "held": at.held,
        "record": [
            {"at": each["at"], "what": each["what"], "by": each["by_name"], "reason": each["reason"]}
            for each in found.record
        ],
    }
