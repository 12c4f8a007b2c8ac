"""`dunning policy`: look at policy files before they are in force."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunning.runtime.problem import TEMPLATES_UNUSABLE
from dunning_cli.errors import CommandError
from dunning_cli.listing import Format, Output
from dunning_cli.policy_diff import diff
from dunning_cli.policy_mail import mail
from dunning_cli.preview import preview
from dunning_cli.templates import known_templates, own_templates

if TYPE_CHECKING:
    from dunning.domain.policy_file import LoadedPolicies
    from notification_dispatcher.templates.checking import BrokenTemplate

app = typer.Typer(help="Check policy files and see what they would do.", no_args_is_help=True)


app.command("preview", short_help="Print the dated timeline of a case that nobody pays.")(preview)
app.command("diff", short_help="Say in words what changes for a customer between two policy files.")(diff)
app.command("mail", short_help="Print the mail of a template as a customer would read it.")(mail)


@app.command("lint", short_help="Say everything that is wrong with policy files.")
def lint(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="Policy files, or directories of them.")],
    output: Output = Format.TEXT,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", metavar="NAME", help="A template of your own that notices may use. Repeatable."),
    ] = None,
) -> None:
    """Check policy files and say everything that is wrong with them, each with its place and its cure.

    The files are checked one by one and as a set that is used together, and with them the templates of your own in
    DUNNING_TEMPLATE_DIR. Exit code 0: they can be used, warnings or not;
    1: they have errors; 2: a file cannot be read.

    Example: dunning policy lint deploy/policies --format json
    """
    from dunning.domain.policy_file import load_policies

    files = _read(paths)
    broken = _broken_templates()
    loaded = load_policies(files, templates=known_templates() | set(template or ()))
    if output is Format.JSON:
        print(_as_json([name for name, _ in files], loaded, broken))
    else:
        told = [f"{each} [{TEMPLATES_UNUSABLE}]" for each in broken]
        print("\n".join([*told, _as_text(len(files), loaded, len(broken))]))
    if loaded.errors or broken:
        raise typer.Exit(1)


def _broken_templates() -> "list[BrokenTemplate]":
    """What keeps own templates (DUNNING_TEMPLATE_DIR) from being used."""
    from notification_dispatcher.templates.checking import BrokenTemplate, broken_templates
    from notification_dispatcher.templates.wording import Wording

    own = own_templates()
    if own is None:
        return []
    if not own.is_dir():
        return [BrokenTemplate(str(own), 1, "no directory that can be read")]
    return broken_templates(Wording(own))


def _read(paths: list[Path]) -> list[tuple[str, bytes]]:
    from dunning.domain.policy_file import Code
    from dunning.runtime.policy_directory import read_policy_files

    try:
        files = read_policy_files(paths)
    except OSError as error:
        raise CommandError(Code.UNREADABLE, f"cannot read {error.filename}: {error.strerror}", exit_code=2) from None
    if not files:
        where = ", ".join(str(path) for path in paths)
        raise CommandError(Code.UNREADABLE, f"no policy file (*.yaml, *.yml) in {where}", exit_code=2)
    return files


def _as_text(file_count: int, loaded: "LoadedPolicies", broken_count: int) -> str:
    counts = Counter(problem.severity.value for problem in loaded.problems)
    counts["error"] += broken_count
    found = ", ".join(_counted(counts[severity], severity) for severity in sorted(+counts)) or "no problems"
    return "\n".join([*map(str, loaded.problems), f"{_counted(file_count, 'file')}: {found}"])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _as_json(files: list[str], loaded: "LoadedPolicies", broken: "list[BrokenTemplate]") -> str:
    problems = [
        {
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "message": problem.message,
            "code": problem.code.value,
            "severity": problem.severity.value,
        }
        for problem in loaded.problems
    ]
    problems += [
        {
            "file": each.file,
            "line": each.line,
            "column": 1,
            "path": "",
            "message": each.message,
            "code": TEMPLATES_UNUSABLE,
            "severity": "error",
        }
        for each in broken
    ]
    return json.dumps({"files": files, "problems": problems}, indent=2, ensure_ascii=False)
