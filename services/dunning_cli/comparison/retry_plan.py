"""How often and when a customer's method is charged again."""

from collections.abc import Iterator

from dunning.domain.calendar import Duration
from dunning.domain.policy import Retries
from dunning_cli.comparison.change import Change, counted, day, few, hours, listed, long, rolled, text_of, written

_ABOUT = "retries"


def retry_changes(a: Retries | None, b: Retries | None) -> Iterator[Change]:
    """Counts and days as planned: `hours`, `roll` and answers that come late move them."""
    if a == b:
        return
    if a is None or b is None:
        yield Change(_ABOUT, _ABOUT, *_all_or_nothing(a, b))
        return
    yield from _plan_changes(a, b)
    if a.technical_after != b.technical_after:
        what = f"after technical failures the next tries come {_soon(b)} instead of {_soon(a)}"
        yield Change(_ABOUT, "retries.technical_after", what, written(a.technical_after), written(b.technical_after))
    if a.window != b.window:
        yield Change(_ABOUT, "retries.window", _ending(a.window, b.window), text_of(a.window), text_of(b.window))
    if a.hours != b.hours:
        told = [hours(each.hours) if each.hours else "any time of day" for each in (a, b)]
        yield Change(_ABOUT, "retries.hours", f"retries come at {told[1]} instead of {told[0]}", *told)
    if a.timeout != b.timeout:
        told = [long(each.timeout) if each.timeout else "1 day (cards) or 14 days (others)" for each in (a, b)]
        what = f"a charge waits {told[1]} for its answer instead of {told[0]}"
        yield Change(_ABOUT, "retries.timeout", what, text_of(a.timeout), text_of(b.timeout))
    if a.roll != b.roll:
        what = f"retries on days without business {rolled(b.roll)}; before they {_past(rolled(a.roll))}"
        yield Change(_ABOUT, "retries.roll", what, rolled(a.roll), rolled(b.roll))


def _all_or_nothing(a: Retries | None, b: Retries | None) -> tuple[str, str | None, str | None]:
    if b is None:
        return "nothing is charged again from here any more", _days(a), None
    return f"{counted(b.max_retries, 'retry')} now, on {_days(b)}; before there were none", None, _days(b)


def _plan_changes(a: Retries, b: Retries) -> Iterator[Change]:
    before, after = planned(a), planned(b)
    if before == after:
        if a.after != b.after:  # distances that are never used
            yield Change(_ABOUT, "retries.after", "no planned retry moves", written(a.after), written(b.after))
        return
    parts = []
    if len(before) != len(after):
        parts.append(f"{few(abs(len(after) - len(before)))} {'more' if len(after) > len(before) else 'fewer'}")
    if before and after and before[-1] != after[-1]:
        parts.append(f"the last on {day(after[-1])} instead of {day(before[-1])}")
    all_of_them = f"{_days(b)} instead of {_days(a)}"
    what = f"{', '.join(parts)} ({all_of_them})" if parts else all_of_them
    yield Change(_ABOUT, "retries.after", f"retries: {what}", _days(a), _days(b))


def planned(retries: Retries) -> list[Duration]:
    """The planned distances of all retries from the first failure, those within the window."""
    found: list[Duration] = []
    at = Duration()
    for number in range(retries.max_retries):
        distance = retries.distance(number)
        if distance is None:
            break
        at += distance
        if retries.window is not None and at.nominal_seconds > retries.window.nominal_seconds:
            break
        found.append(at)
    return found


def _days(retries: Retries | None) -> str:
    days = planned(retries) if retries else []
    if all(not at.seconds for at in days) and days:
        return f"{'day' if len(days) == 1 else 'days'} {listed([str(at.days) for at in days])}"
    return listed([day(at) for at in days]) or "no day"


def _past(told: str) -> str:
    return told.replace("stay", "stayed").replace("move to", "moved to")


def _soon(retries: Retries) -> str:
    distances = listed([str(distance) for distance in retries.technical_after])
    return f"after {distances}" if distances else "as after any other failure"


def _ending(before: Duration | None, now: Duration | None) -> str:
    """The two windows, of which one may be none at all."""
    if now and before:
        return f"retries end {long(now)} after the first failure instead of {long(before)}"
    if now:
        return f"retries end {long(now)} after the first failure instead of having no end"
    return f"retries have no end instead of ending {long(before)} after the first failure" if before else ""
