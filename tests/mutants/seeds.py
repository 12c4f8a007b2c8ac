"""A few seeds of the whole platform in one process (docs/proof.md), as tests that a mistake is shown to."""

import pytest

from tests.platform.run import be_quiet, play

SEEDS = 12


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_the_platform_keeps_its_promises(seed: int) -> None:
    be_quiet()

    assert play(seed).wrong == []
