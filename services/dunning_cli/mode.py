"""`dunning mode`: whether each service acts, observes or stops, and who said so (rule 42)."""

import getpass
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output, columns, print_json
from dunning_cli.place import DataDir, find_place
from dunning_cli.run import ServiceName

if TYPE_CHECKING:
    from dunning.runtime.postgres.modes import Switch
    from dunning.runtime.settings import Settings
    from dunning.runtime.switch import Switched

app = typer.Typer(help="See and switch whether the services act, observe or stop.", no_args_is_help=True)

NOT_QUIET = "DUN-C030"
SWITCHES_SHOWN = 5


class Which(StrEnum):
    """The services, or all of them."""

    RETRY_SCHEDULER = "retry_scheduler"
    NOTIFICATION_DISPATCHER = "notification_dispatcher"
    ACCOUNT_ENFORCEMENT = "account_enforcement"
    ALL = "all"

    @property
    def names(self) -> list[str]:
        """The services that are meant."""
        return [each.value for each in ServiceName] if self is Which.ALL else [self.value]


class To(StrEnum):
    """What a service can be told."""

    ACT = "act"
    OBSERVE = "observe"
    STOP = "stop"


By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so.  [default: the user]")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


@app.command("show", short_help="Show each service's mode and the latest switches.")
def show(output: Output = Format.TEXT, data_dir: DataDir = None) -> None:
    """Show which mode each service is in, since when, and who switched it why.

    Example: dunning mode show --format json
    """
    from dunning_cli.asking import ask

    found = ask(_known(find_place(data_dir).settings))
    if output is Format.JSON:
        print_json([_as_json(service, mode, switches) for service, mode, switches in found])
    else:
        print("\n".join(_lines(found)))


@app.command("set", short_help="Switch one service or all of them.")
def set_mode(
    service: Annotated[Which, typer.Argument(metavar="SERVICE|all", help="Which one.", show_default=False)],
    mode: Annotated[To, typer.Argument(metavar="act|observe|stop", help="What it shall do.", show_default=False)],
    by: By = None,
    reason: Why = "",
    data_dir: DataDir = None,
) -> None:
    """Switch while everything runs: all instances follow within a second, and nothing slips out afterwards.

    stop: the service reads and records, nothing goes out. observe: it shows what it would do, under `observed.` topics,
    and does nothing. act: it acts; what came due meanwhile happens now, of the notices that piled up only the last.
    Returns when whatever was just going out has ended. Exit code 1: it has not, and the line says what.

    Example: dunning mode set all stop --by ada --reason "the processor is down"
    """
    from dunning_cli.asking import ask

    settings = find_place(data_dir).settings
    done = ask(_switched(settings, service.names, mode.value, by or user_name(), reason))
    for each in done:
        print(_told(each))
    loose = [each for each in done if each.unfenced or each.begun]
    if loose:
        raise CommandError(NOT_QUIET, "; ".join(map(_loose_end, loose)))


def user_name() -> str:
    """Whoever runs the command, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


async def _known(settings: "Settings") -> "list[tuple[str, str | None, Sequence[Switch]]]":
    from dunning.runtime.postgres.modes import present_mode, switches
    from dunning_cli.asking import working_in

    found: list[tuple[str, str | None, Sequence[Switch]]] = []
    for service in ServiceName:
        async with working_in(settings, service.value) as connection:
            found.append((service.value, await present_mode(connection), await switches(connection, SWITCHES_SHOWN)))
    return found


async def _switched(settings: "Settings", services: Sequence[str], mode: str, by: str, reason: str) -> "list[Switched]":
    """All at once: what one has still to finish does not hold up the others."""
    import asyncio

    from dunning.runtime.mode import Mode
    from dunning.runtime.switch import switch
    from dunning_cli.asking import require_database

    require_database(settings)
    return await asyncio.gather(*(switch(settings, service, Mode(mode), by, reason) for service in services))


def _told(done: "Switched") -> str:
    if done.switch is None:
        return f"{done.service}: {done.mode} already"
    former = done.switch.from_mode or "not started yet"
    return f"{done.service}: {done.mode}, was {former}"


def _loose_end(done: "Switched") -> str:
    ends = []
    if done.unfenced:
        ends.append(f"Kafka did not answer ({done.unfenced}), so an event that was just being sent may still arrive")
    if done.begun:
        ends.append(f"{done.begun} notices that were being sent have not ended yet")
    return f"{done.service} is switched, but {' and '.join(ends)}: say it again"


def _lines(found: "Sequence[tuple[str, str | None, Sequence[Switch]]]") -> list[str]:
    from dunning.domain.calendar import rfc3339
    from dunning_cli.discreet import visible

    lines = columns(
        ("service", "mode", "since", "by", "reason"),
        [
            (service, mode or "not started", rfc3339(last[0].at), visible(last[0].by), visible(last[0].reason))
            if last
            else (service, mode or "not started", "-", "-", "-")
            for service, mode, last in found
        ],
    )
    older = [(each.at, service, each) for service, _, known in found for each in known[1:]]
    if older:
        lines += ["", "before that"]
    lines += [
        f"  {rfc3339(at)}  {service}: {each.from_mode or 'not started'} -> {each.to_mode}, by {visible(each.by)}"
        + (f": {visible(each.reason)}" if each.reason else "")
        for at, service, each in sorted(older, key=lambda one: one[0], reverse=True)
    ]
    return lines


def _as_json(service: str, mode: str | None, switches: "Sequence[Switch]") -> dict[str, Any]:
    return {
        "service": service,
        "mode": mode,
        "switches": [
            {"at": each.at, "from": each.from_mode, "to": each.to_mode, "by": each.by, "reason": each.reason}
            for each in switches
        ],
    }
