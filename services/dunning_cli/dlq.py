"""`dunning dlq`: messages that the services could not use: why, what was done about each, and what to do."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.dlq_options import (
    LetterId,
    Reason,
    Service,
    Since,
    Topic,
    Until,
    named_place,
    wanted_letters,
)
from dunning_cli.dlq_orders import discard, replay
from dunning_cli.listing import Format, Output, print_json
from dunning_cli.place import DataDir, find_place

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings
    from dunning_cli.dead_letters.letters import DeadLetter, Filter, Place
    from dunning_cli.dead_letters.orders import Standing, State

app = typer.Typer(help="Look after dead letters: messages that a service set aside.", no_args_is_help=True)
app.command("replay")(replay)
app.command("discard")(discard)

StateWord = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar="WORD",
        help="open (nobody dealt with it), waiting, applied, duplicate, set_aside (again), passed_over, discarded, all."
        "  [default: all but the discarded]",
    ),
]


@app.command("list")
def list_letters(
    topic: Topic = None,
    service: Service = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    state: StateWord = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most, the newest.")] = 50,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """List dead letters, the newest first. What several services read, each of them sets aside by itself.

    Example: dunning dlq list --service retry_scheduler --since 24h --state open
    """
    from dunning_cli.asking import ask
    from dunning_cli.dead_letters.text import letter_json, letter_lines
    from dunning_cli.dlq_options import states_of

    wanted, states = wanted_letters(topic, service, reason, since, until), states_of(state)
    found = ask(_newest(find_place(data_dir).settings, wanted, limit, states))
    if output is Format.JSON:
        print_json([letter_json(letter, standing) for letter, standing in found])
    elif found:
        print("\n".join(letter_lines(found)))
    else:
        print(f"no dead letters in {len(wanted.topics())} topics")


@app.command("show", short_help="Show one with its reason, its headers, its body, and what was done about it.")
def show_letter(
    letter_id: LetterId,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write only the body, byte by byte, people's data included.")
    ] = False,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """Show one dead letter: its reason, where it came from, what was done about it, its headers and its body.

    Example: dunning dlq show retry_scheduler:payment.failed:0:12 --raw > event.json
    """
    from dunning_cli.asking import ask
    from dunning_cli.dead_letters.dealing import no_such_letter
    from dunning_cli.dead_letters.text import whole_letter_json, whole_letter_lines

    place = named_place(letter_id)
    found = ask(_one(find_place(data_dir).settings, place))
    if found is None:
        raise no_such_letter([place])
    letter, standing = found
    if raw:
        sys.stdout.buffer.write(letter.body or b"")
    elif output is Format.JSON:
        print_json(whole_letter_json(letter, standing))
    else:
        print("\n".join(whole_letter_lines(letter, standing)))


async def _newest(
    settings: "Settings", wanted: "Filter", limit: int, states: "frozenset[State]"
) -> "list[tuple[DeadLetter, Standing]]":
    from dunning_cli.asking import require_broker
    from dunning_cli.dead_letters.orders import Orders
    from dunning_cli.dead_letters.read import DeadLetters

    require_broker(settings)
    async with Orders.open(settings) as orders, DeadLetters.open(settings) as letters:
        found = await letters.newest(wanted, limit, orders.in_states(states))
        standings = await orders.of([letter.place for letter in found])
    return [(letter, standings[letter.place]) for letter in found]


async def _one(settings: "Settings", place: "Place") -> "tuple[DeadLetter, Standing] | None":
    from dunning_cli.asking import require_broker
    from dunning_cli.dead_letters.orders import Orders
    from dunning_cli.dead_letters.read import DeadLetters

    require_broker(settings)
    async with DeadLetters.open(settings) as letters:
        letter = await letters.one(place)
    if letter is None:
        return None
    async with Orders.open(settings) as orders:
        return letter, (await orders.of([place]))[place]
