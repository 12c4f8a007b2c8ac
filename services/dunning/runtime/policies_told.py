"""Telling which policies take new cases, and that a file which was changed is not in force."""

import asyncio

from dunning.runtime.health import Health
from dunning.runtime.policies import REFRESH_SECONDS, PolicyShelf
from dunning.runtime.problem import POLICIES_UNUSABLE

_PART = "policies"


async def tell_of_policies(shelf: PolicyShelf, health: Health) -> None:
    """Look again and again, for ever."""
    while True:
        show_policies(shelf, health)
        await asyncio.sleep(REFRESH_SECONDS)


def show_policies(shelf: PolicyShelf, health: Health) -> None:
    """The service works on with the last good ones, so that a reload which failed is an alarm and no trouble."""
    if shelf.complaint:
        why = shelf.complaint.removesuffix(f"  [{POLICIES_UNUSABLE}]")
        health.alarm(_PART, POLICIES_UNUSABLE, f"the last good policies stay in force: {why}")
    else:
        health.calm(_PART)
    gauge = health.metrics.policies
    gauge.clear()
    for policy in shelf.in_force():
        gauge.labels(policy.id, str(policy.version)).set(1)
