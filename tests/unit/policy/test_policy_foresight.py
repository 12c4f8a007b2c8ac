"""What `policy lint` knows of a policy before it is in force: what can never happen, and what surprises."""

from pathlib import Path

import pytest

from dunning.domain.policy_file import Code, fields, load_policy
from tests.unit.policy.test_policy_file import blocks

ROOT = Path(__file__).parents[3]
FORESEEN = {
    Code.QUIET_TOO_LONG, Code.CAPS_HOLD_WARNING, Code.CAPS_SHUT_NOTICE, Code.ROLL_TAKES_LEAD, Code.WARNING_GROWS_OLD,
    Code.HOLD_TOO_LONG, Code.NEVER_HOLDS, Code.ALWAYS_SUPERSEDED, Code.ROLLS_TO_ANCHOR,
}  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), blocks("foresight.txt"))
def test_what_can_be_foreseen_is_said_with_its_place_and_cure(
    written: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fields, "NOT_IN_FORCE", {})  # also of keys that come into force later

    problems = load_policy(f"id: p\nversion: 1\n{written}\n", "p.yaml").problems

    assert [str(problem) for problem in problems] == expected


def test_every_code_of_foresight_has_a_file_that_shows_it() -> None:
    shown = {line.rpartition("[")[2][:-1] for _, expected in blocks("foresight.txt") for line in expected}

    assert {code.value for code in FORESEEN} <= shown


@pytest.mark.parametrize("file", sorted((ROOT / "deploy").glob("policies*/*.yaml")), ids=lambda file: file.name)
def test_the_shipped_policies_hold_no_surprise(file: Path) -> None:
    assert load_policy(file.read_bytes(), file.name).problems == ()
