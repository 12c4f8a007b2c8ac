"""When a policy lets a charge go out: within its hours, and on its business days (rules 15, 16, 19 and 27)."""

from datetime import datetime

from dunning.domain.business_days import BusinessDays, business_days
from dunning.domain.calendar import Duration
from dunning.domain.policy import Retries, Toward
from retry_scheduler.case import RetryCase

TURNS_MAX = 8  # roll and hours agree after two of them
_HERE = Duration()


def first_allowed(at: datetime, case: RetryCase, retries: Retries) -> datetime:
    """The first instant from `at` on that lies in the policy's hours and on a business day, never an earlier one."""
    return _settled(at, case, retries, Toward.NEXT)


def planned_at(
    wanted: datetime, case: RetryCase, retries: Retries, *, attempt_at: datetime, advice: datetime | None, now: datetime
) -> datetime:
    """When a retry that its distance puts at an instant goes out: moved by pauses and by a network's advice, then to
    where both the hours and the business days allow it. An instant that has passed means now, or when that is allowed
    (rules 15, 19 and 27).

    A `previous` business day does not count where it would not come after the attempt that the distance counts from:
    all retries would go out at once. Nor does one before the advice, which can only move a charge later.
    """
    earliest = _paused(wanted, case, retries, attempt_at, now)
    earliest = max(earliest, advice or earliest)
    at = _settled(earliest, case, retries, _toward(retries))
    if at <= attempt_at or (advice is not None and at < advice):
        at = first_allowed(earliest, case, retries)
    return at if at >= now else first_allowed(now, case, retries)


def _paused(wanted: datetime, case: RetryCase, retries: Retries, attempt_at: datetime, now: datetime) -> datetime:
    """What pauses move is the rolled date: it is open until then."""
    days = _business_days(case, retries)
    rolled = _on_business_day(wanted, case, days, _toward(retries))
    if rolled <= attempt_at:
        rolled = _on_business_day(wanted, case, days, Toward.NEXT)
    moved = case.moved(rolled, attempt_at, now)
    return wanted if moved == rolled else moved


def _settled(at: datetime, case: RetryCase, retries: Retries, toward: Toward) -> datetime:
    """By turns to a business day and into the hours, until an instant satisfies both."""
    days = _business_days(case, retries)
    for _ in range(TURNS_MAX):
        moved = _opening(_on_business_day(at, case, days, toward), case, retries)
        if moved == at:
            break
        at = moved
    return at


def _toward(retries: Retries) -> Toward:
    return retries.roll.toward if retries.roll else Toward.NEXT


def _business_days(case: RetryCase, retries: Retries) -> BusinessDays | None:
    return business_days(retries.roll, case.country) if retries.roll else None


def _on_business_day(at: datetime, case: RetryCase, days: BusinessDays | None, toward: Toward) -> datetime:
    if days is None:
        return at
    move = days.next_after if toward is Toward.NEXT else days.after
    return move(_HERE, at, case.pinned_zone)


def _opening(at: datetime, case: RetryCase, retries: Retries) -> datetime:
    return retries.hours.first_inside(at, case.pinned_zone) if retries.hours else at
