"""All differences between two policies, in the order in which a customer would meet them."""

import dataclasses
from dataclasses import replace

from dunning.domain.policy import Policy
from dunning.domain.policy_file.digest import digest_of
from dunning_cli.comparison.change import Change, rolled
from dunning_cli.comparison.contact import condition_changes, contact_changes
from dunning_cli.comparison.ladder import ladder_changes
from dunning_cli.comparison.matching import matching_changes
from dunning_cli.comparison.retry_plan import retry_changes

_ABOUT = "policy"
_COUNTED_FROM = {"first_failure": "the first failure", "due_date": "the invoice's due date"}
_TOLD = frozenset(
    {
        "id", "version", "match", "priority", "ignore", "anchor", "timezone", "fallback_timezone", "roll", "retries",
        "ladder", "conditions", "quiet_hours", "caps", "valid_from", "digest", "source",
    }
)  # fmt: skip


def compare(a: Policy, b: Policy) -> list[Change]:
    """What changes for a customer when `b` takes the place of `a`. The version alone changes nothing."""
    found = [
        *matching_changes(a, b),
        *_calendar_changes(a, b),
        *retry_changes(a.retries, b.retries),
        *ladder_changes(a, b),
        *condition_changes(a, b),
        *contact_changes(a, b),
        *_other_changes(a, b),
    ]
    if a.id != b.id:
        what = f"it is another policy, {b.id} instead of {a.id}: among those of one priority the order changes"
        found.insert(0, Change(_ABOUT, "id", what, a.id, b.id))
    if not found and digest_of(replace(b, version=a.version)) != digest_of(a):
        found.append(Change(_ABOUT, "", "they mean different things, in a way that has no words yet", None, None))
    return found


def _calendar_changes(a: Policy, b: Policy) -> list[Change]:
    found = []
    if a.anchor != b.anchor:
        what = f"the ladder counts from {_COUNTED_FROM[b.anchor]} instead of {_COUNTED_FROM[a.anchor]}"
        found.append(Change(_ABOUT, "anchor", what, a.anchor, b.anchor))
    for key, whose in (("timezone", "days and hours are"), ("fallback_timezone", "where no zone is known, hours are")):
        before, after = (str(getattr(policy, key)) for policy in (a, b))
        if before != after:
            told = [_zone(zone) for zone in (before, after)]
            found.append(Change(_ABOUT, key, f"{whose} those of {told[1]} instead of {told[0]}", before, after))
    if a.roll != b.roll:
        what = f"rungs on days without business {rolled(b.roll)}; before they would {rolled(a.roll)}"
        found.append(Change(_ABOUT, "roll", what, rolled(a.roll), rolled(b.roll)))
    return found


def _zone(name: str) -> str:
    return "the customer's zone" if name == "account" else name


def _other_changes(a: Policy, b: Policy) -> list[Change]:
    """Keys that no words were found for yet are told plainly rather than not at all."""
    names = [part.name for part in dataclasses.fields(Policy) if part.init and part.name not in _TOLD]
    values = [(name, str(getattr(a, name)), str(getattr(b, name))) for name in names]
    return [
        Change(_ABOUT, name, f"`{name}` is {after} instead of {before}", before, after)
        for name, before, after in values
        if before != after
    ]
