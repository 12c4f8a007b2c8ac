"""The table of docs/rules.md is current, whole, and points at what is there."""

import re

import pytest

from tests.rules.rows import Row, read_rows, with_table
from tests.tables import ROOT, is_there

ROWS = read_rows()
PAGE = (ROOT / "docs" / "rules.md").read_text()


def test_the_page_shows_the_present_table() -> None:
    assert with_table(PAGE, ROWS) == PAGE, "python -m tests.rules write"


def test_every_rule_is_told_and_has_a_row() -> None:
    told = [int(number) for number in re.findall(r"^(\d+)\. \*\*", PAGE, re.MULTILINE)]

    assert told == list(range(1, 47))
    assert [row.rule for row in ROWS] == told


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.rule))
def test_a_row_names_what_is_there(row: Row) -> None:
    assert is_there(row.test)
    assert [place for place in row.lives_in if not (ROOT / place).exists()] == []
    assert row.examples
    assert [name for name in row.examples if not (ROOT / "docs" / "examples" / name).is_dir()] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.edit], ids=lambda row: str(row.rule))
def test_what_breaks_a_rule_still_fits_the_code(row: Row) -> None:
    assert row.edit is not None
    code = (ROOT / row.edit.file).read_text()

    assert row.edit.applied_to(code) != code
