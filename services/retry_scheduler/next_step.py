"""What follows a failed attempt: the retry scheduler's rules as pure functions (rules 14 to 20)."""

from dataclasses import dataclass
from datetime import datetime

from dunning.domain.policy import Policy, Retries
from dunning.domain.words import DeclineClass, Reason
from retry_scheduler.case import RetryAccount, RetryCase, RetryKind


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Charge again at an instant."""

    at: datetime
    kind: RetryKind


@dataclass(frozen=True, slots=True)
class WaitForCustomer:
    """No charge can help until the customer acts."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The plan or its window is used up."""

    reason: str


NextStep = RetryAt | WaitForCustomer | GiveUp


@dataclass(frozen=True, slots=True)
class Last:
    """The attempt that the next distance counts from."""

    at: datetime
    decline_class: DeclineClass


def last_attempt(case: RetryCase) -> Last | None:
    """The latest of the attempts that count and of the time-outs and partial answers among them."""
    attempt, mark = case.book.latest(), case.mark
    if mark is not None and (attempt is None or mark.at >= attempt.failed_at):
        return Last(mark.at, mark.decline_class)
    return Last(attempt.failed_at, attempt.decline_class) if attempt else None


def waits_for_customer(account: RetryAccount, case: RetryCase) -> str | None:
    """Why no charge with the present method can succeed, if so.

    A barred method is one that was declined hard in any case of the account; a refusal that needs the customer counts
    only where it is the newest word on the present method (rules 18 and 19).
    """
    present = account.facts.method_key
    if present in account.barred:
        return Reason.HARD_DECLINED
    attempts = [known for known in case.book.attempts if not known.overdue]
    newest = attempts[-1] if attempts else None
    if newest and case.mark and case.mark.at >= newest.failed_at:  # charged again since, without a refusal
        return None
    if newest and newest.decline_class is DeclineClass.NEEDS_CUSTOMER and newest.method_key in ("", present):
        return DeclineClass.NEEDS_CUSTOMER
    return None


def next_step(account: RetryAccount, case: RetryCase, policy: Policy, now: datetime) -> NextStep:
    """What to do about a case with no open request."""
    retries = policy.retries
    assert retries is not None, "only policies with retries have a retry track"
    if case.urged and account.facts.method_key not in account.barred:
        return RetryAt(now, RetryKind.EXTRA)
    reason = waits_for_customer(account, case)
    if reason is not None:
        return WaitForCustomer(reason)
    last = last_attempt(case)
    assert last is not None, "a case on the retry track has an attempt"
    kind, distance = RetryKind.PLANNED, retries.distance(case.planned_used)
    if last.decline_class is DeclineClass.TECHNICAL and case.technical_used < len(retries.technical_after):
        kind, distance = RetryKind.TECHNICAL, retries.technical_after[case.technical_used]
    if distance is None:
        return GiveUp(Reason.RETRIES_EXHAUSTED)
    planned = distance.after(last.at, case.pinned_zone)
    at = first_allowed(max(planned, now, advice_until(account, case) or planned), case, retries)
    end = window_end(case, retries)
    return RetryAt(at, kind) if end is None or at <= end else GiveUp(Reason.RETRIES_EXHAUSTED)


def first_allowed(at: datetime, case: RetryCase, retries: Retries) -> datetime:
    """The first instant from `at` on that lies in the policy's hours."""
    return retries.hours.first_inside(at, case.pinned_zone) if retries.hours else at


def window_end(case: RetryCase, retries: Retries) -> datetime | None:
    """The last instant for a planned retry (rule 17)."""
    return retries.window.after(case.book.first.failed_at, case.pinned_zone) if retries.window else None


def advice_until(account: RetryAccount, case: RetryCase) -> datetime | None:
    """The latest *not before* that a network gave for the present method; it can only move a plan later (rule 19)."""
    present = account.facts.method_key
    return max(
        (
            attempt.delay_until
            for attempt in case.book.attempts
            if attempt.delay_until and attempt.method_key in ("", present)
        ),
        default=None,
    )


def not_after(case: RetryCase, retries: Retries, kind: RetryKind, payment_type: str | None, now: datetime) -> datetime:
    """When a request that goes out now becomes void (rules 14 and 18)."""
    timeout = retries.timeout_for(payment_type).after(now, case.pinned_zone)
    end = window_end(case, retries)
    return timeout if kind is RetryKind.EXTRA or end is None else min(timeout, end)
