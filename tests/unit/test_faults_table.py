"""The table of docs/faults.md is current, and points at tests that are there."""

import pytest

from tests.faults.rows import PAGE, Row, read_rows, with_table
from tests.tables import is_there

ROWS = read_rows()


def test_the_page_shows_the_present_table() -> None:
    page = PAGE.read_text()

    assert with_table(page, ROWS) == page, "python -m tests.faults"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.fault))
def test_a_row_names_tests_that_are_there(row: Row) -> None:
    assert row.tests
    assert [test for test in row.tests if not is_there(test)] == []
