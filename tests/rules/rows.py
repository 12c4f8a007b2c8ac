"""The rows of the table: where each rule lives, its test, its examples, and how to break it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FROM = "<!-- the table: `python -m tests.rules write` -->"
_HEAD = "| rule | lives in | the test that fails when it is broken | examples |\n|---|---|---|---|"


@dataclass(frozen=True)
class Edit:
    """One change that breaks a rule: `find` stands once in `file`."""

    file: str
    find: str
    instead: str

    def applied_to(self, text: str) -> str:
        """The broken code. Raises ValueError where the code has changed, so that the break has to be looked at."""
        if text.count(self.find) != 1:
            raise ValueError(f"{self.file}: {self.find!r} stands there {text.count(self.find)} times instead of once")
        return text.replace(self.find, self.instead)


@dataclass(frozen=True)
class Row:
    """One rule."""

    rule: int
    lives_in: tuple[str, ...]
    test: str
    examples: tuple[str, ...]
    edit: Edit | None

    def line(self) -> str:
        """Its line in the table."""
        rooms = ", ".join(f"`{path.removeprefix('services/')}`" for path in self.lives_in)
        path, _, name = self.test.partition("::")
        test = f"[{name}](../{path})"
        examples = ", ".join(f"[{name.split('-')[0]}](examples/{name})" for name in self.examples)
        return f"| {self.rule} | {rooms} | {test} | {examples} |"


def read_rows() -> list[Row]:
    """All rows, in the order of the rules."""
    rows = [_row(each) for each in yaml.safe_load((Path(__file__).parent / "rows.yaml").read_text())]
    return sorted(rows, key=lambda row: row.rule)


def _row(given: dict[str, Any]) -> Row:
    edit = given.get("break")
    return Row(
        rule=given["rule"],
        lives_in=tuple(given["lives_in"]),
        test=given["test"],
        examples=tuple(given.get("examples", ())),
        edit=Edit(edit["file"], edit["find"], edit["instead"]) if edit else None,
    )


def with_table(page: str, rows: list[Row]) -> str:
    """The page with the present table at its end."""
    before = page.partition(_FROM)[0]
    return before + "\n".join([_FROM, _HEAD, *(row.line() for row in rows)]) + "\n"
