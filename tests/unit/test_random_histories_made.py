"""The random histories hold every kind of event, every field and every key of a policy that the contracts name."""

from collections import Counter

import pytest

from tests.model import made
from tests.model.generate import scenario

HISTORIES = 2_500
NOT_IN_FORCE = {"ladder.fee"}  # a load error says so (rule 44)


@pytest.fixture(scope="module")
def found() -> Counter[str]:
    return made.counted(scenario(seed) for seed in range(HISTORIES))


def test_every_key_of_a_policy_is_made(found: Counter[str]) -> None:
    assert {key for key in made.policy_keys() if not found[f"policy {key}"]} == NOT_IN_FORCE


def test_every_kind_of_signal_is_made_with_every_field(found: Counter[str]) -> None:
    kinds, fields = made.signal_kinds(), made.signal_fields()

    assert {"case.paused", "account.erased"} < kinds
    assert {kind for kind in kinds if not found[f"signal {kind}"]} == set()
    assert {field for field in fields if not found[f"field {field}"]} == set()


@pytest.mark.parametrize("topic", ["payment.failed", "payment.succeeded"])
def test_every_field_of_a_payment_is_made(found: Counter[str], topic: str) -> None:
    assert {field for field in made.event_fields(topic) if not found[f"{topic} {field}"]} == set()
