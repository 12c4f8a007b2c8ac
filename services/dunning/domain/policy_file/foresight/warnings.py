"""Whether the warnings of a ladder come in time for what they warn of (rules 20, 25, 32)."""

from datetime import datetime, timedelta

from dunning.domain.calendar import Duration
from dunning.domain.policy import LATE, STALE_AFTER, Anchor, Policy, Roll, Toward
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.ground import (
    MONDAY,
    NOON,
    QUARTERS,
    ZONE,
    Warned,
    has,
    length,
    locate,
    warned_rungs,
)
from dunning.domain.policy_file.problems import Code

_SATURDAY = 5


def foresee_warnings(policy: Policy, root: Field) -> None:
    """Quiet hours, business days, age and technical holds, for every rung that is warned of."""
    for warned in warned_rungs(policy, root):
        _foresee_quiet_hours(policy, warned)
        _foresee_age(warned)
        if policy.roll is not None:
            _foresee_roll(policy.roll, warned)
    _foresee_hold(policy, root)


def _foresee_quiet_hours(policy: Policy, warned: Warned) -> None:
    """Of the warning's channels the first that opens counts; one without quiet hours is always in time."""
    assert warned.warning.notice is not None, "a warning has a notice"
    spans = [policy.quiet_hours.get(channel) for channel in warned.warning.notice.channels]
    if None in spans:
        return
    late, longest, passed = 0, timedelta(), False
    for anchor in QUARTERS:
        due = warned.warning.at.after(anchor, ZONE)
        sent = min(span.first_outside(due, ZONE) if span else due for span in spans)
        planned = warned.rung.at.after(anchor, ZONE)
        late += warned.lead.after(sent, ZONE) > planned + LATE
        longest = max(longest, sent - due)
        passed = passed or sent > planned
    if passed or late * 2 > len(QUARTERS):
        warned.field.warn(
            Code.QUIET_TOO_LONG,
            f'quiet hours hold "{warned.warning.name}" for up to {length(longest)} of the {warned.between} before this '
            f"rung, so it comes late for failures in {_hours(late)} of 24 hours of the day; warn earlier, shorten "
            "`lead`, or warn through a channel without quiet hours too",
        )


def _hours(quarters: int) -> str:
    return f"{quarters / 4:g}"


def _foresee_age(warned: Warned) -> None:
    """A warning that is too old on the day of its rung is sent once more, and the rung waits for that one. A rung that
    comes in the very moment goes by the first one: it is not older yet.
    """
    oldest = warned.lead + STALE_AFTER
    if warned.between.nominal_seconds >= oldest.nominal_seconds > 0:
        again = warned.warning.at + oldest
        comes_at = max(again + warned.lead, warned.rung.at, key=lambda at: at.nominal_seconds)
        late = f", so this rung comes at {comes_at} instead of {warned.rung.at}" if comes_at != warned.rung.at else ""
        age, then = f"grows older than `lead` and {STALE_AFTER} before this rung", f" and counts anew{late}"
        if warned.between.nominal_seconds == oldest.nominal_seconds:
            age = f"is as old as `lead` and {STALE_AFTER} when this rung comes"
            then = ", although this rung goes by the first one"
        warned.field.warn(
            Code.WARNING_GROWS_OLD,
            f'"{warned.warning.name}" ({warned.warning.at}) {age}: at {again} it is sent a second time{then}; '
            f"warn later, or give `lead` more than {warned.between - STALE_AFTER}",
        )


def _foresee_roll(roll: Roll, warned: Warned) -> None:
    """Warning and rung roll by themselves, so weekends may leave less than `lead` between them."""
    late = [delay for weekday in range(7) if (delay := _rolled_delay(roll, warned, NOON + timedelta(days=weekday)))]
    if late:
        warned.field.warn(
            Code.ROLL_TAKES_LEAD,
            f'`roll` moves "{warned.warning.name}" and this rung by themselves: for failures on {len(late)} of 7 '
            f"weekdays less than {warned.lead} is left, and this rung comes up to {length(max(late))} after its rolled "
            f"date; {_cure(warned.between)}",
        )


def _cure(between: Duration) -> str:
    return f"give `lead` at most {between - Duration(days=2)}" if between.days > 2 else "warn earlier"


def _rolled_delay(roll: Roll, warned: Warned, anchor: datetime) -> timedelta:
    """By how much a rung comes later than its rolled date, where its warning goes out on the day that it rolls to."""
    sent = _rolled(warned.warning.at, anchor, roll.toward)
    planned = _rolled(warned.rung.at, anchor, roll.toward)
    earliest = _business_day(warned.lead.after(sent, ZONE), Toward.NEXT)
    return max(earliest - planned, timedelta())


def _rolled(at: Duration, anchor: datetime, toward: Toward) -> datetime:
    day = at.after(anchor, ZONE)
    return _business_day(day, toward) if at.nominal_seconds > 0 else day


def _business_day(day: datetime, toward: Toward) -> datetime:
    """Saturday and Sunday only: which holidays there are depends on the customer."""
    step = timedelta(days=1 if toward is Toward.NEXT else -1)
    while (day - MONDAY).days % 7 >= _SATURDAY:
        day += step
    return day


def _foresee_hold(policy: Policy, root: Field) -> None:
    """While nothing was decided about a payment the ladder holds, and so does its first warning (rule 20)."""
    if policy.retries is None or policy.anchor is not Anchor.FIRST_FAILURE:
        return
    written = has(root, "retries", "technical_after")
    held = sum((distance.nominal_seconds for distance in policy.retries.technical_after), 0)
    for warned in warned_rungs(policy, root):
        at = warned.warning.at.nominal_seconds
        late = max(at, held) + warned.lead.nominal_seconds - warned.rung.at.nominal_seconds
        if held > at and late > LATE.total_seconds() and (written or at > 0):
            locate(root, "retries", "technical_after").warn(
                Code.HOLD_TOO_LONG,
                f"after technical failures the ladder holds for up to {length(timedelta(seconds=held))}, longer than "
                f'"{warned.warning.name}" ({warned.warning.at}) can wait: "{warned.rung.name}" then comes '
                f"{length(timedelta(seconds=late))} late; shorten `technical_after`, or warn later",
            )
            return
