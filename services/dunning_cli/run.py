"""`dunning run`: one service, in this process."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from dunning_cli.place import DataDir, find_place


class ServiceName(StrEnum):
    """The services that can be run."""

    RETRY_SCHEDULER = "retry_scheduler"
    NOTIFICATION_DISPATCHER = "notification_dispatcher"
    ACCOUNT_ENFORCEMENT = "account_enforcement"


def run(
    service: Annotated[ServiceName, typer.Argument(help="Which one.", show_default=False)],
    print_settings: Annotated[
        bool, typer.Option("--print-settings", help="Show the settings in force, secrets masked, and run nothing.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Run one service until it is told to stop (Ctrl-C, SIGTERM).

    Settings come from the environment (DUNNING_…), and what it does not say from the stack that `dunning up` runs.
    Several instances of a service may run at once; each needs a DUNNING_INSTANCE_ID of its own.

    Example: DUNNING_POLICY_DIR=deploy/policies dunning run retry_scheduler --print-settings
    """
    from importlib import import_module

    os.environ.update(find_place(data_dir).named)
    # By name: every service begins in the same way, and only the one that is run is loaded.
    main = import_module(f"{service.value}.__main__").main
    raise typer.Exit(main(["--print-settings"] if print_settings else []))
