"""Whether a network's limits allow a charge, and from when on (rule 18, promise 7)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from dunning.domain.declines.limits import UNSAID, Counts, Limit, Scope
from retry_scheduler.ledger import CountedAttempt, Outcome


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge that could be made: what limits ask of it."""

    networks: frozenset[str]
    country: str
    processor: str
    merchant: str  # empty: unknown, so attempts at all merchants count
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class OverLimit:
    """A limit forbids the charge until an instant; None: for ever."""

    limit: Limit
    until: datetime | None


def wait_for_limits(
    limits: Sequence[Limit],
    attempts: Sequence[CountedAttempt],
    charge: Charge,
    now: datetime,
    open_from: Callable[[datetime], datetime],
) -> OverLimit | None:
    """How long a charge must wait, if at all. `open_from` moves an instant into the hours in which it may be made."""
    at, over = now, None
    while found := _over_limit(limits, attempts, charge, at):
        if found.until is None:
            return found
        at = open_from(found.until)
        over = OverLimit(found.limit, at)
    return over


def _over_limit(
    limits: Sequence[Limit], attempts: Sequence[CountedAttempt], charge: Charge, at: datetime
) -> OverLimit | None:
    for limit in limits:
        if limit.holds(at) and limit.concerns(charge.networks, charge.processor, charge.country):
            together = [each for each in attempts if _counts_with(limit, charge, each)]
            if _is_over(limit, together, at):
                return OverLimit(limit, _freed_at(limit, together, at))
    return None


def _counts_with(limit: Limit, charge: Charge, attempt: CountedAttempt) -> bool:
    """Whether an attempt and the charge have in common what the limit asks for. Who is unknown may be the same."""
    merchants = {charge.merchant, attempt.merchant}
    same_merchant = Scope.MERCHANT not in limit.scope or len(merchants) == 1 or "" in merchants
    amounts = (charge.amount_minor, charge.currency), (attempt.amount_minor, attempt.currency)
    return same_merchant and (Scope.AMOUNT not in limit.scope or amounts[0] == amounts[1])


def _is_over(limit: Limit, together: Sequence[CountedAttempt], at: datetime) -> bool:
    """Whether one more charge now would be one too many. A request that is still open counts, though it lies ahead."""
    within = [each for each in together if _is_within(limit, each.at, at)]
    if limit.categories is not None and not any((each.category or UNSAID) in limit.categories for each in within):
        return False
    if limit.counts is Counts.DECLINES:
        return sum(each.outcome is not Outcome.SUCCEEDED for each in within) + 1 > limit.most
    if not within:
        return False
    return sum(_is_within(limit, each.at, at) for each in _reattempts(limit, together)) + 1 > limit.most


def _reattempts(limit: Limit, together: Sequence[CountedAttempt]) -> Iterator[CountedAttempt]:
    """Those that follow another one within the limit's time. An open request may be made earlier than `at` says, so it
    counts as one in any case: what we ask for follows a decline."""
    former: CountedAttempt | None = None
    for each in sorted(together, key=lambda attempt: attempt.at):
        if each.outcome is Outcome.OPEN or (former is not None and _is_within(limit, former.at, each.at)):
            yield each
        former = each


def _is_within(limit: Limit, earlier: datetime, at: datetime) -> bool:
    """Half-open: what happened exactly the limit's time ago counts no more."""
    return limit.within is None or earlier > at - limit.within


def _freed_at(limit: Limit, together: Sequence[CountedAttempt], at: datetime) -> datetime | None:
    """The next instant at which the count can be smaller: an attempt gets too old, or the row ends."""
    ends = [limit.valid_until] if limit.valid_until else []
    if limit.within is not None:
        ends += [each.at + limit.within for each in together if _is_within(limit, each.at, at)]
    return min(ends, default=None)
