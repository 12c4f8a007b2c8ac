"""`dunning dlq replay` and `dunning dlq discard`: dealing with dead letters, on record (rule 5)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.dlq_options import (
    WRONG_QUESTION,
    LetterIds,
    Many,
    Reason,
    Service,
    Since,
    Topic,
    Until,
    Who,
    Yes,
    named_place,
    wanted_letters,
)
from dunning_cli.errors import CommandError
from dunning_cli.place import DataDir, find_place

if TYPE_CHECKING:
    from dunning_cli.dead_letters.dealing import Asked


def replay(
    letter_id: LetterIds = None,
    body: Annotated[
        Path | None,
        typer.Option("--body", metavar="FILE", help="Read this body instead: the corrected event. Ids of one message."),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header", metavar="NAME=VALUE", help="Correct a header; an empty value drops it. Ids of one message."
        ),
    ] = None,
    topic: Topic = None,
    service: Service = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Many = 1000,
    yes: Yes = False,
    by: Who = None,
    why: Annotated[str | None, typer.Option("--why", metavar="TEXT", help="Why, for the record.")] = None,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait for what becomes of it.")] = 10,
    data_dir: DataDir = None,
) -> None:
    """Give dead letters back to the service that set them aside; it reads each once, as if it had just come.

    By id, or all that the filters find: then it only says how many until --yes is given. Where a card number was
    masked, a corrected body is needed. What was applied is not applied again; what fails again may be replayed again.
    The event's own time decides what it does: a failure that was paid in the meantime does nothing.

    What several services set aside has an id for each of them; all are named with the one corrected body.

    Example: dunning dlq replay retry_scheduler:payment.failed:0:12 --body event.json --why "currency was missing"

    Example: dunning dlq replay --reason no_policy --since 24h --yes
    """
    from dunning_cli.asking import ask
    from dunning_cli.dead_letters.dealing import Correction, replayed
    from dunning_cli.dead_letters.orders import signed

    correction = Correction(_content(body), tuple(_header(text) for text in header or ()))
    if correction.is_given and not letter_id:
        message = "--body and --header correct one message: name its id, one for each service that set it aside"
        raise CommandError(WRONG_QUESTION, message, exit_code=2)
    asked = _asked(letter_id, topic, service, reason, since, until, limit, yes=yes)
    report = ask(replayed(find_place(data_dir).settings, asked, correction, signed(by, why), wait))
    print("\n".join(report.lines))
    if report.failed:
        raise typer.Exit(1)


def discard(
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why nothing is to be done, for the record.")],
    letter_id: LetterIds = None,
    topic: Topic = None,
    service: Service = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    limit: Many = 1000,
    yes: Yes = False,
    by: Who = None,
    data_dir: DataDir = None,
) -> None:
    """Note that dead letters need nothing: `dunning dlq list` hides them then. No byte is deleted, and each can still
    be replayed.

    By id, or all that the filters find: then it only says how many until --yes is given.

    Example: dunning dlq discard --topic payment.failed --reason invalid_json --until 2026-03-02T10:00:00Z
    --why "load test, the sender knows" --yes
    """
    from dunning_cli.asking import ask
    from dunning_cli.dead_letters.dealing import discarded
    from dunning_cli.dead_letters.orders import signed

    if not why.strip():
        raise CommandError(WRONG_QUESTION, "--why: say why nothing is to be done", exit_code=2)
    asked = _asked(letter_id, topic, service, reason, since, until, limit, yes=yes)
    report = ask(discarded(find_place(data_dir).settings, asked, signed(by, why)))
    print("\n".join(report.lines))


def _asked(
    letter_ids: list[str] | None,
    topic: str | None,
    service: Service,
    reason: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    *,
    yes: bool,
) -> "Asked":
    """Which dead letters: those named, or those that the filters find, but never simply all."""
    from dunning_cli.dead_letters.dealing import Asked

    filters = (topic, service, reason, since, until)
    if letter_ids:
        if any(each is not None for each in filters):
            raise CommandError(WRONG_QUESTION, "name dead letters by their ids or by filters, not by both", exit_code=2)
        return Asked(tuple(named_place(each) for each in letter_ids))
    if all(each is None for each in filters):
        message = "name dead letters by their ids, or by --topic, --service, --reason, --since or --until"
        raise CommandError(WRONG_QUESTION, message, exit_code=2)
    return Asked(wanted=wanted_letters(topic, service, reason, since, until), limit=limit, confirmed=yes)


def _content(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(WRONG_QUESTION, f"--body: cannot read {file}: {error.strerror}", exit_code=2) from None


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise CommandError(WRONG_QUESTION, f'--header: "{text}" is not NAME=VALUE', exit_code=2)
    return name, value
