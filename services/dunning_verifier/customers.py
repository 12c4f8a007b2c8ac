"""Where customers live, as far as a service had to know: facts of payment events count as of their time (rule 12)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dunning_verifier.clock import zone_or_none
from dunning_verifier.policy_file import Policy
from dunning_verifier.values import Failure, Input

_UTC = ZoneInfo("UTC")


class _Said(NamedTuple):
    at: datetime
    logged_at: datetime
    value: str


@dataclass(slots=True)
class Customers:
    """What was said of each account's zone and country."""

    zones: dict[str, list[_Said]] = field(default_factory=lambda: defaultdict(list))
    countries: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    some_without_zone: set[str] = field(default_factory=set)  # accounts with failures that do not say where
    some_without_country: set[str] = field(default_factory=set)

    def learn(self, event: Input, customer: Mapping[str, Any]) -> None:
        """Take in what an event says of its customer."""
        zone, country = customer.get("timezone"), customer.get("country")
        if isinstance(zone, str):
            self.zones[event.account_id].append(_Said(event.time, event.logged_at, zone))
        if isinstance(country, str):
            self.countries[event.account_id].add(country)
        if isinstance(event, Failure) and not isinstance(zone, str):
            self.some_without_zone.add(event.account_id)
        if isinstance(event, Failure) and not isinstance(country, str):
            self.some_without_country.add(event.account_id)

    def present_zones(
        self, account_id: str, policy: Policy, read_before: datetime, read_at_most: datetime
    ) -> set[ZoneInfo]:
        """The zones that a service may have held for the customer's present one."""
        said = [word for word in self.zones.get(account_id, ()) if word.logged_at <= read_at_most]
        newest = max((word.at for word in said if word.logged_at < read_before), default=None)
        names: set[str | None] = {word.value for word in said if newest is None or word.at >= newest}
        if newest is None:
            names.add(None)
        fallback = zone_or_none(policy.fallback_timezone) or _UTC
        return {zone_or_none(name) or fallback for name in names}

    def pinned_zones(self, account_id: str, policy: Policy) -> set[ZoneInfo]:
        """The zones that a case may have pinned when it opened: all that were ever said of its account, and the
        fallback unless every failure said one."""
        fallback = zone_or_none(policy.fallback_timezone) or _UTC
        if policy.timezone != "account":
            return {zone_or_none(policy.timezone) or fallback}
        said = {zone_or_none(word.value) or fallback for word in self.zones.get(account_id, ())}
        return said if said and account_id not in self.some_without_zone else said | {fallback}

    def pinned_countries(self, account_id: str) -> set[str | None]:
        """The countries that a case may have pinned, in the same way."""
        said: set[str | None] = set(self.countries.get(account_id, ()))
        return said if said and account_id not in self.some_without_country else said | {None}
