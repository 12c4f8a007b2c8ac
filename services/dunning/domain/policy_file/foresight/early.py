"""Rungs that a weekend brings forward to the anchor itself (docs/policy-reference.md, "Business days")."""

from datetime import datetime

from dunning.domain.business_days import business_days
from dunning.domain.policy import Policy, Roll, Rung, Toward
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.ground import NOONS, ZONE, locate
from dunning.domain.policy_file.problems import Code

_WEEKENDS = business_days(Roll(Toward.PREVIOUS, ()), "")  # which holidays there are depends on the customer


def foresee_early_rungs(policy: Policy, root: Field) -> None:
    """With `previous`, the time that the first rungs leave to the customer may be none."""
    if policy.roll is None or policy.roll.toward is Toward.NEXT:
        return
    for number, rung in enumerate(policy.ladder):
        early = sum(_comes_at_once(rung, anchor) for anchor in NOONS)
        if early:
            locate(root, "ladder", number, "at").warn(
                Code.ROLLS_TO_ANCHOR,
                f"`roll` moves this rung back to the anchor itself, or before it, from {early} of 7 weekdays; give it "
                "more than 2d, or move it to the next business day",
            )


def _comes_at_once(rung: Rung, anchor: datetime) -> bool:
    return rung.at.nominal_seconds > 0 and _WEEKENDS.after(rung.at, anchor, ZONE) <= anchor
