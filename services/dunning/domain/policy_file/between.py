"""What there is to say about policies that are used together: versions that changed, and those that nothing reaches."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from dunning.domain.calendar import rfc3339
from dunning.domain.policy import Match, Policies, Policy
from dunning.domain.policy_file.problems import Code, Problem, Severity


def changed_version(policy: Policy, other: Policy) -> Problem:
    """Two files say different things under one version."""
    message = (
        f"{policy.id} version {policy.version} is in {other.source} already and means something else; "
        "give this one a new version"
    )
    return Problem(policy.source, 1, 1, "version", message, Code.VERSION_CHANGED)


def never_chosen(policies: Policies) -> Iterator[Problem]:
    """A policy that is always behind one that takes all its failures waits for nothing."""
    for policy in policies:
        before = [_tried_before(policy, era) for era in policies.eras if policy in era]
        if first := (before[0] if all(before) else None):
            message = (
                f"never chosen: {first.id} ({first.source}) is tried before it and matches all that this one does; "
                "give this one a lower `priority`"
            )
            yield _never_reached(policy, "match", message)


def overtaken(policies: Sequence[Policy]) -> Iterator[Problem]:
    """A version with `valid_from` that a higher one takes everything from."""
    for _, group in groupby(sorted(policies, key=lambda policy: (policy.id, policy.version)), lambda policy: policy.id):
        versions = list(group)
        for number, policy in enumerate(versions):
            higher = next((each for each in versions[number + 1 :] if _takes_all_of(each, policy)), None)
            if higher is not None:
                since = f"from {rfc3339(higher.valid_from)} on" if higher.valid_from else "at all times"
                message = (
                    f"never chosen: version {higher.version} ({higher.source}) is higher and counts {since}; "
                    "remove this one, or let the other begin later"
                )
                yield _never_reached(policy, "valid_from", message)


def _takes_all_of(higher: Policy, policy: Policy) -> bool:
    """Two versions without `valid_from` are the old and the new one, which is nothing to warn of."""
    if policy.valid_from is None:
        return False
    return higher.valid_from is None or higher.valid_from <= policy.valid_from


def _never_reached(policy: Policy, path: str, message: str) -> Problem:
    return Problem(policy.source, 1, 1, path, message, Code.NEVER_REACHED, Severity.WARNING)


def _tried_before(policy: Policy, in_order: Sequence[Policy]) -> Policy | None:
    earlier = in_order[: in_order.index(policy)]
    return next((each for each in earlier if _covers(each.match, policy.match)), None)


def _covers(wide: Match, narrow: Match) -> bool:
    """Whether every failure that `narrow` accepts is accepted by `wide` too."""
    return (
        _covers_set(wide.segments, narrow.segments)
        and _covers_set(wide.countries, narrow.countries)
        and _covers_set(wide.currencies, narrow.currencies)
        and _covers_set(wide.payment_types, narrow.payment_types)
        and (
            not wide.min_amount
            or (
                bool(narrow.min_amount)
                and all(wide.min_amount.get(code, 2**63) <= amount for code, amount in narrow.min_amount.items())
            )
        )
    )


def _covers_set(wide: frozenset[str], narrow: frozenset[str]) -> bool:
    return not wide or (bool(narrow) and narrow <= wide)
