"""A customer whom no channel of a warning reaches: how long its rung waits, and then comes all the same (rule 26).

All that is known comes from the results of notices, so while the dispatcher is down nothing runs out (rule 39): a
channel without a result may still have a notice that waits to be sent. A customer's new address brings the warning
there (rule 31). Its notice has an id that the address is part of, so that the id of the result to come is known here,
and the address itself need not be kept.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from account_enforcement.case import AccountCase, Addressed, EnforcedAccount
from dunning.domain import ids
from dunning.domain.events import Customer
from dunning.domain.facts import ADDRESS_FIELD, CUSTOMER_FIELDS
from dunning.domain.policy import ROUNDS, Policy, Rung
from dunning.domain.words import Channel

ADDRESS_FIELDS = tuple(dict.fromkeys(ADDRESS_FIELD.values()))
ACCOUNT_ITSELF = ""  # stands where channels that need no address have no field


def warnings_of(policy: Policy) -> Iterator[Rung]:
    """The warnings that rungs do not wait for, for ever."""
    names = dict.fromkeys(rung.warned_by for rung in policy.ladder if rung.unreachable is not None and rung.warned_by)
    return (warning for name in names if (warning := policy.rung(name)) is not None)


def newest_addresses(account: EnforcedAccount, customer: Customer, at: datetime) -> dict[str, str]:
    """What is said at an instant of the customer's addresses, by field, as far as nothing newer was said before.

    Only the times are kept: a case that opens later has to know that what it reads of an address is older (rule 12).
    """
    found = {}
    for name, address in _addresses(account, customer):
        known_at = account.addresses_at.get(name)
        if address is None or (known_at is not None and known_at > at):
            continue
        found[name] = address
        if known_at != at:
            account.addresses_at[name], account.changed = at, True
    return found


def note_addresses(case: AccountCase, policy: Policy, addresses: Mapping[str, str], at: datetime) -> bool:
    """Which notices of the warnings a customer's address would get, by the newest word; says whether that is news."""
    changed = False
    for warning in warnings_of(policy):
        for channel in _channels(warning):
            address = addresses.get(ADDRESS_FIELD.get(channel, ACCOUNT_ITSELF))
            key, known = _key(warning, channel), case.addressed.get(_key(warning, channel))
            if address is None or (known is not None and known.at > at):
                continue
            fresh = Addressed(at, _notice_ids(case, warning, channel, address) if address else [])
            changed = changed or known is None or known.notice_ids != fresh.notice_ids
            case.addressed[key] = fresh
    return changed


def unreachable_at(
    case: AccountCase, policy: Policy, rung: Rung, stale_at: datetime | None, now: datetime
) -> datetime | None:
    """When the time runs out that a rung waits for a customer whom nothing reaches; None while it does not run.

    It counts from the later of the rung's date and the end of the last channel tried. `stale_at` is given where the
    warning was delivered, but so long ago that it was to be sent once more: only what ended since counts then.
    """
    warning = policy.rung(rung.warned_by) if rung.warned_by else None
    if rung.unreachable is None or warning is None:
        return None
    start = case.date_of(rung, policy)
    for channel in _channels(warning):
        own = [known for known in case.deliveries_of(warning.name) if known.channel == channel]
        ended = {known.notice_id: known.ended_at for known in own if known.ended_at is not None}
        latest = max(ended.values(), default=None)
        if latest is None or (stale_at is not None and latest < stale_at):
            return None
        awaited = case.addressed.get(_key(warning, channel))
        if awaited is not None and awaited.notice_ids and awaited.notice_ids[stale_at is not None] not in ended:
            return None
        start = max(start, latest)
    return case.moved(rung.unreachable.after(start, case.pinned_zone), start, now)


def _addresses(account: EnforcedAccount, customer: Customer) -> Iterator[tuple[str, str | None]]:
    """By field. Who is named after an erasure is somebody whom the account reaches, which nobody was before."""
    yield from ((name, getattr(customer, name)) for name in ADDRESS_FIELDS)
    if account.facts.erased_at is not None and any(getattr(customer, name) is not None for name in CUSTOMER_FIELDS):
        yield ACCOUNT_ITSELF, account.account_id


def _channels(warning: Rung) -> tuple[Channel, ...]:
    return (*warning.notice.channels, *warning.notice.fallback) if warning.notice else ()


def _notice_ids(case: AccountCase, warning: Rung, channel: Channel, address: str) -> list[str]:
    return [ids.notice_id(case.case_id, warning.name, channel, address, number) for number in ROUNDS]


def _key(warning: Rung, channel: Channel) -> str:
    return f"{warning.name}/{channel}"
