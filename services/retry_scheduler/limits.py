"""What the networks' limits say of a case's next charge (rule 18)."""

from collections.abc import Callable
from datetime import datetime
from functools import cache

from dunning.domain.declines import network_of
from dunning.domain.declines.catalogue import shipped
from dunning.domain.declines.limits import Limit
from dunning.domain.events import PaymentMethod
from retry_scheduler.budget import Charge, OverLimit, wait_for_limits
from retry_scheduler.case import RetryAccount, RetryCase
from retry_scheduler.countries import country_of
from retry_scheduler.ledger import CardLedger, CountedAttempt, Outcome
from retry_scheduler.methods import present_method


def over_limit(
    account: RetryAccount,
    case: RetryCase,
    method: PaymentMethod | None,
    now: datetime,
    open_from: Callable[[datetime], datetime],
) -> OverLimit | None:
    """Whether a charge that is due now is over a limit, and until when; `open_from` gives the hours that it keeps to.

    Where nobody knows what would be charged, nothing can be counted.
    """
    if method is None or not method.key:
        return None
    ledger: CardLedger = account.shared[method.key]
    charge = _charge(account, case, method, frozenset(each.network for each in ledger.attempts))
    return wait_for_limits(shipped().limits, ledger.attempts, charge, now, open_from)


def is_forbidden_for_good(account: RetryAccount, case: RetryCase, now: datetime) -> bool:
    """Whether the case itself tells that its present method may never be tried again, whatever else was tried with it.

    So there is nothing to plan. What depends on other cases is looked at when the charge is due: stages must not depend
    on the order in which those were read (rule 8).
    """
    method = present_method(account, case)
    tried = {each.method.key for each in case.tried} | {each.method_key for each in case.book.attempts}
    if method is None or not method.key or method.key not in tried:
        return False
    declined = [CountedAttempt(0, now, Outcome.DECLINED)]
    over = wait_for_limits(_endless(), declined, _charge(account, case, method, frozenset()), now, lambda at: at)
    return over is not None and over.until is None


@cache
def _endless() -> tuple[Limit, ...]:
    return tuple(limit for limit in shipped().limits if limit.within is None)


def _charge(account: RetryAccount, case: RetryCase, method: PaymentMethod, said_before: frozenset[str]) -> Charge:
    return Charge(
        networks=said_before | {network_of(None, method, shipped())},
        country=country_of(account, method),
        processor=case.processor.value if case.processor else "",
        merchant=case.merchant.value if case.merchant else "",
        amount_minor=case.book.amount_minor,
        currency=case.book.currency,
    )
