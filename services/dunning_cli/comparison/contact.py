"""When and how often a customer is written to, and what an account must look like before a rung."""

from collections.abc import Iterator

from dunning.domain.policy import ALL_CHANNELS, Cap, Conditions, Policy
from dunning.domain.words import Channel
from dunning_cli.comparison.change import Change, by_channel, counted, elapsed, hours, listed, text_of, written
from dunning_cli.comparison.ladder import subject


def contact_changes(a: Policy, b: Policy) -> Iterator[Change]:
    """Quiet hours and caps, channel by channel."""
    for channel in Channel:
        before, after = a.quiet_hours.get(channel), b.quiet_hours.get(channel)
        if before != after:
            told = [hours(span) if span else None for span in (before, after)]
            yield Change("contact", f"contact.quiet_hours.{channel}", _rest(by_channel(channel), *told), *told)
    for name in (*(channel.value for channel in Channel), ALL_CHANNELS):
        yield from _cap_changes(name, a.caps.get(name, ()), b.caps.get(name, ()))


def _rest(way: str, before: str | None, after: str | None) -> str:
    if after is None:
        return f"by {way} something may go out at any time; before, nothing did from {before}"
    return f"nothing goes out by {way} from {after}; before, " + (f"from {before}" if before else "it did at any time")


def _cap_changes(name: str, a: tuple[Cap, ...], b: tuple[Cap, ...]) -> Iterator[Change]:
    what = "notices in all" if name == ALL_CHANNELS else f"notices by {by_channel(name)}"
    before, after = {cap.within: cap.most for cap in a}, {cap.within: cap.most for cap in b}
    for within in sorted(before.keys() | after.keys()):
        old, new = before.get(within), after.get(within)
        if old == new:
            continue
        told = f"at most {new}" if new is not None else "as many as there are"
        then = str(old) if old is not None else "as many as there were"
        path = f"contact.caps.{name}"
        yield Change(
            "contact", path, f"{what} within {elapsed(within)}: {told} instead of {then}", text_of(old), text_of(new)
        )


def condition_changes(a: Policy, b: Policy) -> Iterator[Change]:
    """What each rung waits for, besides its date."""
    for name in [*a.conditions, *(name for name in b.conditions if name not in a.conditions)]:
        before, after = a.conditions.get(name, Conditions()), b.conditions.get(name, Conditions())
        if before == after:
            continue
        policy = b if b.rung(name) else a
        rung = policy.rung(name)
        who = subject(rung, policy) if rung else f'"{name}"'
        told = [_asked(each) for each in (before, after)]
        what = f"{who} needs {told[1]} instead of {told[0]}"
        yield Change("conditions", f"conditions.{name}", what, *told)


def _asked(conditions: Conditions) -> str:
    parts = []
    if conditions.unpaid_invoices_at_least:
        parts.append(f"at least {counted(conditions.unpaid_invoices_at_least, 'unpaid invoice')}")
    if conditions.balance_at_least:
        owed = [f"{amount} minor units of {code}" for code, amount in sorted(conditions.balance_at_least.items())]
        parts.append(f"a balance of at least {' or '.join(owed)}")
    if conditions.tags_none:
        parts.append(f"none of the tags {written(sorted(conditions.tags_none))}")
    return listed(parts) or "nothing of the account"
