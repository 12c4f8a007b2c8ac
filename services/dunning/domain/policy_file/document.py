"""The top level of a policy file, and its parts other than the ladder."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from dunning.domain.calendar import Duration
from dunning.domain.policy import ACCOUNT_ZONE, Anchor, Match, Policy, Retries
from dunning.domain.policy_file import fields
from dunning.domain.policy_file.conditions import read_conditions
from dunning.domain.policy_file.contact import DEFAULT, read_contact
from dunning.domain.policy_file.digest import digest_of
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight import foresee
from dunning.domain.policy_file.keys import MATCH, POLICY, PRIORITY_MAX, RETRIES, RETRIES_MAX, VERSION_MAX
from dunning.domain.policy_file.ladder import read_ladder
from dunning.domain.policy_file.problems import Code
from dunning.domain.policy_file.rolling import read_roll
from dunning.domain.policy_file.tree import Items, Table

PRIORITY_DEFAULT = 100
TECHNICAL_AFTER_DEFAULT = (Duration(seconds=600), Duration(seconds=3600), Duration(seconds=6 * 3600))


def read_policy(root: Field, templates: Collection[str] | None) -> Policy | None:
    """The policy that a file describes, or None after its errors were reported."""
    if not isinstance(root.node, Table):
        message = f"found {fields.described(root.node)}; a policy is a mapping that starts with `id:`"
        root.refuse(Code.WRONG_TYPE, message)
        return None
    keys = fields.section(root, POLICY, required=POLICY.required)
    ignore = bool("ignore" in keys and fields.truth(keys["ignore"]))
    if "ladder" not in keys and not ignore:
        message = "required, but missing; only a policy with `ignore: true` needs no ladder"
        root.report.error(Code.MISSING_KEY, root.node.place, "ladder", message)
    contact = read_contact(keys["contact"]) if "contact" in keys else DEFAULT
    policy = Policy(
        id=(fields.name(keys["id"]) if "id" in keys else None) or "",
        version=_integer(keys, "version", 1, VERSION_MAX, 1),
        ladder=read_ladder(keys["ladder"], templates) if "ladder" in keys else (),
        match=_match(keys["match"]) if "match" in keys else Match(),
        priority=_integer(keys, "priority", -PRIORITY_MAX, PRIORITY_MAX, PRIORITY_DEFAULT),
        ignore=ignore,
        anchor=_anchor(keys),
        timezone=_zone(keys, "timezone", ACCOUNT_ZONE, or_word=ACCOUNT_ZONE),
        fallback_timezone=_zone(keys, "fallback_timezone", "UTC"),
        retries=_retries(keys["retries"]) if "retries" in keys else None,
        roll=read_roll(keys),
        quiet_hours=contact.quiet_hours,
        caps=contact.caps,
        valid_from=fields.moment(keys["valid_from"]) if "valid_from" in keys else None,
        source=root.report.file,
    )
    _check_ladder_is_there(keys, policy)
    if "conditions" in keys:
        rungs = frozenset(rung.name for rung in policy.ladder)
        policy = replace(policy, conditions=read_conditions(keys["conditions"], rungs))
    if not root.report.has_errors:
        foresee(policy, root)
    return None if root.report.has_errors else replace(policy, digest=digest_of(policy))


def _check_ladder_is_there(keys: Mapping[str, Field], policy: Policy) -> None:
    field = keys.get("ladder")
    if field and isinstance(field.node, Items) and not policy.ladder and not policy.ignore:
        field.refuse(Code.OUT_OF_BOUNDS, "an empty list; a ladder has at least one rung")


def _integer(keys: Mapping[str, Field], key: str, low: int, high: int, default: int) -> int:
    value = fields.integer(keys[key], low, high) if key in keys else None
    return default if value is None else value


def _zone(keys: Mapping[str, Field], key: str, default: str, or_word: str | None = None) -> str:
    return (fields.zone(keys[key], or_word=or_word) if key in keys else None) or default


def _anchor(keys: Mapping[str, Field]) -> Anchor:
    word = fields.word(keys["anchor"], tuple(anchor.value for anchor in Anchor)) if "anchor" in keys else None
    return Anchor(word) if word else Anchor.FIRST_FAILURE


def _match(field: Field) -> Match:
    keys = fields.section(field, MATCH)
    return Match(
        segments=_set_of(keys, "segments", _free_text),
        countries=_set_of(keys, "countries", fields.country),
        currencies=_set_of(keys, "currencies", fields.currency),
        payment_types=_set_of(keys, "payment_types", _free_text),
        min_amount=fields.money(keys["min_amount"]) if "min_amount" in keys else {},
    )


def _set_of(keys: Mapping[str, Field], key: str, read: Callable[[Field], str | None]) -> frozenset[str]:
    return frozenset(fields.distinct(keys[key], read)) if key in keys else frozenset()


def _free_text(field: Field) -> str | None:
    return fields.text(field, "text")


def _retries(field: Field) -> Retries:
    keys = fields.section(field, RETRIES, required=RETRIES.required)
    if "strategy" in keys:
        fields.word(keys["strategy"], ("ladder", "adaptive"))
    after = _distances(keys, "after", ())
    retries = Retries(
        after=after,
        max_retries=_integer(keys, "max_retries", 0, RETRIES_MAX, len(after)),
        technical_after=_distances(keys, "technical_after", TECHNICAL_AFTER_DEFAULT),
        window=_positive(keys["window"]) if "window" in keys else None,
        hours=fields.daily_hours(keys["hours"]) if "hours" in keys else None,
        timeout=_positive(keys["timeout"]) if "timeout" in keys else None,
        roll=read_roll(keys),
    )
    _check_distances(keys, retries)
    _check_window(keys, retries)
    return retries


def _distances(keys: Mapping[str, Field], key: str, default: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return fields.each(keys[key], _positive, RETRIES_MAX) if key in keys else default


def _positive(field: Field) -> Duration | None:
    return fields.duration(field, positive=True)


def _check_distances(keys: Mapping[str, Field], retries: Retries) -> None:
    field = keys.get("max_retries")
    if field is None or not isinstance(keys["after"].node if "after" in keys else None, Items):
        return
    if retries.max_retries > 0 and not retries.after:
        field.refuse(Code.NO_DISTANCE, f"{retries.max_retries} retries, but `after` gives no distance for them")
    elif retries.max_retries < len(retries.after):
        unused = ", ".join(str(distance) for distance in retries.after[retries.max_retries :])
        field.warn(Code.NO_EFFECT, f"with {retries.max_retries} these distances of `after` are never used: {unused}")


def _check_window(keys: Mapping[str, Field], retries: Retries) -> None:
    if "window" not in keys or retries.window is None or not retries.after:
        return
    end, reached, fitting = retries.window.nominal_seconds, 0, 0
    for number in range(retries.max_retries):
        distance = retries.distance(number)
        reached += distance.nominal_seconds if distance else 0
        fitting += reached <= end
    if fitting < retries.max_retries:
        message = f"only {fitting} of {retries.max_retries} planned retries fit into {retries.window}"
        keys["window"].warn(Code.WINDOW_TOO_SHORT, message)
