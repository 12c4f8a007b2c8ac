"""Whether and when a customer may be reached through a channel: addresses and quiet hours (rules 29 to 32)."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from dunning.domain.calendar import zone_named
from dunning.domain.policy import Policy
from dunning.domain.words import Channel
from notification_dispatcher.case import NoticeAccount

ADDRESS_FIELD: Mapping[Channel, str] = {
    Channel.EMAIL: "email",
    Channel.SMS: "phone",
    Channel.CALL: "phone",
    Channel.LETTER: "postal_address",
}


def address_of(account: NoticeAccount, channel: Channel) -> str | None:
    """Where a channel reaches the customer; None when that is not known. In-app, push and webhooks need the account."""
    name = ADDRESS_FIELD.get(channel)
    return account.facts.get(name) if name else account.account_id


def opens_at(account: NoticeAccount, policy: Policy, channel: Channel, now: datetime) -> datetime:
    """The first instant from now on outside the channel's quiet hours, where the customer is at present (rule 32)."""
    quiet = policy.quiet_hours.get(channel)
    return quiet.first_outside(now, _present_zone(account, policy)) if quiet else now


def closes_at(account: NoticeAccount, policy: Policy, channel: Channel, now: datetime) -> datetime | None:
    """When the channel's quiet hours begin next; None where it has none."""
    quiet = policy.quiet_hours.get(channel)
    return quiet.first_inside(now, _present_zone(account, policy)) if quiet else None


def _present_zone(account: NoticeAccount, policy: Policy) -> ZoneInfo:
    present = account.facts.get("timezone")
    return (zone_named(present) if present else None) or zone_named(policy.fallback_timezone) or ZoneInfo("UTC")
