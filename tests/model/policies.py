"""The policy file as the contracts describe it: keys with their defaults, and which policy a case gets."""

from dataclasses import dataclass
from datetime import datetime, time
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from tests.model.dates import Roll, Span, clock_pair, instant, span

RESTRICTING = ("restricted", "suspended", "terminated")
INTERRUPTING = ("sms", "push", "call")
QUIET_PAIR = ("email", *INTERRUPTING)


@dataclass(frozen=True, eq=False)
class Rung:
    name: str
    at: Span
    account: str | None
    template: str | None
    channels: tuple[str, ...]
    fallback: tuple[str, ...]
    warned_by: str | None
    lead: Span | None
    unreachable: Span | None

    @property
    def restricts(self) -> bool:
        """Restricts, suspends or terminates; `past_due` does not."""
        return self.account in RESTRICTING

    @property
    def has_notice(self) -> bool:
        return self.template is not None


@dataclass(frozen=True, eq=False)
class Policy:
    id: str
    version: int
    priority: int
    match: dict[str, Any]
    ignore: bool
    valid_from: datetime | None
    anchor: str
    timezone: str
    fallback_timezone: str
    roll: Roll | None
    has_retries: bool
    after: tuple[Span, ...]
    technical_after: tuple[Span, ...]
    max_retries: int
    window: Span | None
    hours: tuple[time, time] | None
    timeout: Span | None
    retries_roll: Roll | None
    ladder: tuple[Rung, ...]
    conditions: dict[str, Any]
    quiet: dict[str, tuple[time, time]]
    caps: dict[str, dict[str, int]]

    def is_warning(self, rung: Rung) -> bool:
        """Rule 23: a rung that another names in `warned_by`."""
        return rung.name in self.warnings

    @cached_property
    def warnings(self) -> frozenset[str]:
        return frozenset(rung.warned_by for rung in self.ladder if rung.warned_by is not None)

    def lead(self, rung: Rung) -> Span:
        """Rule 25: the difference of the two `at`s unless given."""
        if rung.lead is not None:
            return rung.lead
        return rung.at.less(self.named(rung.warned_by).at)

    def named(self, name: str | None) -> Rung:
        return self.by_name[name]

    @cached_property
    def by_name(self) -> dict[str | None, Rung]:
        return {rung.name: rung for rung in self.ladder}

    @cached_property
    def places(self) -> dict[str, int]:
        return {rung.name: place for place, rung in enumerate(self.ladder)}


def read_policy(text: str) -> Policy:
    raw: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    retries: dict[str, Any] = raw.get("retries") or {}
    after = tuple(span(one) for one in retries.get("after", []))
    contact: dict[str, Any] = raw.get("contact") or {}
    return Policy(
        id=raw["id"],
        version=raw["version"],
        priority=raw.get("priority", 100),
        match=raw.get("match") or {},
        ignore=raw.get("ignore", False),
        valid_from=_time(raw.get("valid_from")),
        anchor=raw.get("anchor", "first_failure"),
        timezone=raw.get("timezone", "account"),
        fallback_timezone=raw.get("fallback_timezone", "UTC"),
        roll=_roll(raw.get("roll")),
        has_retries="retries" in raw,
        after=after,
        technical_after=tuple(span(one) for one in retries.get("technical_after", ["10m", "1h", "6h"])),
        max_retries=retries.get("max_retries", len(after)),
        window=span(retries["window"]) if "window" in retries else None,
        hours=clock_pair(retries["hours"]) if "hours" in retries else None,
        timeout=span(retries["timeout"]) if "timeout" in retries else None,
        retries_roll=_roll(retries.get("roll")),
        ladder=tuple(_rung(one) for one in raw.get("ladder", [])),
        conditions=raw.get("conditions") or {},
        quiet=_quiet(contact),
        caps=contact.get("caps", {"call": {"7d": 7}}),
    )


