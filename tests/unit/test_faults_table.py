"""The table of docs/faults.md is current, and points at tests that are there."""

import ast

import pytest

from tests.faults.rows import PAGE, ROOT, Row, read_rows, with_table

ROWS = read_rows()


def test_the_page_shows_the_present_table() -> None:
    page = PAGE.read_text()

    assert with_table(page, ROWS) == page, "python -m tests.faults"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.fault))
def test_a_row_names_tests_that_are_there(row: Row) -> None:
    assert row.tests
    assert [test for test in row.tests if test.partition("::")[2] not in _tests_in(test.partition("::")[0])] == []


def _tests_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
