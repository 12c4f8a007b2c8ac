"""When a plan is finished for good (rules 8 and 17).

A plan that was full, or whose window was over, when its last request was answered is `exhausted` from that answer on.
What is dated later changes nothing, unless it urges a charge at once; and that must not depend on which of the two was
read first. So what follows is asked twice: as of the answer, and with all that is known.
"""

from dataclasses import replace
from datetime import datetime

from dunning.domain.holds import pause_of
from dunning.domain.policy import Policy
from dunning.domain.words import DeclineClass, Reason
from retry_scheduler import countries
from retry_scheduler.case import Mark, RetryAccount, RetryCase
from retry_scheduler.counting import processor_as_of
from retry_scheduler.methods import tried_as_of
from retry_scheduler.next_step import GiveUp, Last, NextStep, charges_at_once, last_attempt, next_step
from retry_scheduler.urging import newest_update, order_as_of


def step_now(account: RetryAccount, case: RetryCase, last: Last, policy: Policy, now: datetime) -> NextStep:
    """What to do about a case with no open request after its last attempt.

    Until something was asked for, all failures decide (rule 8).
    """
    if charges_at_once(account, case, last):
        case.given_up = False
        return next_step(account, case, last, policy, now)
    if case.given_up:
        return GiveUp(case.given_up_for or Reason.RETRIES_EXHAUSTED)
    step, at = next_step(account, case, last, policy, now), case.answered_at
    if isinstance(step, GiveUp) or at is None or not _knows_later(account, case, last, at):
        return step
    case_then = _case_as_of(case, at)
    last_then = last_attempt(case_then)
    if last_then is None:
        return step
    # An answer after its time is what its time-out counts as, so what it says was refused was refused by then (15).
    refused = last_then.method_key if last_then.decline_class is DeclineClass.HARD else None
    then = next_step(_account_as_of(account, at, refused), case_then, last_then, policy, at)
    return then if isinstance(then, GiveUp) else step


def _knows_later(account: RetryAccount, case: RetryCase, last: Last, at: datetime) -> bool:
    """Whether anything that could change the step is dated after an instant. The length of a pause that held then is:
    it had lasted up to that instant, and moved no window any further."""
    return (
        last.at > at
        or pause_of(case, at) is not None
        or any(barred_at > at for barred_at in account.barred_at.values())
        or any(tried.at > at for tried in case.tried)
        or countries.said_since(account, at)
        or any(mark.at > at for mark in case.book.marks)
        or (case.processor is not None and case.processor.at > at)
        or (account.new_method_at is not None and account.new_method_at > at)
    )


def _account_as_of(account: RetryAccount, at: datetime, refused: str | None) -> RetryAccount:
    since = account.barred_at
    barred = [key for key in account.barred if key not in since or since[key] <= at or key == refused]
    updates = [each for each in account.updates if each.at <= at]
    then = replace(account, barred=barred, updates=updates, new_method=None, new_method_at=None)
    newest = newest_update(then)
    then.countries = countries.as_of(account, at)
    then.new_method, then.new_method_at = (newest.method, newest.at) if newest else (None, None)
    return then


def _case_as_of(case: RetryCase, at: datetime) -> RetryCase:
    """A method that was charged before and again since was the present one as of its last failure up to then, or, where
    that answered us, as of what was known when it was asked for."""
    attempts = [attempt for attempt in case.book.attempts if attempt.failed_at <= at]
    named = {asked.method_key: asked.method_at or asked.at for asked in case.requested if asked.at <= at}
    echoes = {(asked.method_key, echoed_at) for asked in case.requested for echoed_at in asked.echoed_at}
    for attempt in attempts:
        if (attempt.method_key, attempt.failed_at) not in echoes:
            named[attempt.method_key] = max(attempt.failed_at, named.get(attempt.method_key, attempt.failed_at))
    if case.mark is not None and _was_told_later(case, case.mark, at):
        named[case.mark.method_key] = max(case.mark.at, named.get(case.mark.method_key, case.mark.at))
    book = replace(case.book, attempts=attempts, marks=[mark for mark in case.book.marks if mark.at <= at])
    tried = tried_as_of(case.tried, at, named)
    mark = case.mark if case.mark is not None and case.mark.at <= at else None
    ordered_at, processor = order_as_of(case, at), processor_as_of(case, at)
    return replace(case, book=book, tried=tried, mark=mark, ordered_at=ordered_at, processor=processor)


def _was_told_later(case: RetryCase, time_out: Mark, at: datetime) -> bool:
    """Whether an answer after its time named another method than was asked for: it was known at the time-out, where
    that was the last attempt; what is told of an earlier one is news (15)."""
    asked = next((asked for asked in case.requested if asked.retry_id == time_out.retry_id), None)
    return (
        asked is not None
        and not any(
            time_out.at < each.failed_at <= at and not (each.late or each.overdue) for each in case.book.attempts
        )
        and asked.method_key != time_out.method_key != ""
        and any(
            attempt.late and attempt.failed_at > at and attempt.method_key == time_out.method_key
            for attempt in case.book.attempts
        )
    )
