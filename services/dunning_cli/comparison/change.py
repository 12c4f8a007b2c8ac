"""One change, and the words in which durations, days and lists are told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dunning.domain.calendar import DailyHours, Duration
from dunning.domain.policy import ACCOUNT_COUNTRY, Roll
from dunning.domain.words import Channel

_NAMES = {Channel.EMAIL: "email", Channel.SMS: "SMS", Channel.IN_APP: "in-app message", Channel.PUSH: "push message"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: the key it stands at, what it means, and both values as they are written in a policy."""

    about: str  # `match`, `retries`, `ladder`, `conditions`, `contact` or `policy`
    path: str  # `ladder.suspended.at`; rungs go by their names
    what: str
    before: str | None
    after: str | None


def by_channel(channel: str) -> str:
    """A channel as people call it."""
    return _NAMES.get(Channel(channel), channel)


def listed(words: Collection[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    first, last = [*words][:-1], [*words][-1:]
    return f"{', '.join(first)} and {last[0]}" if first else "".join(last)


def day(at: Duration) -> str:
    """A distance from the anchor as a day: `day 14`, `day 3 and 12h`; without days, `after 2h`."""
    if at.days == 0 and at.seconds:
        return f"after {at}"
    return f"day {at.days}" + (f" and {Duration(0, at.seconds)}" if at.seconds else "")


def long(time: Duration) -> str:
    """A length of time as people say it: `2 days`, `1 day and 6h`, `90m`; a difference may be `3 days less 10m`."""
    less = time.less
    if less:
        return f"{long(time + less)} less {long(less)}"
    if not time.days:
        return str(time)
    days = counted(time.days, "day")
    return f"{days} and {Duration(0, time.seconds)}" if time.seconds else days


def text_of(value: object) -> str | None:
    """None stays what it is: a change shows it as nothing."""
    return None if value is None else str(value)


def counted(number: int, noun: str) -> str:
    """`1 retry`, `2 retries`, `3 days`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") and noun != "day" else f"{number} {noun}s"


def few(number: int) -> str:
    """Small numbers as words."""
    words = ("none", "one", "two", "three", "four", "five", "six")
    return words[number] if number < len(words) else str(number)


def elapsed(time: timedelta) -> str:
    """An elapsed time as people say it."""
    days, seconds = divmod(int(time.total_seconds()), 86400)
    return long(Duration(days, seconds))


def hours(span: DailyHours) -> str:
    """`21:00 to 08:00`."""
    return f"{span.start:%H:%M} to {span.end:%H:%M}"


def rolled(roll: Roll | None) -> str:
    """What happens to dates without business."""
    if roll is None:
        return "stay"
    whose = ["the customer's country" if name == ACCOUNT_COUNTRY else name for name in roll.calendars]
    return f"move to the {roll.toward} business day ({listed(whose) or 'weekends only'})"


def written(values: Sequence[object]) -> str:
    """A list as a policy has it."""
    return f"[{', '.join(map(str, values))}]"


def shift(before: Duration, after: Duration) -> str:
    """`2 days earlier` or `3h later`; they differ."""
    days, seconds = after.days - before.days, after.seconds - before.seconds
    total = days * 86400 + seconds
    size = Duration(*divmod(abs(total), 86400))
    return f"{long(size)} {'earlier' if total < 0 else 'later'}" if total else "at another time of day"
