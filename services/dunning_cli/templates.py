"""The templates that policies may name here: the shipped ones, and own ones in `DUNNING_TEMPLATE_DIR`."""

import os
from pathlib import Path

TEMPLATE_DIR = "DUNNING_TEMPLATE_DIR"


def own_templates() -> Path | None:
    """The directory of own templates, where the environment names one."""
    named = os.environ.get(TEMPLATE_DIR)
    return Path(named) if named else None


def known_templates() -> frozenset[str]:
    """The names that a policy may use."""
    from dunning.runtime import policy_directory

    return policy_directory.known_templates(own_templates())
