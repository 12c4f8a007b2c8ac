"""The whole platform in one process, with faults by seed (docs/proof.md)."""

import os
import subprocess
import sys

import pytest

SEEDS = int(os.environ.get("DUNNING_TEST_PLATFORM_SEEDS", "60"))


def played(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the order of sets is fixed there."""
    return subprocess.run(
        [sys.executable, "-m", "tests.platform", *arguments], capture_output=True, text=True, check=False
    )


def test_whatever_goes_wrong_the_platform_keeps_its_promises() -> None:
    done = played("--seeds", str(SEEDS))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_seed_gives_the_same_run_line_by_line() -> None:
    first, second = played("--seed", "11"), played("--seed", "11")

    assert "FAULT" in first.stdout
    assert first.stdout == second.stdout


@pytest.mark.parametrize("bug", ["no inbox", "no warning", "outbox in no order"])
def test_a_planted_bug_is_found(bug: str) -> None:
    done = played("--seeds", "2000", "--bug", bug)

    assert done.returncode == 1, f"2000 seeds did not find it: {done.stdout}"
    assert "replay it with: python -m tests.platform --seed " in done.stdout
