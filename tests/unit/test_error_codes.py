"""The page of error codes and the code agree."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"DUN-[A-OQ-Z]\d{3}")


def test_every_code_that_a_person_may_see_is_explained_and_no_other() -> None:
    explained = re.findall(r"^\| `(DUN-[A-Z]\d{3})` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE)
    in_code = {code for file in (ROOT / "services").rglob("*.py") for code in CODE.findall(file.read_text())}

    assert sorted(explained) == sorted(in_code)
