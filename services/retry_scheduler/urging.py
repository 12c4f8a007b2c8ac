"""What asks for a charge at once: a new payment method, or an operator's order (rules 12 and 18).

Both are kept as facts with their own times, and whether one of them still asks is reckoned from these anew. So it does
not matter in which order they, the failures and hard declines are read (rule 8).
"""

from datetime import UTC, datetime

from dunning.domain.events import PaymentMethod
from retry_scheduler.case import RetryAccount, RetryCase, Tried

ORDERS_MAX = 8  # of one invoice, beside the newest
UPDATES_MAX = 16  # of one account; of the older ones none can be the newest that counts, but for a run of refusals
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def is_urged(account: RetryAccount, case: RetryCase) -> bool:
    """Whether a charge at once is asked for and was not made yet. Whether it can be made is another question."""
    owed = case.owed_since is not None and not _tried_by_others_since(case, case.owed_since)
    return owed or _method_is_news(account, case) or _order_is_open(case)


def _method_is_news(account: RetryAccount, case: RetryCase) -> bool:
    """A new method is no news where it is dated before the case's first failure, or before what was charged since."""
    at = account.new_method_at
    if at is None or at <= (case.update_spent or _LONG_AGO) or at < case.book.first.failed_at:
        return False
    return all(tried.at <= at for tried in case.tried)


def _order_is_open(case: RetryCase) -> bool:
    """An order is like a new method, but concerns whatever would be charged: any try of somebody else came since."""
    at = case.ordered_at
    if at is None or at <= (case.order_spent or _LONG_AGO) or at < case.book.first.failed_at:
        return False
    return not _tried_by_others_since(case, at)


def _tried_by_others_since(case: RetryCase, at: datetime) -> bool:
    return case.others_tried_at is not None and case.others_tried_at > at


def spend(account: RetryAccount, case: RetryCase) -> None:
    """A charge is made now: whatever asked for one at once has it."""
    if account.new_method_at is not None:
        case.update_spent = later_of(case.update_spent, account.new_method_at)
    case.order_spent, case.owed_since = case.ordered_at, None


def order(case: RetryCase, at: datetime) -> None:
    """Somebody orders a charge of this invoice."""
    *case.orders, case.ordered_at = _orders(case, at)[-ORDERS_MAX - 1 :]


def order_as_of(case: RetryCase, at: datetime) -> datetime | None:
    """The newest order up to an instant."""
    return max((ordered_at for ordered_at in _orders(case) if ordered_at <= at), default=None)


def _orders(case: RetryCase, *more: datetime) -> list[datetime]:
    return sorted({*case.orders, *([case.ordered_at] if case.ordered_at else []), *more})


def inherit_urging(former: RetryCase, case: RetryCase) -> None:
    """What was ordered and done for an invoice goes on to its next case."""
    case.others_tried_at, case.orders = former.others_tried_at, former.orders
    case.ordered_at, case.order_spent, case.update_spent = former.ordered_at, former.order_spent, former.update_spent


def enter_method(account: RetryAccount, method: PaymentMethod, at: datetime) -> bool:
    """The customer entered a method; says whether it is now the one that counts."""
    account.updates = [*_updates(account), Tried(method, at)][-UPDATES_MAX:]
    account.changed = True
    return _choose(account)


def bar(account: RetryAccount, key: str, at: datetime) -> bool:
    """A method was declined hard; says whether that was not known, or not since when."""
    if key in account.barred and account.barred_at.get(key, _LONG_AGO) <= at:
        return False
    if key not in account.barred:
        account.barred.append(key)
    account.barred_at[key] = at
    account.changed = True
    _choose(account)
    return True


def newest_update(account: RetryAccount) -> Tried | None:
    """The newest method that the customer entered, those left out that had been declined hard before (rule 18)."""
    counting = [each for each in reversed(_updates(account)) if not _was_barred(account, each)]
    return max(counting, key=lambda each: each.at, default=None)  # of two of one instant the one that was read last


def _updates(account: RetryAccount) -> list[Tried]:
    """Of an account that was saved before they were kept, the one that counted."""
    if account.updates or account.new_method is None or account.new_method_at is None:
        return account.updates
    return [Tried(account.new_method, account.new_method_at)]


def _was_barred(account: RetryAccount, update: Tried) -> bool:
    key = update.method.key
    return key in account.barred and account.barred_at.get(key, _LONG_AGO) < update.at


def _choose(account: RetryAccount) -> bool:
    newest, former = newest_update(account), (account.new_method, account.new_method_at)
    account.new_method, account.new_method_at = (newest.method, newest.at) if newest else (None, None)
    return former != (account.new_method, account.new_method_at)


def later_of(known: datetime | None, at: datetime) -> datetime:
    """The later of an instant and one that may be known."""
    return at if known is None or at > known else known
