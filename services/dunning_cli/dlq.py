"""`dunning dlq`: messages that the services could not use, and why."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output, parse_time, print_json
from dunning_cli.place import DataDir, find_place
from dunning_cli.run import ServiceName

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings
    from dunning_cli.dead_letters.letters import DeadLetter, Filter, Place

app = typer.Typer(help="Look into dead letters: messages that a service set aside.", no_args_is_help=True)

NO_SUCH_LETTER = "DUN-C020"
WRONG_QUESTION = "DUN-C021"
NOT_IN_FORCE = "DUN-C022"
LetterId = Annotated[
    str, typer.Argument(metavar="SERVICE:TOPIC:PARTITION:OFFSET", help="As `dunning dlq list` shows it.")
]


@app.command("list")
def list_letters(
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="Messages of this topic, such as payment.failed.")
    ] = None,
    service: Annotated[ServiceName | None, typer.Option("--service", help="Set aside by this service.")] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="WORD", help="For this reason, such as invalid_json.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Set aside since then: an RFC 3339 time, or 2h, 3d.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most, the newest.")] = 50,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """List dead letters, the newest first. What several services read, each of them sets aside by itself.

    Example: dunning dlq list --service retry_scheduler --since 24h --format json
    """
    from dunning_cli.asking import ask
    from dunning_cli.dead_letters.letters import Filter
    from dunning_cli.dead_letters.text import letter_json, letter_lines

    wanted = Filter(service.value if service else None, topic, reason, parse_time("--since", since, WRONG_QUESTION))
    if not (topics := wanted.topics()):
        known = ", ".join(sorted({str(each.dead_letters_of) for each in Filter(wanted.service).topics()}))
        raise CommandError(WRONG_QUESTION, f'--topic: nobody reads "{topic}"; there are {known}', exit_code=2)
    letters = ask(_newest(find_place(data_dir).settings, wanted, limit))
    if output is Format.JSON:
        print_json([letter_json(each) for each in letters])
    elif letters:
        print("\n".join(letter_lines(letters)))
    else:
        print(f"no dead letters in {len(topics)} topics")


@app.command("show", short_help="Show one with its reason, its headers and its body.")
def show_letter(
    letter_id: LetterId,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write only the body, byte by byte, people's data included.")
    ] = False,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """Show one dead letter: its reason, where it came from, its headers and its body.

    Example: dunning dlq show retry_scheduler:payment.failed:0:12 --raw > event.json
    """
    from dunning_cli.asking import ask
    from dunning_cli.dead_letters.letters import parse_place
    from dunning_cli.dead_letters.text import whole_letter_json, whole_letter_lines

    place = parse_place(letter_id)
    if place is None:
        message = f'"{letter_id}" is no dead letter: write SERVICE:TOPIC:PARTITION:OFFSET, as `dunning dlq list` does'
        raise CommandError(WRONG_QUESTION, message, exit_code=2)
    letter = ask(_one(find_place(data_dir).settings, place))
    if letter is None:
        message = f"there is no dead letter {place}, or not any more: `dunning dlq list` shows those there are"
        raise CommandError(NO_SUCH_LETTER, message)
    if raw:
        sys.stdout.buffer.write(letter.body or b"")
    elif output is Format.JSON:
        print_json(whole_letter_json(letter))
    else:
        print("\n".join(whole_letter_lines(letter)))


@app.command("replay", short_help="Not in force yet.")
def replay(
    letter_id: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE:TOPIC:PARTITION:OFFSET]...")] = None,  # noqa: ARG001
) -> None:
    """Not in force yet: give a dead letter back to the service that set it aside.

    Until then send the corrected event again, as a new one, to the topic that it came from.

    Example: dunning dlq show retry_scheduler:payment.failed:0:12 --raw > event.json
    """
    raise CommandError(
        NOT_IN_FORCE,
        "replay is not in force yet: correct the event (`dunning dlq show ID --raw` writes its body) and send it again "
        "as a new one to its topic; what another service has read already acts only once",
        exit_code=2,
    )


async def _newest(settings: "Settings", wanted: "Filter", limit: int) -> "list[DeadLetter]":
    from dunning_cli.asking import require_broker
    from dunning_cli.dead_letters.read import DeadLetters

    require_broker(settings)
    async with DeadLetters.open(settings) as letters:
        return await letters.newest(wanted, limit)


async def _one(settings: "Settings", place: "Place") -> "DeadLetter | None":
    from dunning_cli.asking import require_broker
    from dunning_cli.dead_letters.read import DeadLetters

    require_broker(settings)
    async with DeadLetters.open(settings) as letters:
        return await letters.one(place)
