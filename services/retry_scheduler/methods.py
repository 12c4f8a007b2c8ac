"""Which payment method a case would be charged with, and whether any may be charged at all (rules 12 and 18).

An account may pay its invoices with different methods, so a case remembers what it was itself charged with. A hard
refusal of one method must not stop the retries with another, neither of this invoice nor of the next.
"""

from datetime import datetime

from dunning.domain.events import PaymentFailed, PaymentMethod, PaymentSucceeded
from retry_scheduler.case import Asked, RetryAccount, RetryCase, Tried

TRIED_MAX = 8  # methods of one case; the oldest are forgotten


def present(account: RetryAccount, case: RetryCase) -> Tried | None:
    """The newest method that was not declined hard, as known; None while none is known, or none is left.

    Where neither the case nor a signal names one, what the account's payments named last is the best that is known.
    """
    candidates = _candidates(account, case)
    if not candidates and account.facts.method and account.facts.method_at:
        candidates = [Tried(account.facts.method, account.facts.method_at)]
    return next((each for each in candidates if each.method.key not in account.barred), None)


def present_method(account: RetryAccount, case: RetryCase) -> PaymentMethod | None:
    """The method of `present`."""
    found = present(account, case)
    return found.method if found else None


def present_key(account: RetryAccount, case: RetryCase) -> str:
    """Identity of the present method; empty while none is known."""
    method = present_method(account, case)
    return method.key if method else ""


def newest_known(account: RetryAccount) -> PaymentMethod | None:
    """What the account pays with by the newest word, a customer's or a payment's."""
    facts = account.facts
    said = (facts.method, facts.method_at), (account.new_method, account.new_method_at)
    known = [Tried(method, at) for method, at in said if method is not None and at is not None]
    return max(known, key=_age).method if known else None


def knows_method(account: RetryAccount, case: RetryCase) -> bool:
    """Whether the case or a signal names a method at all."""
    return bool(_candidates(account, case))


def all_barred(account: RetryAccount, case: RetryCase) -> bool:
    """Whether the case's methods are known and every one of them was declined hard."""
    candidates = _candidates(account, case)
    return bool(candidates) and all(each.method.key in account.barred for each in candidates)


def _candidates(account: RetryAccount, case: RetryCase) -> list[Tried]:
    """Newest first: what the case was charged with since the last `payment_method.updated`, then that method.

    What was charged before it is replaced by it.
    """
    method, since = account.new_method, account.new_method_at
    if method is None or since is None:
        return case.tried
    return [*(tried for tried in case.tried if tried.at > since), Tried(method, since)]


def note_tried(case: RetryCase, method: PaymentMethod, at: datetime) -> None:
    """Remember what a case was charged with, newest first."""
    newest: dict[str, Tried] = {}
    for tried in sorted([*case.tried, Tried(method, at)], key=_age, reverse=True):
        newest.setdefault(tried.method.key, tried)
    case.tried = list(newest.values())[:TRIED_MAX]


def _age(tried: Tried) -> tuple[datetime, str, str]:
    """Of one instant, any one order that does not depend on that of reading."""
    return tried.at, tried.method.key, tried.method.id or ""


def tried_since(tried: list[Tried], case: RetryCase) -> list[Tried]:
    """What a next case was charged with, of what the case before it was: by its own failures, as of these, also where
    an answer left it out, and by what was asked for and is still open (rule 7). What was asked for and ended in the
    case before is no part of it."""
    known = {attempt.method_key: attempt.failed_at for attempt in case.book.attempts}
    for asked in case.requested:
        at = asked.method_at or asked.at
        known[asked.method_key] = max(at, known.get(asked.method_key, at))
    found = [Tried(each.method, known[each.method.key]) for each in tried if each.method.key in known]
    return sorted(found, key=_age, reverse=True)


def tried_as_of(tried: list[Tried], at: datetime, named: dict[str, datetime]) -> list[Tried]:
    """What had been charged by an instant, newest first. Of a method that was charged again since, `named` tells its
    last failure up to then."""
    found = [
        each if each.at <= at else Tried(each.method, named[each.method.key])
        for each in tried
        if each.at <= at or each.method.key in named
    ]
    return sorted(found, key=_age, reverse=True)


def charged_at(case: RetryCase, event: PaymentFailed | PaymentSucceeded, at: datetime) -> datetime:
    """As of when a payment says what was charged. An echo of what we asked for is no news: it is as old as what we knew
    when we asked, so a method that the customer entered meanwhile is newer, whenever that is read."""
    asked = asked_of(case, event)
    return min(at, asked.method_at or asked.at) if asked and is_echo(asked, event.payment_method) else at


def is_echo(asked: Asked | None, method: PaymentMethod | None) -> bool:
    """Whether an answer names just the method that we asked to charge, by whatever id it calls it."""
    return asked is not None and method is not None and method.key == asked.method_key


def note_echo(asked: Asked, method: PaymentMethod | None, at: datetime) -> None:
    """Remember an answer of just the method that we asked to charge, and what it calls that, if anything."""
    asked.echoed_at.append(at)
    if method is not None:
        asked.echoed_as = max(filter(None, (asked.echoed_as, Tried(method, at))), key=_age)


def asked_of(case: RetryCase, event: PaymentFailed | PaymentSucceeded) -> Asked | None:
    """The request of ours that an event answers (rule 15): by `retry_id`, or else by payment and attempt number."""
    if event.retry_id is not None:
        return next((asked for asked in case.requested if asked.retry_id == event.retry_id), None)
    if event.initiated_by == "customer":
        return None
    key = (event.payment_id, event.attempt_number)
    return next((asked for asked in case.requested if (asked.payment_id, asked.attempt_number) == key), None)
