"""The keys of a policy file, said once: the parser allows these, and `schemas/policy.schema.json` is made of them.

What a value must look like is said as JSON Schema (draft 07, which every editor reads) and in a sentence for the person
who writes it. A schema cannot know everything that the parser does (whether a zone exists, whether a warning comes in
time), so it never refuses what the parser accepts, and catches the slips of typing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dunning.domain.policy_file.fields import AMOUNT_MAX, LIST_LENGTH_MAX, NAME_LENGTH_MAX
from dunning.domain.words import NOTICE_CLOSED, NOTICE_NONE, NOTICE_RECOVERED, AccountStage, Channel

RETRIES_MAX = 100
RUNGS_MAX = 100
VERSION_MAX = 2**31 - 1
PRIORITY_MAX = 1_000_000
INVOICES_MAX = 10_000
NOTICES_MAX = 10_000
RESERVED_RUNGS = (NOTICE_NONE, NOTICE_RECOVERED, NOTICE_CLOSED)
CHANNELS = tuple(channel.value for channel in Channel)
STAGES = tuple(stage.value for stage in AccountStage if stage is not AccountStage.ACTIVE)
MUST_WARN = (AccountStage.SUSPENDED.value, AccountStage.TERMINATED.value)

_TIME = (  # RFC 3339, and shorter: without seconds, or without the colon of the offset (`fields.moment`)
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-5][0-9](:([0-5][0-9]|60)([.][0-9]{1,30})?)?"
    "([Zz]|[+-]([01][0-9]|2[0-3]):?[0-5][0-9])$"
)

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what its value looks like, and what it means."""

    value: Schema
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys, in the order in which they are listed to people."""

    keys: Mapping[str, Key]
    between: Schema = field(default_factory=dict)  # what must hold between the keys

    def __iter__(self) -> Iterator[str]:
        """The names of its keys."""
        return iter(self.keys)

    def __contains__(self, name: object) -> bool:
        return name in self.keys

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the keys that cannot be left out."""
        return tuple(name for name, key in self.keys.items() if key.required)


def _see(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _word(*words: str) -> Schema:
    return {"type": "string", "enum": [*words]}


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _list_of(item: Schema, least: int = 0, most: int = LIST_LENGTH_MAX, *, distinct: bool = False) -> Schema:
    bounds: dict[str, Any] = {"minItems": least} if least else {}
    return {"type": "array", "items": item, **bounds, "maxItems": most, **({"uniqueItems": True} if distinct else {})}


VALUES: Mapping[str, Schema] = {
    "name": {
        "type": "string",
        "pattern": f"^[A-Za-z0-9][A-Za-z0-9_.-]{{0,{NAME_LENGTH_MAX - 1}}}$",
        "description": "Letters, digits, `_`, `-` and `.`, a letter or digit first.",
    },
    "text": {"type": "string", "pattern": r"\S"},
    "duration": {
        "type": "string",
        "pattern": "^([0-9]+[wdhms])+$",
        "maxLength": 32,
        "description": "`90s`, `15m`, `12h`, `3d`, `2w`, or a compound such as `1d12h`; `d` and `w` are calendar days.",
    },
    "length": {"allOf": [_see("duration"), {"pattern": "[1-9]"}], "description": "A duration longer than zero."},
    "hours": {
        "type": "array",
        "items": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
        "minItems": 2,
        "maxItems": 2,
        "uniqueItems": True,
        "description": 'Two local times in quotes, such as ["08:00", "20:00"]; the second is outside.',
    },
    "amounts": {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Z]{3}$"},
        "additionalProperties": _whole(0, AMOUNT_MAX),
        "maxProperties": LIST_LENGTH_MAX,
        "description": "Amounts by ISO 4217 code, in minor units: EUR 5.00 is `{EUR: 500}`.",
    },
    "channel": _word(*CHANNELS),
}

MATCH = Section(
    {
        "segments": Key(_list_of(_see("text"), distinct=True), "The event's `segment`; all if empty or left out."),
        "countries": Key(
            _list_of({"type": "string", "pattern": "^[A-Z]{2}$"}, distinct=True),
            'The customer\'s country, two capitals of ISO 3166; quote "NO".',
        ),
        "currencies": Key(
            _list_of({"type": "string", "pattern": "^[A-Z]{3}$"}, distinct=True), "ISO 4217 codes; all if left out."
        ),
        "payment_types": Key(
            _list_of(_see("text"), distinct=True), "The payment method's `type`, such as card or bank_transfer."
        ),
        "min_amount": Key(
            _see("amounts"), "The smallest amount per currency; a currency that is not named does not match."
        ),
    }
)

ROLL = Section(
    {
        "business_days": Key(
            _word("next", "previous"), "Where a date on a day off goes, at the same local time.", required=True
        ),
        "calendars": Key(
            _list_of(_see("name"), distinct=True),
            "Whose weekends and public holidays count: `account_country` (the default), countries such as DE, or parts "
            'of one such as DE-BY; quote "NO".',
        ),
    }
)
_ROLL_OR_NONE: Schema = {"anyOf": [{"const": "none"}, _see("roll")]}

RETRIES = Section(
    {
        "strategy": Key(_word("ladder"), "How the next attempt is timed; `adaptive` is not in force yet."),
        "after": Key(
            _list_of(_see("length"), most=RETRIES_MAX), "Distance of each retry from the attempt before.", required=True
        ),
        "max_retries": Key(
            _whole(0, RETRIES_MAX), "Retries after the original charge; by default as many as `after` has distances."
        ),
        "window": Key(_see("length"), "No planned retry is later than this after the first failure."),
        "hours": Key(_see("hours"), "A retry outside moves to the next opening; left out, it comes at any time."),
        "technical_after": Key(
            _list_of(_see("length"), most=RETRIES_MAX),
            "Distances after failures in which nothing was decided; by default [10m, 1h, 6h].",
        ),
        "timeout": Key(_see("length"), "How long a charge waits for its answer; by default 1d for cards, else 14d."),
        "roll": Key(_ROLL_OR_NONE, "Moves retries off days without business."),
    }
)

