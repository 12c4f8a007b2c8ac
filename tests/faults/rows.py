"""The rows of the table: each fault, what must come of it, and the tests by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.tables import ROOT

PAGE = ROOT / "docs" / "faults.md"
_FROM, _TO = "<!-- the table: `python -m tests.faults` -->", "<!-- the end of the table -->"
_HEAD = "| fault | what must come of it | tests | how far |\n|---|---|---|---|"


@dataclass(frozen=True)
class Row:
    """One fault. `how_far` says what the tests leave out."""

    fault: str
    outcome: str
    tests: tuple[str, ...]
    how_far: str

    def line(self) -> str:
        """Its line in the table."""
        named = "<br>".join(f"[{name}](../{path})" for path, _, name in (test.partition("::") for test in self.tests))
        return f"| {self.fault} | {self.outcome} | {named} | {self.how_far} |"


def read_rows() -> list[Row]:
    """All rows, in their order."""
    return [_row(each) for each in yaml.safe_load((Path(__file__).parent / "rows.yaml").read_text())]


def _row(given: dict[str, Any]) -> Row:
    return Row(given["fault"], given["outcome"], tuple(given["tests"]), given.get("how_far", ""))


def with_table(page: str, rows: list[Row]) -> str:
    """The page with the present table in its place."""
    before, _, rest = page.partition(_FROM)
    after = rest.partition(_TO)[2]
    return before + "\n".join([_FROM, _HEAD, *(row.line() for row in rows), _TO]) + after
