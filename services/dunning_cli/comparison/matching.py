"""For whom a policy is, and when it is tried."""

from collections.abc import Iterator

from dunning.domain.calendar import rfc3339
from dunning.domain.policy import Match, Policy
from dunning_cli.comparison.change import Change, listed, text_of, written

_WHO = {
    "segments": "the segment",
    "countries": "customers in",
    "currencies": "invoices in",
    "payment_types": "payments by",
}


def matching_changes(a: Policy, b: Policy) -> Iterator[Change]:
    """Whose failures are handled differently from now on."""
    for part, who in _WHO.items():
        yield from _set_changes(part, who, getattr(a.match, part), getattr(b.match, part))
    yield from _amount_changes(a.match, b.match)
    if a.ignore != b.ignore:
        what = "what matches opens no case any more" if b.ignore else "what matches opens cases; it was ignored"
        yield Change("match", "ignore", what, str(a.ignore).lower(), str(b.ignore).lower())
    if a.priority != b.priority:
        when = "earlier" if b.priority < a.priority else "later"
        what = f"it is tried {when} among several policies: priority {b.priority} instead of {a.priority}"
        yield Change("match", "priority", what, str(a.priority), str(b.priority))
    if a.valid_from != b.valid_from:
        since = [rfc3339(when) if when else None for when in (a.valid_from, b.valid_from)]
        told = [f"from {when} on" if when else "at once" for when in since]
        yield Change("match", "valid_from", f"new cases take it {told[1]} instead of {told[0]}", *since)


def _set_changes(part: str, who: str, a: frozenset[str], b: frozenset[str]) -> Iterator[Change]:
    if a == b:
        return
    gone, new = sorted(a - b), sorted(b - a)
    if not a:
        what = f"it is only for {who} {listed(new)}; it was for all"
    elif not b:
        what = f"it is for all, no longer only for {who} {listed(gone)}"
    else:
        more = [f"also for {who} {listed(new)}"] if new else []
        what = "it is " + listed([*more, *([f"no longer for {who} {listed(gone)}"] if gone else [])])
    yield Change("match", f"match.{part}", what, written(sorted(a)), written(sorted(b)))


def _amount_changes(a: Match, b: Match) -> Iterator[Change]:
    """Without any amount every invoice matches, with one a currency that is not named does not."""
    for currency in sorted(a.min_amount.keys() | b.min_amount.keys()):
        before, after = a.min_amount.get(currency), b.min_amount.get(currency)
        if before == after:
            continue
        told = [
            _from(amount, currency, any_named=bool(match.min_amount)) for match, amount in ((a, before), (b, after))
        ]
        what = f"it is for {told[1]} instead of {told[0]}"
        yield Change("match", f"match.min_amount.{currency}", what, *(text_of(amount) for amount in (before, after)))
    if bool(a.min_amount) != bool(b.min_amount):
        rest = "no longer matches" if b.min_amount else "matches too"
        yield Change("match", "match.min_amount", f"an invoice in a currency that is not named {rest}", None, None)


def _from(amount: int | None, currency: str, *, any_named: bool) -> str:
    if amount is not None:
        return f"invoices from {amount} minor units of {currency}"
    return f"no invoices in {currency}" if any_named else f"all invoices in {currency}"
