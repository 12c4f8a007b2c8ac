"""How often a customer may be written to: what went out lately, and when caps allow one more (rule 32)."""

from collections.abc import Mapping
from datetime import datetime
from operator import itemgetter

from dunning.domain.policy import ALL_CHANNELS, Cap, Policy
from dunning.domain.words import Channel
from notification_dispatcher.case import Contact, Notice, NoticeAccount


def allowed_at(account: NoticeAccount, policy: Policy, channel: Channel, now: datetime) -> datetime:
    """The first instant from now on at which all caps of the policy allow one more notice on the channel.

    A window is half-open: what went out exactly `within` ago counts no more. What is on its way counts as sent now, at
    every moment until it is known when it went: two notices of one account never pass a cap together.
    """
    moments = [now]
    for name in (channel, ALL_CHANNELS):
        caps = policy.caps.get(name)
        if not caps:
            continue
        counted = [each.at or now for each in account.contacts if name in (ALL_CHANNELS, each.channel)]
        counted.sort(reverse=True)
        moments += [counted[cap.most - 1] + cap.within for cap in caps if 0 < cap.most <= len(counted)]
    return max(moments)


def is_shut(policy: Policy, channel: Channel) -> bool:
    """Whether a cap of 0 forbids the channel: waiting would never end, so its fallback takes over."""
    return any(cap.most == 0 for name in (channel, ALL_CHANNELS) for cap in policy.caps.get(name, ()))


def note_ordered(account: NoticeAccount, notice: Notice, widest: Cap | None) -> None:
    """Count a notice that is on its way from now on, unless no cap on file counts its channel."""
    if widest is None:
        return
    account.contacts.append(Contact(notice.id, notice.channel))
    account.changed = True


def settle(account: NoticeAccount, notice_id: str, went_out_at: datetime | None, widest: Mapping[Channel, Cap]) -> bool:
    """What was on its way went out at an instant, or (None) did not; says whether what caps count changed.

    Only now is what went out before forgotten: until then this one could have turned out not to have gone.
    """
    contact = next((each for each in account.contacts if each.notice_id == notice_id and each.at is None), None)
    if contact is None:
        return False
    if went_out_at is None:
        account.contacts.remove(contact)
    else:
        contact.at = went_out_at
        if contact.channel in widest:
            _forget_old(account, contact.channel, widest[contact.channel], went_out_at)
    account.changed = True
    return True


def _forget_old(account: NoticeAccount, channel: Channel, widest: Cap, now: datetime) -> None:
    """Of what went out, keep what a cap may still count: within the widest window, and no more than the largest
    number."""
    others = [each for each in account.contacts if each.channel != channel or each.at is None]
    own = [(each.at, each) for each in account.contacts if each.channel == channel and each.at is not None]
    recent = sorted([known for known in own if known[0] + widest.within > now], key=itemgetter(0))
    account.contacts = others + [each for _, each in recent[-widest.most :]]
