"""Policy files: YAML text to checked policies, with every problem as a value that names its place and its cure."""

from dunning.domain.policy_file.load import (
    SHIPPED_TEMPLATES,
    LoadedPolicies,
    LoadedPolicy,
    load_policies,
    load_policy,
)
from dunning.domain.policy_file.problems import Code, Problem, Severity
from dunning.domain.policy_file.tree import FILE_BYTES_MAX

__all__ = [
    "FILE_BYTES_MAX",
    "SHIPPED_TEMPLATES",
    "Code",
    "LoadedPolicies",
    "LoadedPolicy",
    "Problem",
    "Severity",
    "load_policies",
    "load_policy",
]
