"""`dunning policy diff`: what changes for a customer between two policy files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output, print_json
from dunning_cli.templates import known_templates

if TYPE_CHECKING:
    from dunning.domain.policy import Policy
    from dunning_cli.comparison.change import Change

_TITLES = {
    "match": "For whom",
    "policy": "What counts",
    "retries": "Charging again",
    "ladder": "Notices and the account",
    "conditions": "What rungs wait for",
    "contact": "When people are left alone",
}


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="The policy file as it was.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The policy file as it shall be.")],
    output: Output = Format.TEXT,
) -> None:
    """Say in words what changes for a customer where policy B takes the place of A. Running cases keep their version.

    Exit code 0: nothing changes; 1: something does; 2: a file cannot be read or has errors.

    Example: dunning policy diff deploy/policies/standard.yaml policies/mine.yaml
    """
    from dunning_cli.comparison.compare import compare

    before, after = _policy(a), _policy(b)
    changes, notes = compare(before, after), _notes(before, after)
    if output is Format.JSON:
        print_json(_as_json(before, after, changes, notes))
    else:
        print("\n".join(_as_lines(before, after, changes, notes)))
    if changes:
        raise typer.Exit(1)


def _policy(file: Path) -> "Policy":
    from dunning.domain.policy_file import Code, load_policy
    from dunning.domain.policy_file.problems import Severity

    try:
        loaded = load_policy(file.read_bytes(), str(file), templates=known_templates())
    except OSError as error:
        raise CommandError(Code.UNREADABLE, f"cannot read {file}: {error.strerror}", exit_code=2) from None
    if loaded.policy is None:
        print("\n".join(str(problem) for problem in loaded.problems if problem.severity is Severity.ERROR))
        raise typer.Exit(2)
    return loaded.policy


def _notes(a: "Policy", b: "Policy") -> list[str]:
    """What whoever deploys them has to know, beside what a customer notices."""
    if a.ref == b.ref and a.digest != b.digest:
        return [
            f"both are {a.id} version {a.version} and mean different things: services that know the one refuse the "
            "other; give the changed file a new version"
        ]
    if a.id == b.id and b.version < a.version:
        return [f"version {b.version} is older than {a.version}: where both are on file, new cases take the higher one"]
    return []


def _as_lines(a: "Policy", b: "Policy", changes: list["Change"], notes: list[str]) -> list[str]:
    lines = [f"{a.id} version {a.version} -> {b.id} version {b.version}"]
    for about, title in _TITLES.items():
        told = [change.what for change in changes if change.about == about]
        lines += ["", title, *(f"  {what}" for what in told)] if told else []
    if not changes:
        lines.append("nothing changes for a customer")
    return [*lines, *(["", *(f"note: {note}" for note in notes)] if notes else [])]


def _as_json(a: "Policy", b: "Policy", changes: list["Change"], notes: list[str]) -> dict[str, object]:
    policies = [{"file": policy.source, "id": policy.id, "version": policy.version} for policy in (a, b)]
    rows = [
        {"about": each.about, "path": each.path, "what": each.what, "before": each.before, "after": each.after}
        for each in changes
    ]
    return {"a": policies[0], "b": policies[1], "same": not changes, "changes": rows, "notes": notes}