def read_policies(paths: list[Path]) -> list[Policy]:
    return [read_policy(path.read_text()) for path in paths]


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    return value if isinstance(value, datetime) else instant(str(value))


def _roll(value: Any) -> Roll | None:
    if value is None or value == "none":
        return None
    return Roll(value["business_days"], tuple(value.get("calendars", ["account_country"])))


def _rung(raw: dict[str, Any]) -> Rung:
    notice: dict[str, Any] = raw.get("notice") or {}
    unreachable = raw.get("unreachable", "wait")
    return Rung(
        name=raw["rung"],
        at=span(raw["at"]),
        account=raw.get("account"),
        template=notice.get("template"),
        channels=tuple(notice.get("channels", [])),
        fallback=tuple(notice.get("fallback", [])),
        warned_by=raw.get("warned_by"),
        lead=span(raw["lead"]) if "lead" in raw else None,
        unreachable=None if unreachable == "wait" else span(unreachable),
    )


def _quiet(contact: dict[str, Any]) -> dict[str, tuple[time, time]]:
    """Rule 32: a pair for email, SMS, push and calls alike, a mapping for each its own, the default without email."""
    hours = contact.get("quiet_hours", "default")
    if hours == "none":
        return {}
    if hours == "default":
        return {channel: (time(21), time(8)) for channel in INTERRUPTING}
    if isinstance(hours, list):
        return {channel: clock_pair(hours) for channel in QUIET_PAIR}
    return {channel: clock_pair(pair) for channel, pair in hours.items() if pair != "none"}


@dataclass(frozen=True)
class Opening:
    """What decides which policy a case gets."""

    failed_at: datetime
    segment: str | None
    country: str | None
    currency: str
    payment_type: str | None
    amount_minor: int


def in_force(policies: list[Policy], failed_at: datetime) -> list[Policy]:
    """Rule 13: of each policy the highest version that counts at the failure; tried by `priority`, then by `id`."""
    counting = [one for one in policies if one.valid_from is None or one.valid_from <= failed_at]
    newest = [one for one in counting if one.version == max(each.version for each in counting if each.id == one.id)]
    return sorted(newest, key=lambda one: (one.priority, one.id))


def chosen(policies: list[Policy], opening: Opening) -> Policy | None:
    """The first whose `match` holds."""
    return next((one for one in in_force(policies, opening.failed_at) if matches(one.match, opening)), None)


def taken_over(policies: list[Policy], former: Policy, failed_at: datetime) -> Policy:
    """0003, rule 13: the former version, or a higher one whose `valid_from` lies at or before the first failure; none
    that ignores failures, nor one without retries after one with them."""
    higher = [one for one in policies if one.id == former.id and one.valid_from and one.valid_from <= failed_at]
    able = [one for one in higher if not one.ignore and (one.has_retries or not former.has_retries)]
    return max([former, *able], key=lambda one: one.version)


def matches(match: dict[str, Any], opening: Opening) -> bool:
    """An empty list matches all. Rule 38: a `min_amount` without the case's currency does not match."""
    for key, value in (
        ("segments", opening.segment),
        ("countries", opening.country),
        ("currencies", opening.currency),
        ("payment_types", opening.payment_type),
    ):
        if match.get(key) and value not in match[key]:
            return False
    minimum = match.get("min_amount")
    if minimum:
        return opening.currency in minimum and opening.amount_minor >= minimum[opening.currency]
    return True


def zone_of(policy: Policy, customer_zone: str | None) -> ZoneInfo:
    """Rule 13: `account` is the customer's zone; unknown ones fall back."""
    if policy.timezone != "account":
        return ZoneInfo(policy.timezone)
    return present_zone(policy, customer_zone)


def present_zone(policy: Policy, customer_zone: str | None) -> ZoneInfo:
    return (known_zone(customer_zone) if customer_zone else None) or ZoneInfo(policy.fallback_timezone)


@lru_cache(maxsize=1_000)
def known_zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        return None