NOTICE = Section(
    {
        "template": Key(_see("text"), "What is said: the name of a template, shipped or your own.", required=True),
        "channels": Key(
            _list_of(_see("channel"), least=1, distinct=True), "All of them are used, at once.", required=True
        ),
        "fallback": Key(_list_of(_see("channel"), distinct=True), "Tried in order where none of `channels` delivered."),
    }
)

RUNG = Section(
    {
        "rung": Key(
            {"allOf": [_see("name"), {"not": {"enum": [*RESERVED_RUNGS]}}]}, "Its name, unique.", required=True
        ),
        "at": Key(_see("duration"), "Distance from the anchor, not before the rung above.", required=True),
        "notice": Key(_see("notice"), "What the customer is told."),
        "account": Key(_word(*STAGES), "What the account may still do from then on; never better than before."),
        "warned_by": Key(
            _see("text"), "An earlier rung with a notice; this one waits until it was delivered, and `lead` longer."
        ),
        "lead": Key(
            _see("duration"), "How long before this rung its warning must have been delivered; by default all between."
        ),
        "unreachable": Key(
            {"anyOf": [{"const": "wait"}, _see("length")]},
            "What happens where the warning reaches nobody: `wait`, or go on after this time.",
        ),
        "collections": Key({"type": "boolean"}, "The transition says that the debt may go to collections."),
        "fee": Key({"not": {}}, "Not in force yet."),
    },
    between={
        "anyOf": [{"required": ["notice"]}, {"required": ["account"]}],
        "dependencies": {
            "warned_by": ["account"],
            "collections": ["account"],
            "lead": ["warned_by"],
            "unreachable": ["warned_by"],
        },
        "if": {"properties": {"account": {"enum": [*MUST_WARN]}}, "required": ["account"]},
        "then": {"required": ["warned_by"]},
    },
)

CONDITIONS = Section(
    {
        "unpaid_invoices_at_least": Key(_whole(1, INVOICES_MAX), "The account has at least so many open cases."),
        "balance_at_least": Key(_see("amounts"), "The account owes at least so much in one of these currencies."),
        "tags_none": Key(_list_of(_see("name"), distinct=True), "The account has none of these tags."),
    }
)

CONTACT = Section(
    {
        "quiet_hours": Key(
            {
                "anyOf": [
                    {"const": "none"},
                    _see("hours"),
                    {
                        "type": "object",
                        "properties": {name: {"anyOf": [{"const": "none"}, _see("hours")]} for name in CHANNELS},
                        "additionalProperties": False,
                    },
                ]
            },
            "When nobody is written to: a pair for email, SMS, push and calls, a pair per channel, or none. "
            "By default 21:00 to 08:00 for SMS, push and calls.",
        ),
        "caps": Key(
            {
                "type": "object",
                "properties": {name: _see("cap") for name in (*CHANNELS, "all")},
                "additionalProperties": False,
            },
            "At most so many notices per channel, or in all, within a rolling time; by default {call: {7d: 7}}.",
        ),
    }
)
CAP: Schema = {
    "type": "object",
    "propertyNames": {"pattern": "^(?=.*[1-9])([0-9]+[wdhms])+$"},
    "additionalProperties": _whole(0, NOTICES_MAX),
    "maxProperties": LIST_LENGTH_MAX,
    "description": "The most by length of time, such as {1d: 1, 7d: 4}.",
}

POLICY = Section(
    {
        "id": Key(_see("name"), "The policy's name.", required=True),
        "version": Key(_whole(1, VERSION_MAX), "A changed file needs a new one.", required=True),
        "match": Key(_see("match"), "For which failures; all parts must match."),
        "priority": Key(
            _whole(-PRIORITY_MAX, PRIORITY_MAX), "The lowest is tried first, then by `id`; by default 100."
        ),
        "ignore": Key({"type": "boolean"}, "What matches opens no case."),
        "anchor": Key(_word("first_failure", "due_date"), "What the ladder counts from; by default first_failure."),
        "timezone": Key(_see("text"), "Whose days and hours count: `account` (the default), or an IANA zone."),
        "fallback_timezone": Key(_see("text"), "An IANA zone where the customer's is not known; by default UTC."),
        "roll": Key(_ROLL_OR_NONE, "Moves rungs after 0d off days without business."),
        "retries": Key(_see("retries"), "When to charge again; left out, nothing is charged from here."),
        "ladder": Key(_list_of(_see("rung"), most=RUNGS_MAX), "The rungs in order of time."),
        "conditions": Key(
            {"type": "object", "additionalProperties": _see("conditions"), "maxProperties": LIST_LENGTH_MAX},
            "What must hold on the whole account before a rung, by the rung's name.",
        ),
        "contact": Key(_see("contact"), "When and how often people are written to; each key has a default."),
        "valid_from": Key(
            {"type": "string", "pattern": _TIME},
            "Failures from then on take this version: a time with its offset, such as 2026-05-01T00:00:00Z.",
        ),
    },
    between={
        "if": {"properties": {"ignore": {"const": True}}, "required": ["ignore"]},
        "else": {"required": ["ladder"], "properties": {"ladder": {"minItems": 1}}},
    },
)

SECTIONS: Mapping[str, Section] = {
    "match": MATCH, "roll": ROLL, "retries": RETRIES, "notice": NOTICE, "rung": RUNG, "conditions": CONDITIONS,
    "contact": CONTACT,
}  # fmt: skip
