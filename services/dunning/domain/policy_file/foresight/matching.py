"""Matches and conditions that can never hold, or that always do (rule 38)."""

from dunning.domain.policy import Conditions, Match, Policy
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.ground import has, locate
from dunning.domain.policy_file.problems import Code


def foresee_matching(policy: Policy, root: Field) -> None:
    """Amounts in currencies that the policy is not for, and conditions without a condition."""
    _foresee_amounts(policy.match, root)
    for name, conditions in policy.conditions.items():
        _foresee_conditions(policy.match, conditions, locate(root, "conditions", name))


def _foresee_amounts(match: Match, root: Field) -> None:
    if not match.currencies or not match.min_amount:
        return
    field = locate(root, "match", "min_amount")
    without, beside = match.currencies - match.min_amount.keys(), match.min_amount.keys() - match.currencies
    if without == match.currencies:
        message = f"names none of the `currencies` {_listed(match.currencies)}, so nothing ever matches; name them"
        field.refuse(Code.NEVER_HOLDS, message)
    elif without:
        field.warn(Code.NEVER_HOLDS, f"names no amount in {_listed(without)}, so nothing in {_listed(without)} matches")
    elif beside:
        field.warn(Code.NO_EFFECT, f"{_listed(beside)} is not among the `currencies`; remove it, or add it there")


def _foresee_conditions(match: Match, conditions: Conditions, field: Field) -> None:
    if conditions == Conditions() or not _asks(conditions):
        field.warn(Code.NO_EFFECT, "asks for nothing, so the rung never waits; write a condition, or remove this")
    elif match.currencies and conditions.balance_at_least and not match.currencies & conditions.balance_at_least.keys():
        locate(field, "balance_at_least").warn(
            Code.NEVER_HOLDS,
            f"names none of the `currencies` {_listed(match.currencies)} that this policy is for, so the rung waits "
            "until the account owes in another currency too; name an amount in them",
        )
    elif has(field, "tags_none") and not conditions.tags_none:
        locate(field, "tags_none").warn(Code.NO_EFFECT, "an empty list; name a tag, or remove the key")


def _asks(conditions: Conditions) -> bool:
    return bool(
        conditions.unpaid_invoices_at_least
        or conditions.tags_none
        or (conditions.balance_at_least and min(conditions.balance_at_least.values()) > 0)  # one of them is enough
    )


def _listed(codes: "frozenset[str] | set[str]") -> str:
    return ", ".join(sorted(codes))
