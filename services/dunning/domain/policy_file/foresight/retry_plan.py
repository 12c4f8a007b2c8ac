"""Whether the retries that are planned fit into their window (rules 16 and 17)."""

from dataclasses import replace
from datetime import datetime

from dunning.domain.business_days import business_days
from dunning.domain.calendar import Duration
from dunning.domain.policy import Policy, Retries, Roll, Toward
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.ground import NOON, NOONS, QUARTERS, ZONE, has, locate
from dunning.domain.policy_file.problems import Code


def foresee_retry_plan(policy: Policy, root: Field) -> None:
    """What `window` cuts off: the end of a plan that `hours` or weekends move, and technical retries."""
    if policy.retries is None or policy.retries.window is None:
        return
    _foresee_roll(policy.retries, root)
    retries = replace(policy.retries, roll=None)
    if has(root, "retries", "technical_after"):
        _foresee_technical(retries, locate(root, "retries", "technical_after"))
    if retries.hours is None or _fits_however_moved(retries):
        return
    fitting = {anchor: _fitting(retries, anchor) for anchor in QUARTERS}
    least = min(fitting.values())
    fits_without_hours = _fitting(replace(retries, hours=None), NOON) == retries.max_retries  # else it is said already
    if least < retries.max_retries and fits_without_hours:
        at = next(anchor for anchor, number in fitting.items() if number == least)
        locate(root, "retries", "window").warn(
            Code.WINDOW_TOO_SHORT,
            f"only {least} of {retries.max_retries} planned retries fit into {retries.window} where `hours` move them, "
            f"as after a failure at {at:%H:%M}",
        )


def _foresee_roll(retries: Retries, root: Field) -> None:
    """Weekends alone: which holidays there are depends on the customer. `previous` moves retries away from the end."""
    if retries.roll is None or retries.roll.toward is Toward.PREVIOUS:
        return
    fitting = {anchor: _fitting(retries, anchor) for anchor in NOONS}
    least = min(fitting.values())
    if least < retries.max_retries and _fitting(replace(retries, roll=None), NOON) == retries.max_retries:
        weekday = next(anchor for anchor, number in fitting.items() if number == least).strftime("%A")
        locate(root, "retries", "window").warn(
            Code.WINDOW_TOO_SHORT,
            f"only {least} of {retries.max_retries} planned retries fit into {retries.window} where `roll` moves them, "
            f"as after a failure on a {weekday}",
        )


def _fits_however_moved(retries: Retries) -> bool:
    """Without trying: even where every retry waits for as long as a night can be."""
    assert retries.window is not None, "asked only where there is a window"
    distances = (retries.distance(number) for number in range(retries.max_retries))
    longest = sum(distance.nominal_seconds + 86400 for distance in distances if distance is not None)
    return longest <= retries.window.nominal_seconds


def _fitting(retries: Retries, anchor: datetime) -> int:
    """How many planned retries come before the window ends, each failing at the instant at which it is made."""
    assert retries.window is not None, "asked only where there is a window"
    end, at = retries.window.after(anchor, ZONE), anchor
    for number in range(retries.max_retries):
        distance = retries.distance(number)
        if distance is None:
            return number
        at = distance.after(at, ZONE)
        at = _allowed(_allowed(at, retries), retries)  # hours may lead into a weekend, and that to another opening
        if at > end:
            return number
    return retries.max_retries


def _allowed(at: datetime, retries: Retries) -> datetime:
    if retries.roll is not None:
        at = business_days(Roll(Toward.NEXT, ()), "").after(Duration(), at, ZONE)
    return retries.hours.first_inside(at, ZONE) if retries.hours else at


def _foresee_technical(retries: Retries, field: Field) -> None:
    assert retries.window is not None, "asked only where there is a window"
    end, at, fitting = retries.window.after(NOON, ZONE), NOON, 0
    for distance in retries.technical_after:
        at = distance.after(at, ZONE)
        fitting += at <= end
    if fitting < len(retries.technical_after):
        planned = len(retries.technical_after)
        message = f"only {fitting} of {planned} technical retries fit into the `window`, {retries.window}"
        field.warn(Code.WINDOW_TOO_SHORT, message)
