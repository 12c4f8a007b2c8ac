"""Conditions on the whole account: what must hold before a rung happens (rule 38)."""

from collections.abc import Mapping

from dunning.domain.policy import Conditions
from dunning.domain.policy_file import fields
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.keys import CONDITIONS, INVOICES_MAX
from dunning.domain.policy_file.problems import Code, suggestion


def read_conditions(field: Field, rungs: frozenset[str]) -> Mapping[str, Conditions]:
    """By the name of the rung."""
    found: dict[str, Conditions] = {}
    for name, condition in fields.entries(field).items():
        if name not in rungs:
            cure = suggestion(name, rungs, f"rungs: {', '.join(sorted(rungs))}")
            field.report.error(Code.NO_SUCH_RUNG, condition.key_place, condition.path, f"no such rung; {cure}")
        found[name] = _conditions(condition)
    return found


def _conditions(field: Field) -> Conditions:
    keys = fields.section(field, CONDITIONS)
    invoices = "unpaid_invoices_at_least"
    return Conditions(
        unpaid_invoices_at_least=(fields.integer(keys[invoices], 1, INVOICES_MAX) or 0) if invoices in keys else 0,
        balance_at_least=fields.money(keys["balance_at_least"]) if "balance_at_least" in keys else {},
        tags_none=frozenset(fields.distinct(keys["tags_none"], fields.name)) if "tags_none" in keys else frozenset(),
    )
