"""`dunning offsets`: up to where each service has read, and the ways on where records are gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output, columns, print_json
from dunning_cli.mode import By, user_name
from dunning_cli.place import DataDir, find_place
from dunning_cli.run import ServiceName

if TYPE_CHECKING:
    from dunning.runtime.broker_log import Bounds
    from dunning.runtime.postgres.offset_moves import Move, Stored
    from dunning.runtime.settings import Settings
    from dunning.runtime.store import TopicPartition

app = typer.Typer(help="See where each service reads, and move it where records are gone.", no_args_is_help=True)

NO_SUCH_PARTITION = "DUN-C040"
NOT_IN_THE_LOG = "DUN-C041"
MOVES_SHOWN = 5
EARLIEST, END = "earliest", "end"

ServiceOption = Annotated[ServiceName | None, typer.Option("--service", help="Only this one's.", show_default=False)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service reads a partition, and what its log holds."""

    service: str
    topic: str
    partition: int
    stored: int | None
    begin: int
    end: int
    read_through: datetime | None

    @property
    def state(self) -> str:
        """In two words or less; `gone` stops the partition (DUN-R008)."""
        if self.stored is None:
            return "ok" if self.read_through else "not read yet"  # nothing came, so nothing was stored
        if self.stored < self.begin:
            return f"gone: {self.begin - self.stored} records"
        if self.stored > self.end:
            return "behind the end"
        return "ok"

    @property
    def waiting(self) -> int:
        """Records between there and the end."""
        at = self.begin if self.stored is None else min(max(self.stored, self.begin), self.end)
        return self.end - at


@app.command("show", short_help="Show where each partition is read, and who moved it.")
def show(service: ServiceOption = None, output: Output = Format.TEXT, data_dir: DataDir = None) -> None:
    """Show the stored offsets against what the logs hold, and the latest moves.

    Markers of transactions take up offsets: a few that wait need not be records.

    Example: dunning offsets show --service account_enforcement
    """
    from dunning_cli.asking import ask

    names = [service.value] if service else [each.value for each in ServiceName]
    places, moves = ask(_known(find_place(data_dir).settings, names))
    if output is Format.JSON:
        print_json(
            {"partitions": [_as_json(each) for each in places], "moves": [_move_as_json(*each) for each in moves]}
        )
    else:
        print("\n".join(_lines(places, moves)))


