"""When and how often a customer may be written to: quiet hours and caps (rule 32)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from dunning.domain.calendar import DailyHours
from dunning.domain.policy import ALL_CHANNELS, CAPS_BY_DEFAULT, QUIET_BY_DEFAULT, Cap
from dunning.domain.policy_file import fields
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.keys import CHANNELS, CONTACT, NOTICES_MAX
from dunning.domain.policy_file.problems import Code, suggestion
from dunning.domain.policy_file.tree import Items, Kind, Scalar, Table
from dunning.domain.words import Channel

QUIETCHANNELS_OF_A_PAIR = (Channel.EMAIL, Channel.SMS, Channel.PUSH, Channel.CALL)  # rule 32


@dataclass(frozen=True, slots=True)
class Contact:
    """The section `contact`; its keys default one by one."""

    quiet_hours: Mapping[Channel, DailyHours]
    caps: Mapping[str, tuple[Cap, ...]]


DEFAULT = Contact(QUIET_BY_DEFAULT, CAPS_BY_DEFAULT)


def read_contact(field: Field) -> Contact:
    """What is left out is as docs/policy-reference.md has it (`contact`)."""
    keys = fields.section(field, CONTACT)
    return Contact(
        quiet_hours=_quiet_hours(keys["quiet_hours"]) if "quiet_hours" in keys else DEFAULT.quiet_hours,
        caps=_caps(keys["caps"]) if "caps" in keys else DEFAULT.caps,
    )


def _quiet_hours(field: Field) -> Mapping[Channel, DailyHours]:
    """None at all, one pair for all interrupting channels and email, or each channel's own."""
    if fields.is_word(field, "none"):
        return {}
    match field.node:
        case Table():
            return _by_channel(field)
        case Items():
            hours = fields.daily_hours(field)
            return dict.fromkeys(QUIETCHANNELS_OF_A_PAIR, hours) if hours else {}
        case _:
            found = fields.described(field.node)
            field.refuse(Code.NOT_HOURS, f'found {found}; write two times such as ["21:00", "08:00"], or none')
    return {}


def _by_channel(field: Field) -> Mapping[Channel, DailyHours]:
    """A channel that is not named, or has `none`, may always be used."""
    found: dict[Channel, DailyHours] = {}
    for name, part in fields.section(field, CHANNELS).items():
        hours = None if fields.is_word(part, "none") else fields.daily_hours(part)
        if hours is not None:
            found[Channel(name)] = hours
    return found


def _caps(field: Field) -> Mapping[str, tuple[Cap, ...]]:
    """How many notices per channel, or in all, within a rolling time."""
    names = (*CHANNELS, ALL_CHANNELS)
    found: dict[str, tuple[Cap, ...]] = {}
    for name, caps in fields.entries(field).items():
        if name not in names:
            cure = suggestion(name, names, f"allowed: {', '.join(names)}")
            field.report.error(Code.UNKNOWN_KEY, caps.key_place, caps.path, f"unknown key; {cure}")
        read = (_cap(within, most) for within, most in fields.entries(caps).items())
        found[name] = tuple(sorted((cap for cap in read if cap is not None), key=lambda cap: cap.within))
    return found


def _cap(within: str, most: Field) -> Cap | None:
    key = Field(most.path, Scalar(most.key_place, within, Kind.TEXT), most.report, most.key_place)
    length, number = fields.duration(key, positive=True), fields.integer(most, 0, NOTICES_MAX)
    if length is None or number is None:
        return None
    return Cap(timedelta(seconds=length.nominal_seconds), number)
