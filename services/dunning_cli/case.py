"""`dunning case`: the recovery of one invoice, over all three tracks."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output, print_json
from dunning_cli.place import DataDir, find_place

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings
    from dunning_cli.asking import Connection
    from dunning_cli.cases.gather import CaseStory
    from dunning_cli.cases.read import Filter, Key, Reading, TrackRow

app = typer.Typer(help="Look into cases: list them, tell one's story.", no_args_is_help=True)

NO_SUCH_CASE = "DUN-C010"
WRONG_QUESTION = "DUN-C011"
LIMIT = 50
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")]


@app.command("list")
def list_cases(
    account: Annotated[str | None, typer.Option("--account", metavar="ID", help="Of this account.")] = None,
    invoice: Annotated[str | None, typer.Option("--invoice", metavar="ID", help="Of this invoice.")] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", help="At this stage on any track, such as requested or suspended.")
    ] = None,
    is_open: Annotated[
        bool | None, typer.Option("--open/--closed", help="Only those that are.", show_default=False)
    ] = None,
    limit: Limit = LIMIT,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """List cases by account and invoice, with their stage on each track.

    Example: dunning case list --stage suspended --open --limit 20
    """
    from dunning_cli.asking import ask
    from dunning_cli.cases.read import Filter
    from dunning_cli.cases.text import case_json, case_lines

    wanted = Filter(account, invoice, stage, is_open)
    rows = ask(_rows(find_place(data_dir).settings, wanted, limit + 1))
    shown = dict(list(rows.items())[:limit])
    if output is Format.JSON:
        print_json([case_json(key, tracks) for key, tracks in shown.items() if tracks])
        return
    print("\n".join(case_lines(shown) if shown else ["no case matches"]))
    if len(rows) > limit:
        print(f"more than {limit} match: name an account or a stage, or give a higher --limit")


@app.command("show", short_help="Tell the story of one case, and what comes next.")
def show_case(
    case_id: Annotated[
        str | None,
        typer.Argument(metavar="[CASE_ID]", help="The case's id, as `case list` shows it.", show_default=False),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="Instead of the id: its account, and")
    ] = None,
    invoice: Annotated[str | None, typer.Option("--invoice", metavar="ID", help="its invoice.")] = None,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """Tell the story of one case: what happened, when, why, and what comes next.

    Example: dunning case show --account acct-7 --invoice inv-2026-0042
    """
    from dunning_cli.asking import ask
    from dunning_cli.cases.text import story_json, story_lines

    named = [given is not None for given in (case_id, account, invoice)]
    if named not in ([True, False, False], [False, True, True]):
        raise CommandError(WRONG_QUESTION, "give a CASE_ID, or --account and --invoice together", exit_code=2)
    story = ask(_story(find_place(data_dir).settings, case_id, account or "", invoice or ""))
    if output is Format.JSON:
        print_json(story_json(story))
    else:
        print("\n".join(story_lines(story, datetime.now(UTC))))


async def _rows(settings: "Settings", wanted: "Filter", limit: int) -> "dict[Key, dict[str, TrackRow]]":
    from dunning_cli.asking import looking_into

    async with looking_into(settings) as connection:
        reading = await reading_of(connection, settings)
        return await reading.rows(await reading.keys(wanted, limit))


async def _story(settings: "Settings", case_id: str | None, account: str, invoice: str) -> "CaseStory":
    from dunning_cli.asking import looking_into
    from dunning_cli.cases.gather import gather_case, present_case_id
    from dunning_cli.cases.read import Key

    async with looking_into(settings) as connection:
        reading = await reading_of(connection, settings)
        key = await reading.key_of(case_id) if case_id else Key(account, invoice)
        wanted = case_id or (await present_case_id(reading, key) if key else None)
        if key is None or wanted is None:
            named = f"case {case_id}" if case_id else f"case of invoice {invoice} of account {account}"
            raise CommandError(NO_SUCH_CASE, f"there is no {named}: `dunning case list` shows those there are")
        return await gather_case(reading, wanted, key, datetime.now(UTC))


async def reading_of(connection: "Connection", settings: "Settings") -> "Reading":
    """What can be read; an error where no service has tables."""
    from dunning.runtime.problem import SCHEMA_MISSING
    from dunning_cli.cases.read import Reading

    reading = await Reading.of(connection, settings.topic_prefix)
    if not reading.services:
        raise CommandError(SCHEMA_MISSING, "the services have no tables in this database: `dunning migrate` makes them")
    return reading
