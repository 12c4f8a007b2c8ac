"""Whether and when a channel may be used: addresses, consent, quiet hours, caps (rules 29 to 32)."""

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from dunning.domain.calendar import zone_named
from dunning.domain.facts import ADDRESS_FIELD
from dunning.domain.policy import Policy
from dunning.domain.words import Channel, Reason
from notification_dispatcher.caps import allowed_at, is_shut
from notification_dispatcher.case import NoticeAccount


def address_of(account: NoticeAccount, channel: Channel) -> str | None:
    """Where a channel reaches the customer; None when that is not known. In-app, push and webhooks need the account,
    and somebody who is still there: an erased customer is reached by none of them."""
    name = ADDRESS_FIELD.get(channel)
    if name:
        return account.facts.get(name)
    return None if account.facts.knows_nobody else account.account_id


def may_use(account: NoticeAccount, channel: Channel) -> bool:
    """Whether the customer allows the channel. Who never said anything does."""
    said = account.consent.get(channel)
    return said is None or said.allowed


def why_not(account: NoticeAccount, policy: Policy, channel: Channel, configured: Collection[Channel]) -> Reason | None:
    """Why a channel cannot be used now at all, however long one waits; None where it can."""
    address = address_of(account, channel)
    if not address:
        return Reason.ERASED if account.facts.knows_nobody else Reason.NO_ADDRESS
    if not may_use(account, channel):
        return Reason.NO_CONSENT
    if channel not in configured:
        return Reason.CHANNEL_NOT_CONFIGURED
    if is_shut(policy, channel):
        return Reason.CHANNEL_SHUT
    return Reason.ADDRESS_BOUNCED if account.bounced.get(channel) == address else None


def opens_at(account: NoticeAccount, policy: Policy, channel: Channel, now: datetime) -> datetime:
    """The first instant from now on that caps and quiet hours both allow, where the customer is at present (rule 32).

    Once its caps allow a notice they go on to: nothing else of the account can go out before that they do not know.
    """
    allowed = allowed_at(account, policy, channel, now)
    quiet = policy.quiet_hours.get(channel)
    return quiet.first_outside(allowed, _present_zone(account, policy)) if quiet else allowed


def closes_at(account: NoticeAccount, policy: Policy, channel: Channel, now: datetime) -> datetime | None:
    """When the channel's quiet hours begin next; None where it has none."""
    quiet = policy.quiet_hours.get(channel)
    return quiet.first_inside(now, _present_zone(account, policy)) if quiet else None


def _present_zone(account: NoticeAccount, policy: Policy) -> ZoneInfo:
    present = account.facts.get("timezone")
    return (zone_named(present) if present else None) or zone_named(policy.fallback_timezone) or ZoneInfo("UTC")
