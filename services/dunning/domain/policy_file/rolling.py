"""What happens to dates on days without business: they stay, or roll to the next or the previous business day."""

from collections.abc import Mapping

from dunning.domain.policy import ACCOUNT_COUNTRY, Roll, Toward
from dunning.domain.policy_file import fields
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.keys import ROLL


def read_roll(keys: Mapping[str, Field]) -> Roll | None:
    """`roll` of a policy or of its retries; None where it is left out or `none`."""
    if "roll" not in keys or fields.is_word(keys["roll"], "none"):
        return None
    roll = fields.section(keys["roll"], ROLL, required=ROLL.required)
    word = fields.word(roll["business_days"], tuple(Toward)) if "business_days" in roll else None
    calendars = fields.distinct(roll["calendars"], fields.name) if "calendars" in roll else (ACCOUNT_COUNTRY,)
    return Roll(Toward(word), calendars) if word else None
