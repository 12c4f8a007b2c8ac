"""What follows a failed attempt: the retry scheduler's rules as pure functions (rules 14 to 20)."""

from datetime import datetime

from msgspec import Struct

from dunning.domain.policy import Policy, Retries
from dunning.domain.words import DeclineClass, Reason
from retry_scheduler.allowed import planned_at
from retry_scheduler.case import RetryAccount, RetryCase, RetryKind
from retry_scheduler.limits import is_forbidden_for_good
from retry_scheduler.methods import all_barred, knows_method, present_key
from retry_scheduler.urging import is_urged


class RetryAt(Struct, frozen=True):
    """Charge again at an instant."""

    at: datetime
    kind: RetryKind


class WaitForCustomer(Struct, frozen=True):
    """No charge can help until the customer acts."""

    reason: str


class GiveUp(Struct, frozen=True):
    """The plan or its window is used up."""

    reason: str


NextStep = RetryAt | WaitForCustomer | GiveUp


class Last(Struct, frozen=True):
    """The attempt that the next distance counts from."""

    at: datetime
    decline_class: DeclineClass
    method_key: str  # empty where nobody said what was charged


def last_attempt(case: RetryCase) -> Last | None:
    """The latest of the attempts that count and of the time-outs and partial answers among them."""
    attempt, mark = case.book.latest(), case.mark
    if mark is not None and (attempt is None or mark.at >= attempt.failed_at):
        return Last(mark.at, mark.decline_class, mark.method_key)
    return Last(attempt.failed_at, attempt.decline_class, attempt.method_key) if attempt else None


def last_class(case: RetryCase) -> DeclineClass:
    """What the last attempt's decline means."""
    last = last_attempt(case)
    return last.decline_class if last else DeclineClass.UNKNOWN


def is_barred(account: RetryAccount, case: RetryCase, last: Last) -> bool:
    """Whether no charge can succeed until a new method arrives (rule 18).

    A method that nobody named cannot be barred by its name: the last attempt tells, until a method arrives. So it does
    where the case knows no method at all, only that what it was charged with was refused.
    """
    if last.decline_class is DeclineClass.HARD:
        is_named = last.method_key and knows_method(account, case)
        if not is_named and (account.new_method_at is None or account.new_method_at < last.at):
            return True
    return all_barred(account, case)


def waits_for_customer(account: RetryAccount, case: RetryCase, last: Last) -> str | None:
    """Why no charge with the present method can succeed, if so. A refusal that needs the customer counts only where it
    is the newest word on the present method (rules 18 and 19).
    """
    if is_barred(account, case, last):
        return Reason.HARD_DECLINED
    needed = last.decline_class is DeclineClass.NEEDS_CUSTOMER
    return DeclineClass.NEEDS_CUSTOMER if needed and last.method_key in ("", present_key(account, case)) else None


def charges_at_once(account: RetryAccount, case: RetryCase, last: Last) -> bool:
    """Whether a charge at once is asked for and there is a method to charge (rule 18)."""
    return is_urged(account, case) and not is_barred(account, case, last)


def next_step(account: RetryAccount, case: RetryCase, last: Last, policy: Policy, now: datetime) -> NextStep:
    """What to do about a case with no open request after its last attempt."""
    retries = policy.retries
    assert retries is not None, "only policies with retries have a retry track"
    urged = charges_at_once(account, case, last)
    reason = None if urged else waits_for_customer(account, case, last)
    if reason is not None:
        return WaitForCustomer(reason)
    if is_forbidden_for_good(account, case, now):
        return GiveUp(Reason.BUDGET_EXHAUSTED)
    if urged:
        return RetryAt(now, RetryKind.EXTRA)
    kind, distance = RetryKind.PLANNED, retries.distance(case.planned_used)
    if last.decline_class is DeclineClass.TECHNICAL and case.technical_used < len(retries.technical_after):
        kind, distance = RetryKind.TECHNICAL, retries.technical_after[case.technical_used]
    if distance is None:
        return GiveUp(Reason.RETRIES_EXHAUSTED)
    wanted, advice = distance.after(last.at, case.pinned_zone), advice_until(account, case)
    at = planned_at(wanted, case, retries, attempt_at=last.at, advice=advice, now=now)
    end = window_end(case, retries, now)
    return RetryAt(at, kind) if end is None or at <= end else GiveUp(Reason.RETRIES_EXHAUSTED)


def window_end(case: RetryCase, retries: Retries, now: datetime) -> datetime | None:
    """The last instant for a planned retry (rule 17). Pauses move it like the retries themselves (rule 27)."""
    first = case.book.first.failed_at
    return case.moved(retries.window.after(first, case.pinned_zone), first, now) if retries.window else None


def advice_until(account: RetryAccount, case: RetryCase) -> datetime | None:
    """The latest *not before* that a network gave for the present method; it can only move a plan later (rule 19)."""
    delays = [attempt for attempt in case.book.attempts if attempt.delay_until]
    present = present_key(account, case) if delays else ""
    return max(
        (each.delay_until for each in delays if each.delay_until and each.method_key in ("", present)),
        default=None,
    )


def not_after(case: RetryCase, retries: Retries, kind: RetryKind, payment_type: str | None, now: datetime) -> datetime:
    """When a request that goes out now becomes void (rules 14 and 18)."""
    timeout = retries.timeout_for(payment_type).after(now, case.pinned_zone)
    end = window_end(case, retries, now)
    return timeout if kind is RetryKind.EXTRA or end is None else min(timeout, end)
