"""Which test fails when a rule is broken: the table of docs/rules.md, and the proof of it.

    python -m tests.rules write          # the table anew from rows.yaml
    python -m tests.rules break [N ...]  # break each rule in a copy of the code, and see its test fail

Breaking all of them takes some minutes, so `make test` only checks that the table is current and that every break still
fits the code (`tests/unit/test_rules_table.py`).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rules.rows import Row, read_rows, with_table
from tests.tables import ROOT

PAGE = ROOT / "docs" / "rules.md"


def write() -> int:
    """Put the present table into the page."""
    PAGE.write_text(with_table(PAGE.read_text(), read_rows()))
    return 0


def break_rules(numbers: list[int]) -> int:
    """Exit code 1 when a rule can be broken without its test noticing."""
    unnoticed = [row.rule for row in read_rows() if not numbers or row.rule in numbers if not _is_noticed(row)]
    print(f"unnoticed: {unnoticed or 'none'}")  # noqa: T201
    return 1 if unnoticed else 0


def _is_noticed(row: Row) -> bool:
    if row.edit is None:
        print(f"{row.rule:>3}  {row.test}  has no break")  # noqa: T201
        return False
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "services"
        shutil.copytree(ROOT / "services", copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        (Path(folder) / "schemas").symlink_to(ROOT / "schemas")
        broken = copy / row.edit.file.removeprefix("services/")
        broken.write_text(row.edit.applied_to(broken.read_text()))
        passed = _run(row.test, {}).returncode
        failed = _run(row.test, {"PYTHONPATH": str(copy)})
    noticed = passed == 0 and failed.returncode == 1
    said = "fails as it should" if noticed else f"was not noticed ({passed}, {failed.returncode})"
    print(f"{row.rule:>3}  {row.test}  {said}", flush=True)  # noqa: T201
    return noticed


def _run(test: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
    words = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", test]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False)


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    match arguments:
        case ["write"]:
            return write()
        case ["break", *numbers] if all(number.isdigit() for number in numbers):
            return break_rules([int(number) for number in numbers])
    print(__doc__, file=sys.stderr)  # noqa: T201
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
