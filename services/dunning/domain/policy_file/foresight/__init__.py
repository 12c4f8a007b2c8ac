"""What can be known of a policy before it is in force: what can never happen, and what will surprise its author.

Each file looks at one thing. They work on the finished policy, so a file that cannot be read has only its errors; times
are tried out on a calendar without holidays and clock changes, at every quarter of an hour or weekday that matters.
"""

from dunning.domain.policy import Policy
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.caps import foresee_caps
from dunning.domain.policy_file.foresight.early import foresee_early_rungs
from dunning.domain.policy_file.foresight.effects import foresee_effects
from dunning.domain.policy_file.foresight.matching import foresee_matching
from dunning.domain.policy_file.foresight.retry_plan import foresee_retry_plan
from dunning.domain.policy_file.foresight.warnings import foresee_warnings

__all__ = ["foresee"]


def foresee(policy: Policy, root: Field) -> None:
    """Reports at `root` and below everything that is known of this policy by itself."""
    foresee_matching(policy, root)
    foresee_effects(policy, root)
    foresee_retry_plan(policy, root)
    foresee_early_rungs(policy, root)
    foresee_warnings(policy, root)
    foresee_caps(policy, root)
