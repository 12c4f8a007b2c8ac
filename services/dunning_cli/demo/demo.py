"""`dunning demo`: realistic traffic through a real Kafka, a real PostgreSQL and the services, while you watch."""

from pathlib import Path
from typing import Annotated

import typer

INVOICES, SECONDS = 3000, 40.0


def demo(
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="Where everything that runs keeps its data; begun anew each time.")
    ] = Path(".dunning/demo"),
    invoices: Annotated[
        int, typer.Option("--invoices", min=1, max=20_000, help="How many invoices; a third of them fail.")
    ] = INVOICES,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long they are charged first.")] = SECONDS,
    seed: Annotated[int, typer.Option("--seed", help="The same seed plays the same traffic.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running at the end, to look around.")] = False,
) -> None:
    """Start everything, play realistic traffic with a policy whose days last two seconds, and show what happens.

    Ends by itself within three minutes: figures, the whole story of two accounts, and what the verifier found. The exit
    code is 0 when the verifier is content and accounts were both suspended and recovered.

    Example: dunning demo --invoices 500 --keep
    """
    from dunning_cli.demo.run import DemoOptions, end_well_when_asked, run_demo
    from dunning_cli.stack.layout import deploy_dir

    end_well_when_asked()
    code = run_demo(DemoOptions(data_dir, deploy_dir() / "policies-demo", invoices, seconds, seed, keep))
    if code:
        raise typer.Exit(code)
