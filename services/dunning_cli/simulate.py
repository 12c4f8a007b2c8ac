"""`dunning simulate`: what all three services would do with a file of events, on a simulated clock."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, format_option
from dunning_cli.run import ServiceName
from dunning_cli.templates import known_templates

if TYPE_CHECKING:
    from datetime import datetime

    from dunning.domain.policy import Policies
    from dunning_cli.simulation.processor import Processor


def simulate(
    policy: Annotated[
        list[Path],
        typer.Option("--policy", metavar="FILE|DIR", help="A policy file or a directory of them. Repeatable."),
    ],
    events: Annotated[Path, typer.Option("--events", metavar="FILE.ndjson", help="Input: a line per event.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When the clock stops, inclusive; RFC 3339.")],
    charges: Annotated[
        str | None,
        typer.Option("--charges", metavar="fail|succeed|FILE", help="Who answers charge requests; left out: nobody."),
    ] = None,
    test_mode: Annotated[
        bool, typer.Option("--test-mode", help="Let events with livemode: false act, as DUNNING_TEST_MODE does.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="What failed before it opens no case, as with DUNNING_START."),
    ] = None,
    without: Annotated[
        list[ServiceName] | None,
        typer.Option(
            "--without",
            metavar="SERVICE",
            help=f"Leave out a service, as if it were down: {', '.join(ServiceName)}. Repeatable.",
            show_default=False,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, metavar="N", help="How many share the work; left out: one a core at most."),
    ] = None,
    output: Annotated[Format, format_option("How to list what is published.", Format.NDJSON)] = Format.NDJSON,  # noqa: ARG001
) -> None:
    """Run all three services' decisions over a file of events and print every event that they would publish.

    Input lines are {"at": time, "topic": name, "data": {…}}, in any order. What would be a dead letter is said on
    standard error. Exit code 2: a file cannot be used. The output is the same however many processes share the work.

    Example: dunning simulate --policy deploy/policies/standard.yaml --events events.ndjson --until 2026-05-01T00:00:00Z
    --charges fail
    """
    from dunning.domain.track import BEFORE_EVERYTHING
    from dunning_cli.simulation.lines import BadLine, read_inputs
    from dunning_cli.simulation.whole import simulate as simulate_all

    stop_at = _time("--until", until)
    begins = BEFORE_EVERYTHING if start is None else _time("--start", start)
    down = frozenset(service.value for service in without or ())
    try:
        lines = read_inputs(str(events), _content(events))
        processor = _processor(charges)
    except BadLine as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    told = simulate_all(
        lines,
        stop_at,
        _policies(policy),
        processor,
        test_mode=test_mode,
        start=begins,
        down=down,
        processes=processes,
    )
    for remark in told.remarks:
        print(f"{events}:{remark.number}: {remark.what}", file=sys.stderr)
    sys.stdout.buffer.writelines(line.text + b"\n" for line in told.lines)
    sys.stdout.buffer.flush()


def _time(option: str, text: str) -> "datetime":
    from dunning.domain.rfc3339 import parse_rfc3339

    time = parse_rfc3339(text)
    if time is None:
        raise _unusable(f'{option}: "{text}" is not an RFC 3339 time with an offset, such as 2026-05-01T00:00:00Z')
    return time


def _policies(paths: list[Path]) -> "Policies":
    from dunning.domain.policy_file import load_policies
    from dunning.runtime.policy_directory import read_policy_files

    try:
        files = read_policy_files(paths)
    except OSError as error:
        raise _unusable(f"cannot read {error.filename}: {error.strerror}") from None
    if not files:
        raise _unusable(f"no policy file (*.yaml, *.yml) in {', '.join(map(str, paths))}")
    loaded = load_policies(files, templates=known_templates())
    for problem in loaded.problems:
        print(problem, file=sys.stderr)
    if loaded.errors:
        raise typer.Exit(2)
    return loaded.policies


def _processor(charges: str | None) -> "Processor":
    from dunning_cli.simulation.lines import read_charges
    from dunning_cli.simulation.processor import Scripted, Silent

    if charges is None:
        return Silent()
    if charges in ("fail", "succeed"):
        return Scripted(succeeds=charges == "succeed")
    if not Path(charges).exists():
        raise _unusable(f'--charges: "{charges}" is neither fail nor succeed, nor a file that is there')
    return Scripted(succeeds=False, told=read_charges(charges, _content(Path(charges))))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _unusable(f"cannot read {file}: {error.strerror}") from None


def _unusable(message: str) -> CommandError:
    from dunning_cli.simulation.lines import UNUSABLE

    return CommandError(UNUSABLE, message, exit_code=2)
