"""The whole platform in one process, with faults by seed (docs/proof.md)."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.platform.bugs import BUGS
from tests.platform.reference import Reference
from tests.platform.scenario import FAILED, SIGNALS, Scenario, Sent, card_of, failure

BREAKS = {"no inbox": 1, "outbox in no order": 3, "no lease check": 5, "no warning": 6}
"""Which promise some of the planted bugs break: found by another sign, they would not be what they are called."""
SEEDS = int(os.environ.get("DUNNING_TEST_PLATFORM_SEEDS", "1000"))


def played(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """In a process of its own: the order of sets is fixed there."""
    return subprocess.run(
        [sys.executable, "-m", "tests.platform", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.timeout(3600)  # it runs behind other tests, which come first
def test_whatever_goes_wrong_the_platform_keeps_its_promises() -> None:
    done = played("--seeds", str(SEEDS))

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_same_seed_gives_the_same_run_line_by_line() -> None:
    first, second = played("--seed", "11"), played("--seed", "11")

    assert "FAULT" in first.stdout
    assert first.stdout == second.stdout


@pytest.mark.timeout(1800)
def test_every_planted_bug_is_found() -> None:
    done = played("--every-bug", "--seeds", "2000")

    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(line.split(": seed ") for line in done.stdout.splitlines())
    assert found.keys() == set(BUGS)
    for bug, number in BREAKS.items():
        assert f"promise {number}" in found[bug]


def test_what_was_found_names_its_replay() -> None:
    done = played("--seeds", "2000", "--bug", "outbox in no order")

    assert done.returncode == 1
    assert "replay it with: python -m tests.platform --seed " in done.stdout


@pytest.mark.parametrize(("last_first", "first_stage"), [(False, "waiting_for_customer"), (True, "scheduled")])
def test_the_reference_reads_what_comes_at_one_instant_in_either_order(last_first: bool, first_stage: str) -> None:
    at = datetime(2026, 3, 2, 3, 40, tzinfo=UTC)
    new = {"kind": "payment_method.updated", "payment_method": card_of("a", "new"), "account_id": "a"}
    sent = [
        Sent(at, topic, 0, "a", json.dumps(data).encode())
        for topic, data in (
            (FAILED, failure("a", "in_a", 1, at, "expired_card")),
            (SIGNALS, {**new, "at": at.isoformat()}),
        )
    ]

    stages = Reference(Scenario(0, at, at + timedelta(hours=1), sent, {}), last_first=last_first).stages()

    (retries,) = (moves for (_, track), moves in stages.items() if track == "retry")
    assert retries[0] == first_stage
