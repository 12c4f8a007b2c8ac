"""`make test` runs every test there is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_make_test_names_every_folder_that_holds_tests() -> None:
    named = re.findall(r"tests/[a-z0-9_]+", (ROOT / "Makefile").read_text())
    folders = {file.relative_to(ROOT).parts[1] for file in (ROOT / "tests").glob("*/**/test_*.py")}

    assert {f"tests/{folder}" for folder in folders} == set(named)