@app.command("set", short_help="Read a partition from another offset on.")
def set_offset(
    service: Annotated[ServiceName, typer.Argument(help="Which one.", show_default=False)],
    topic: Annotated[str, typer.Argument(help="Its topic, with the prefix.", show_default=False)],
    partition: Annotated[int, typer.Argument(help="The number of the partition.", show_default=False)],
    to: Annotated[str, typer.Argument(metavar="earliest|end|OFFSET", help="Where to go on.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)],
    by: By = None,
    data_dir: DataDir = None,
) -> None:
    """Read a partition from there on; running instances follow within half a minute, and it is on record.

    earliest: all that its log still holds; what was read before is known and dropped (for as long as first sightings
    are remembered). end: only what comes from now on; whatever lies between is never read. OFFSET: one that
    the log holds. Nothing that is due happens before the partition is read to its end from there (rule 40).

    Example: dunning offsets set account_enforcement payment.failed 3 earliest --reason "the topic was made anew"
    """
    from dunning.runtime.store import TopicPartition
    from dunning_cli.asking import ask

    if not reason.strip():
        raise CommandError(NOT_IN_THE_LOG, "--reason is empty: say why, for the record", exit_code=2)
    tp = TopicPartition(topic, partition)
    move = ask(_moved(find_place(data_dir).settings, service.value, tp, to, by or user_name(), reason.strip()))
    former = "never read" if move.from_offset is None else f"was {move.from_offset}"
    print(f"{service.value}: {topic}[{partition}] is read from {move.to_offset} on, {former}")


async def _known(settings: "Settings", services: Sequence[str]) -> "tuple[list[Place], list[tuple[str, Move]]]":
    from dunning.runtime.postgres.offset_moves import moves, stored_offsets
    from dunning_cli.asking import bounds_of, require_broker, working_in

    require_broker(settings)
    places: list[Place] = []
    found: list[tuple[str, Move]] = []
    for service in services:
        async with working_in(settings, service) as connection:
            stored = await stored_offsets(connection, service)
            found += [(service, move) for move in await moves(connection, MOVES_SHOWN)]
        bounds = await bounds_of(settings, service)
        places += [_place(service, tp, stored.get(tp), bounds[tp]) for tp in sorted(bounds)]
    return places, sorted(found, key=lambda one: one[1].at, reverse=True)


async def _moved(settings: "Settings", service: str, tp: "TopicPartition", to: str, by: str, reason: str) -> "Move":
    from dunning.runtime.postgres.offset_moves import move_offset
    from dunning_cli.asking import bounds_of, require_broker, working_in

    require_broker(settings)
    bounds = (await bounds_of(settings, service)).get(tp)
    if bounds is None:
        hint = "`dunning offsets show` lists them"
        raise CommandError(NO_SUCH_PARTITION, f"{service} reads no {tp.topic}[{tp.partition}]: {hint}", exit_code=2)
    offset = offset_of(to, bounds)
    async with working_in(settings, service) as connection:
        return await move_offset(connection, tp, offset, by, reason)


def offset_of(to: str, bounds: "Bounds") -> int:
    """What was asked for, as an offset that the log holds. Raises CommandError where it does not."""
    if to == EARLIEST:
        return bounds.begin
    if to == END:
        return bounds.end
    if to.isascii() and to.isdigit() and bounds.begin <= int(to) <= bounds.end:
        return int(to)
    held = f"its log holds {bounds.begin} to {bounds.end}"
    raise CommandError(NOT_IN_THE_LOG, f'"{to}" is no place to go on from: {held}, or say earliest or end', exit_code=2)


def _place(service: str, tp: "TopicPartition", stored: "Stored | None", bounds: "Bounds") -> Place:
    at = stored.next_offset if stored else None
    return Place(service, tp.topic, tp.partition, at, bounds.begin, bounds.end, stored.read_through if stored else None)


def _lines(places: Sequence[Place], moves: "Sequence[tuple[str, Move]]") -> list[str]:
    from dunning.domain.calendar import rfc3339
    from dunning_cli.discreet import visible

    titles = ("service", "topic", "partition", "reads from", "log holds", "waiting", "read through", "state")
    lines = columns(
        titles,
        [
            (
                each.service,
                each.topic,
                str(each.partition),
                "-" if each.stored is None else str(each.stored),
                f"{each.begin} to {each.end}",
                str(each.waiting),
                rfc3339(each.read_through) if each.read_through else "-",
                each.state,
            )
            for each in places
        ],
    )
    if moves:
        lines += ["", "moved"]
    for service, move in moves:
        former = "-" if move.from_offset is None else move.from_offset
        where = f"{service} {move.tp.topic}[{move.tp.partition}]: {former} -> {move.to_offset}"
        lines.append(f"  {rfc3339(move.at)}  {where}, by {visible(move.by)}: {visible(move.reason)}")
    return lines


def _as_json(place: Place) -> dict[str, Any]:
    return {
        "service": place.service,
        "topic": place.topic,
        "partition": place.partition,
        "reads_from": place.stored,
        "log_begins": place.begin,
        "log_ends": place.end,
        "waiting": place.waiting,
        "read_through": place.read_through,
        "state": place.state,
    }


def _move_as_json(service: str, move: "Move") -> dict[str, Any]:
    return {
        "at": move.at,
        "service": service,
        "topic": move.tp.topic,
        "partition": move.tp.partition,
        "from": move.from_offset,
        "to": move.to_offset,
        "by": move.by,
        "reason": move.reason,
    }
