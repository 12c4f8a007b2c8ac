"""Keys that are not in force yet (`pending.py`): their form is checked already, so that what is written today will load
unchanged on the day they are. Whoever brings one into force returns its value from here.
"""

from collections.abc import Mapping

from dunning.domain.policy_file import fields
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.problems import Code, suggestion
from dunning.domain.policy_file.tree import Kind, Scalar
from dunning.domain.words import Channel

_CHANNELS = tuple(channel.value for channel in Channel)
_CONDITIONS = ("unpaid_invoices_at_least", "balance_at_least", "tags_none")
COUNT_MAX = 10_000


def check_policy(keys: Mapping[str, Field]) -> None:
    """`valid_from` and `roll`."""
    if "valid_from" in keys:
        fields.moment(keys["valid_from"])
    check_roll(keys)


def check_roll(keys: Mapping[str, Field]) -> None:
    """What happens to dates on days without business: `none`, or where they move and whose calendars count."""
    if "roll" not in keys or _is_word(keys["roll"], "none"):
        return
    roll = fields.section(keys["roll"], ("business_days", "calendars"), required=("business_days",))
    if "business_days" in roll:
        fields.word(roll["business_days"], ("next", "previous"))
    if "calendars" in roll:
        fields.distinct(roll["calendars"], fields.name)


def check_rung(keys: Mapping[str, Field]) -> None:
    """`fee` and `unreachable`."""
    if "fee" in keys:
        money(keys["fee"])
    if "unreachable" in keys and not _is_word(keys["unreachable"], "wait"):
        fields.duration(keys["unreachable"], positive=True)


def check_conditions(field: Field, rungs: frozenset[str]) -> None:
    """What must hold on the whole account before a rung happens."""
    for name, condition in fields.entries(field).items():
        if name not in rungs:
            cure = suggestion(name, rungs, f"rungs: {', '.join(sorted(rungs))}")
            field.report.error(Code.NO_SUCH_RUNG, condition.key_place, condition.path, f"no such rung; {cure}")
        parts = fields.section(condition, _CONDITIONS)
        if "unpaid_invoices_at_least" in parts:
            fields.integer(parts["unpaid_invoices_at_least"], 1, COUNT_MAX)
        if "balance_at_least" in parts:
            money(parts["balance_at_least"])
        if "tags_none" in parts:
            fields.distinct(parts["tags_none"], fields.name)


def check_caps(field: Field) -> None:
    """How many notices per channel, or in all, within a rolling time."""
    for name, caps in fields.entries(field).items():
        if name not in (*_CHANNELS, "all"):
            cure = suggestion(name, (*_CHANNELS, "all"), f"allowed: {', '.join((*_CHANNELS, 'all'))}")
            field.report.error(Code.UNKNOWN_KEY, caps.key_place, caps.path, f"unknown key; {cure}")
        for within, most in fields.entries(caps).items():
            key = Field(most.path, Scalar(most.key_place, within, Kind.TEXT), field.report, most.key_place)
            fields.duration(key, positive=True)
            fields.integer(most, 0, COUNT_MAX)


def check_quiet_hours_by_channel(field: Field) -> None:
    """Hours of each channel's own, or `none` for a channel that may always be used."""
    for part in fields.section(field, _CHANNELS).values():
        if not _is_word(part, "none"):
            fields.daily_hours(part)


def money(field: Field) -> dict[str, int]:
    """Amounts by currency, in minor units."""
    amounts: dict[str, int] = {}
    for code, amount in fields.entries(field).items():
        value = fields.minor_units(amount)
        if fields.currency_known(amount, code, amount.key_place) and value is not None:
            amounts[code] = value
    return amounts


def _is_word(field: Field, word: str) -> bool:
    return isinstance(field.node, Scalar) and field.node.text == word
