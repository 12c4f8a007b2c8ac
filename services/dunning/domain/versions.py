"""Which version of each policy takes a failure: the failure's time decides, not the time of reading it (rule 13).

A version counts from its `valid_from` on, one without it has always counted; of those that count at the opening failure
the highest takes the case. So services that read a new version at different moments agree, as long as they all have it
when the first failure after its `valid_from` comes, and a late failure takes the version of its day.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from dunning.domain.events import PolicyRef

if TYPE_CHECKING:
    from dunning.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class Eras:
    """Time cut into the spans in which the same versions count."""

    starts: tuple[datetime, ...]  # of every era but the first, which has no beginning
    versions: tuple[tuple["Policy", ...], ...]  # of each policy that has one, in the order in which they are tried

    @classmethod
    def of(cls, policies: Iterable["Policy"]) -> "Eras":
        """From all versions that may take new cases."""
        by_id: dict[str, list[Policy]] = {}
        for policy in policies:
            by_id.setdefault(policy.id, []).append(policy)
        starts = {version.valid_from for versions in by_id.values() for version in versions if version.valid_from}
        in_order = tuple(sorted(starts))
        return cls(in_order, tuple(_in_force(by_id.values(), at) for at in (None, *in_order)))

    def at(self, failed_at: datetime) -> tuple["Policy", ...]:
        """What a failure of this time is tried with."""
        return self.versions[bisect_right(self.starts, failed_at)]


def taking_new_cases(policies: Collection["Policy"], current: Collection[PolicyRef]) -> list["Policy"]:
    """The versions of the files, and of what is on file besides those below all of a policy's files.

    A lower one was removed since and goes on with failures before the files' `valid_from`. A higher one is news of
    another instance, or was taken back. Of a policy without any file none takes new cases.
    """
    lowest: dict[str, int] = {}
    for ref in current:
        lowest[ref.id] = min(ref.version, lowest.get(ref.id, ref.version))
    return [each for each in policies if each.ref in current or each.version < lowest.get(each.id, 0)]


def _in_force(by_id: Iterable[Sequence["Policy"]], at: datetime | None) -> tuple["Policy", ...]:
    """Of each policy the highest version that counts at an instant, or before all of them; by priority, then by id."""
    chosen = []
    for versions in by_id:
        counting = [each for each in versions if each.valid_from is None or (at is not None and each.valid_from <= at)]
        if counting:
            chosen.append(max(counting, key=lambda policy: policy.version))
    return tuple(sorted(chosen, key=lambda policy: (policy.priority, policy.id)))
