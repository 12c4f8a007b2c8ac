"""The `dunning` command: every group of commands is a module of its own and is registered here, by name.

Modules of commands import what they need inside the command, so that `dunning simulate` never waits for a Kafka client.
"""

import os
import sys
from typing import Annotated

import typer

from dunning.runtime.problem import Problem
from dunning.runtime.version import running_version
from dunning_cli import account, brake, case, dlq, doctor, migrate, mode, offsets, policy, report, run, simulate, up
from dunning_cli.demo.demo import demo
from dunning_cli.errors import CommandError

app = typer.Typer(
    name="dunning",
    help="Recover failed payments: run the services, look into cases, try policies.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up", short_help="Run everything on this machine.")(up.up)
app.command("down", short_help="Stop what `up` started; the data stays.")(up.down)
app.command("demo", short_help="Play realistic traffic with days of two seconds, and show what happens.")(demo)
app.command("run")(run.run)
app.command("migrate", short_help="Bring tables up to date and create missing topics.")(migrate.migrate)
app.command("doctor", short_help="Look at everything and say what to do.")(doctor.doctor)
app.command("simulate", short_help="Run a file of events on a simulated clock.")(simulate.simulate)
app.add_typer(policy.app, name="policy")
app.add_typer(case.app, name="case")
app.add_typer(account.app, name="account")
app.add_typer(dlq.app, name="dlq")
app.add_typer(mode.app, name="mode")
app.add_typer(brake.app, name="brake")
app.add_typer(offsets.app, name="offsets")
app.add_typer(report.app, name="report")


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"dunning {running_version()}")
        raise typer.Exit


@app.callback()
def _commands(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """What can be said before a command."""


def main() -> None:
    """Run the command line; a failure that a person can act on is one line on standard error."""
    try:
        app()
    except CommandError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except Problem as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # whoever read our lines, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
