"""What happens to dates on days without business: they stay, or roll to the next or the previous business day."""

from collections.abc import Mapping

from dunning.domain.business_days import calendars_of, countries, is_calendar
from dunning.domain.policy import ACCOUNT_COUNTRY, Roll, Toward
from dunning.domain.policy_file import fields
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.keys import ROLL
from dunning.domain.policy_file.problems import Code, quoted, suggestion


def read_roll(keys: Mapping[str, Field]) -> Roll | None:
    """`roll` of a policy or of its retries; None where it is left out or `none`."""
    if "roll" not in keys or fields.is_word(keys["roll"], "none"):
        return None
    roll = fields.section(keys["roll"], ROLL, required=ROLL.required)
    word = fields.word(roll["business_days"], tuple(Toward)) if "business_days" in roll else None
    calendars = fields.distinct(roll["calendars"], _calendar) if "calendars" in roll else (ACCOUNT_COUNTRY,)
    return Roll(Toward(word), calendars) if word else None


def _calendar(field: Field) -> str | None:
    """Whose weekends and public holidays count: the account's country, a country, or a part of one."""
    value = fields.name(field)
    if value is None or value == ACCOUNT_COUNTRY or is_calendar(value):
        return value
    code = value.upper()
    known = calendars_of(code.partition("-")[0]) or tuple(sorted(countries()))
    otherwise = f'write "{ACCOUNT_COUNTRY}", a country such as "DE", or a part of one such as "DE-BY"'
    cure = suggestion(value, (ACCOUNT_COUNTRY,), suggestion(code, known, otherwise))
    field.refuse(Code.UNKNOWN_CALENDAR, f"no calendar named {quoted(value)}; {cure}")
    return None
