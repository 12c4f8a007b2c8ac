"""Conditions on the whole account (rule 38)."""

from tests.model.case import Case
from tests.model.policies import Rung
from tests.model.story import Story


def hold(story: Story, case: Case, rung: Rung) -> bool:
    """All must; of several currencies one that reaches its amount is enough (0003)."""
    wanted = case.policy.conditions.get(rung.name, {})
    unpaid = story.open_cases()
    if len(unpaid) < wanted.get("unpaid_invoices_at_least", 0):
        return False
    balance = wanted.get("balance_at_least", {})
    reached = [
        sum(story.amount(one) for one in unpaid if one.currency == currency) >= least
        for currency, least in balance.items()
    ]
    if balance and not any(reached):
        return False
    return not story.history.tags() & set(wanted.get("tags_none", []))
