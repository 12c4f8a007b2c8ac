"""`dunning account`: what one account may do, and why."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.case import LIMIT, reading_of
from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output, print_json
from dunning_cli.place import DataDir, find_place

if TYPE_CHECKING:
    from dunning.runtime.settings import Settings
    from dunning_cli.cases.account import AccountView

app = typer.Typer(help="Look into an account.", no_args_is_help=True)

NO_SUCH_ACCOUNT = "DUN-C012"


@app.callback()
def _commands() -> None:
    """Keeps the name of the command in use while there is only one."""


@app.command("show", short_help="Show its status, its cases, and what comes next.")
def show_account(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.", show_default=False)],
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many cases at most.")] = LIMIT,
    output: Output = Format.TEXT,
    data_dir: DataDir = None,
) -> None:
    """Show an account: its status and what it owes, its cases, what comes next, and the statuses it had.

    Example: dunning account show acct-7 --format json
    """
    from dunning_cli.asking import ask
    from dunning_cli.cases.account import account_json, account_lines

    view = ask(_view(find_place(data_dir).settings, account, limit))
    if output is Format.JSON:
        print_json(account_json(view))
    else:
        print("\n".join(account_lines(view)))


async def _view(settings: "Settings", account: str, limit: int) -> "AccountView":
    from dunning_cli.asking import looking_into
    from dunning_cli.cases.account import gather_account

    async with looking_into(settings) as connection:
        view = await gather_account(await reading_of(connection, settings), account, limit, datetime.now(UTC))
        if view is None:
            message = f"no service knows an account {account}: `dunning case list` shows those that have cases"
            raise CommandError(NO_SUCH_ACCOUNT, message)
        return view
