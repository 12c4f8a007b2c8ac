"""Random histories through `dunning simulate` and through a second model of the rules (docs/random-histories.md)."""

import os

from tests.model.hunt import Found, hunt
from tests.model.shrink import shrunk

ACCOUNTS = int(os.environ.get("DUNNING_TEST_RANDOM_ACCOUNTS", "500"))
JOBS = int(os.environ.get("DUNNING_TEST_RANDOM_JOBS", "1"))
SEED = int(os.environ.get("DUNNING_TEST_RANDOM_SEED", "1"))


def test_the_simulator_and_the_model_of_the_rules_say_the_same_of_random_histories() -> None:
    found = hunt(SEED, ACCOUNTS, jobs=JOBS)

    assert found is None, Found(found.seed, shrunk(found.scenario)).report()
