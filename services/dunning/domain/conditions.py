"""Whether a rung's conditions on the whole account hold (rule 38)."""

from typing import Any

from dunning.domain.case import Account
from dunning.domain.policy import Conditions


def unmet(account: Account[Any], conditions: Conditions) -> list[str]:
    """The names of the conditions that do not hold; all must, otherwise the rung waits.

    Of several currencies in `balance_at_least` one that reaches its amount is enough: amounts are never added across
    currencies, and hardly an account owes in all that a policy names.
    """
    standing, found = account.standing(), []
    if standing.unpaid_invoices < conditions.unpaid_invoices_at_least:
        found.append("unpaid_invoices_at_least")
    least = conditions.balance_at_least
    if least and all(standing.balance.get(currency, 0) < amount for currency, amount in least.items()):
        found.append("balance_at_least")
    if any(account.facts.has_tag(tag) for tag in conditions.tags_none):
        found.append("tags_none")
    return found
