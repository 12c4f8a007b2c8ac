"""The options that the commands of `dunning dlq` share: which dead letters, and who says so."""

from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import parse_time
from dunning_cli.run import ServiceName

if TYPE_CHECKING:
    from dunning_cli.dead_letters.letters import Filter, Place
    from dunning_cli.dead_letters.orders import State

WRONG_QUESTION = "DUN-C021"
ALL = "all"

LetterId = Annotated[
    str, typer.Argument(metavar="SERVICE:TOPIC:PARTITION:OFFSET", help="As `dunning dlq list` shows it.")
]
LetterIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SERVICE:TOPIC:PARTITION:OFFSET]...", help="As `dunning dlq list` shows them."),
]
Topic = Annotated[
    str | None, typer.Option("--topic", metavar="TOPIC", help="Messages of this topic, such as payment.failed.")
]
Service = Annotated[ServiceName | None, typer.Option("--service", help="Set aside by this service.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="WORD", help="For this reason, such as invalid_json.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Set aside since then: an RFC 3339 time, or 2h, 3d.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Set aside before then.")]
Many = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most, where none is named.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without this, say what would be done. Not with ids.")]
Who = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who you are, for the record.  [default: your login]")
]


def wanted_letters(
    topic: str | None, service: ServiceName | None, reason: str | None, since: str | None, until: str | None
) -> "Filter":
    """The filter that the options make. Raises CommandError where it can find nothing."""
    from dunning.runtime.dead_letters import REASONS
    from dunning_cli.dead_letters.letters import Filter

    if reason is not None and reason not in REASONS:
        raise CommandError(WRONG_QUESTION, f'--reason: "{reason}" is none of {", ".join(REASONS)}', exit_code=2)
    wanted = Filter(
        service.value if service else None,
        topic,
        reason,
        parse_time("--since", since, WRONG_QUESTION),
        parse_time("--until", until, WRONG_QUESTION),
    )
    if not wanted.topics():
        known = ", ".join(sorted({str(each.dead_letters_of) for each in Filter(wanted.service).topics()}))
        raise CommandError(WRONG_QUESTION, f'--topic: nobody reads "{topic}"; there are {known}', exit_code=2)
    return wanted


def states_of(word: str | None) -> "frozenset[State]":
    """The states that `--state` asks for: left out, what was discarded stays hidden."""
    from dunning_cli.dead_letters.orders import State

    if word is None:
        return frozenset(State) - {State.DISCARDED}
    if word == ALL:
        return frozenset(State)
    if word not in set(State):
        known = ", ".join([*State, ALL])
        raise CommandError(WRONG_QUESTION, f'--state: "{word}" is none of {known}', exit_code=2)
    return frozenset({State(word)})


def named_place(letter_id: str) -> "Place":
    """The dead letter that an id names. Raises CommandError."""
    from dunning_cli.dead_letters.letters import parse_place

    place = parse_place(letter_id)
    if place is None:
        message = f'"{letter_id}" is no dead letter: write SERVICE:TOPIC:PARTITION:OFFSET, as `dunning dlq list` does'
        raise CommandError(WRONG_QUESTION, message, exit_code=2)
    return place
