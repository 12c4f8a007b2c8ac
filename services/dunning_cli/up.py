"""`dunning up` and `dunning down`: everything on this machine."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option("--data-dir", help="Where everything that runs keeps its data.")]


class Only(StrEnum):
    """The halves that can be started alone."""

    INFRA = "infra"
    SERVICES = "services"


def up(
    data_dir: DataDir = Path(".dunning"),
    policy_dir: Annotated[
        Path | None,
        typer.Option(
            "--policy-dir", envvar="DUNNING_POLICY_DIR", help="The policies in force.  [default: deploy/policies]"
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready; stay up in the background.")] = False,
    only: Annotated[Only | None, typer.Option("--only", help="Start only this half.")] = None,
) -> None:
    """Run Kafka, PostgreSQL, a mail sink and the three services on this machine.

    A Kafka, PostgreSQL or mail server that the settings name (DUNNING_KAFKA_BOOTSTRAP_SERVERS, DUNNING_DATABASE_URL,
    DUNNING_SMTP_URL) is used, not started. What dies is started again. The file `env` of the data directory says
    where everything is.

    Example: dunning up --detach && cat .dunning/env
    """
    from dunning_cli.stack.background import up_in_background
    from dunning_cli.stack.layout import Layout, deploy_dir
    from dunning_cli.stack.report import Report
    from dunning_cli.stack.run import UpOptions, run_stack
    from dunning_cli.stack.scopes import ALL_SCOPES, Scope
    from dunning_cli.stack.signals import stop_on_signals

    scopes = ALL_SCOPES if only is None else frozenset({Scope(only)})
    options = UpOptions(data_dir, policy_dir or deploy_dir() / "policies", scopes)
    if detach:
        up_in_background(options, Report())
    else:
        run_stack(options, Report(keep_in=Layout.at(data_dir).log_of("up")), stop_on_signals())


def down(data_dir: DataDir = Path(".dunning")) -> None:
    """Stop what `dunning up` started; the data stays, and the next `up` goes on from there.

    Example: dunning down --data-dir /tmp/trial
    """
    from dunning_cli.stack.down import stop_stack
    from dunning_cli.stack.report import Report

    stop_stack(data_dir, Report())
