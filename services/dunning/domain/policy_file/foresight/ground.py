"""The ground on which times are tried out, and how a value is found in the file again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dunning.domain.calendar import Duration
from dunning.domain.policy import Policy, Rung
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.tree import Items, Table

ZONE = ZoneInfo("UTC")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)  # a week without holidays, in a zone without clock changes
QUARTERS = tuple(MONDAY + timedelta(minutes=15 * number) for number in range(96))
NOON = MONDAY + timedelta(hours=12)
NOONS = tuple(NOON + timedelta(days=number) for number in range(7))


@dataclass(frozen=True, slots=True)
class Warned:
    """A rung, the warning that comes before it, and where the file says so."""

    rung: Rung
    warning: Rung
    lead: Duration
    field: Field

    @property
    def between(self) -> Duration:
        """From the warning's date to the rung's."""
        return self.rung.at - self.warning.at


def locate(root: Field, *steps: str | int) -> Field:
    """The value at a path, or the last one on the way to it that is there."""
    field = root
    for step in steps:
        inner = _inner(field, step)
        if inner is None:
            return field
        field = inner
    return field


def has(root: Field, *steps: str | int) -> bool:
    """Whether the file says something at a path."""
    field: Field | None = root
    for step in steps:
        field = _inner(field, step) if field else None
    return field is not None


def _inner(field: Field, step: str | int) -> Field | None:
    match field.node:
        case Table(entries=entries):
            found = next(((key, value) for key, value in entries if key.text == step), None)
            path = f"{field.path}.{step}" if field.path else str(step)
            return Field(path, found[1], field.report, found[0].place) if found else None
        case Items(items=items) if isinstance(step, int) and step < len(items):
            return Field(f"{field.path}[{step}]", items[step], field.report, items[step].place)
    return None


def warned_rungs(policy: Policy, root: Field) -> Iterator[Warned]:
    """Every rung that another one warns of."""
    for number, rung in enumerate(policy.ladder):
        warning = policy.rung(rung.warned_by) if rung.warned_by else None
        if warning is not None and warning.notice is not None and rung.lead is not None:
            key = "lead" if has(root, "ladder", number, "lead") else "warned_by"
            yield Warned(rung, warning, rung.lead, locate(root, "ladder", number, key))


def length(time: timedelta) -> Duration:
    """An elapsed time as it is written in a policy."""
    days, seconds = divmod(int(time.total_seconds()), 86400)
    return Duration(days, seconds)
