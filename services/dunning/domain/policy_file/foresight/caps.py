"""Whether caps let a ladder's notices out in time (rule 32), for one case alone: others only make it tighter."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from dunning.domain.policy import ALL_CHANNELS, LATE, Cap, Policy, Rung
from dunning.domain.policy_file.fields import Field
from dunning.domain.policy_file.foresight.ground import NOON, ZONE, has, length, locate, warned_rungs
from dunning.domain.policy_file.problems import Code
from dunning.domain.words import Channel


def foresee_caps(policy: Policy, root: Field) -> None:
    """Caps that shut a channel for ever, that hold a warning back from its rung, or that are never reached."""
    _foresee_never_reached(policy, root)
    sent = _sent(policy)
    for number, rung in enumerate(policy.ladder):
        if rung.notice is not None and not any(_open(policy.caps, channel) for channel in _ways(rung)):
            _report_shut(policy, locate(root, "ladder", number, "notice", "channels"), rung)
    for warned in warned_rungs(policy, root):
        at, planned = sent.get(warned.warning.name), warned.rung.at.after(NOON, ZONE)
        if at is None:
            continue
        held, late = at - warned.warning.at.after(NOON, ZONE), warned.lead.after(at, ZONE) - planned
        if late > LATE:
            warned.field.warn(
                Code.CAPS_HOLD_WARNING,
                f'caps hold "{warned.warning.name}" back for {length(held)} because of the notices before it, so this '
                f"rung comes {length(late)} late; allow more in `contact.caps`, or write less before",
            )


def _report_shut(policy: Policy, field: Field, rung: Rung) -> None:
    message = "a cap of 0 shuts every channel of this notice"
    if any(other.warned_by == rung.name and other.unreachable is None for other in policy.ladder):
        field.refuse(Code.CAPS_SHUT_NOTICE, f"{message}, so what it warns of never happens; raise the cap")
    else:
        field.warn(Code.CAPS_SHUT_NOTICE, f"{message}; raise the cap, or remove the notice")


def _ways(rung: Rung) -> Sequence[Channel]:
    return (*rung.notice.channels, *rung.notice.fallback) if rung.notice else ()


def _caps_of(caps: Mapping[str, tuple[Cap, ...]], channel: Channel) -> Iterator[tuple[str, Cap]]:
    for name in (channel.value, ALL_CHANNELS):
        yield from ((name, cap) for cap in caps.get(name, ()))


def _open(caps: Mapping[str, tuple[Cap, ...]], channel: Channel) -> bool:
    return all(cap.most > 0 for _, cap in _caps_of(caps, channel))


def _sent(policy: Policy) -> Mapping[str, datetime]:
    """When each rung's first notice goes out, for a failure at noon; not those that are superseded while they wait."""
    log: list[tuple[datetime, Channel]] = []
    sent: dict[str, datetime] = {}
    speaking = [rung for rung in policy.ladder if rung.notice is not None]
    for rung, following in zip(speaking, [*speaking[1:], None], strict=False):
        due = rung.at.after(NOON, ZONE)
        end = following.at.after(NOON, ZONE) if following and not policy.is_warning(rung) else None
        left = [channel for channel in (rung.notice.channels if rung.notice else ()) if _open(policy.caps, channel)]
        while left:
            at, channel = min((_allowed(policy.caps, log, channel, due), channel) for channel in left)
            left.remove(channel)
            if end is None or at < end:
                log.append((at, channel))
                sent.setdefault(rung.name, at)
    return sent


def _allowed(
    caps: Mapping[str, tuple[Cap, ...]], log: Sequence[tuple[datetime, Channel]], channel: Channel, at: datetime
) -> datetime:
    """The first instant from `at` on at which no cap of a channel is reached."""
    while True:
        opens = [at]
        for name, cap in _caps_of(caps, channel):
            own = (when for when, used in log if name in (ALL_CHANNELS, used.value))
            counted = sorted(when for when in own if at - cap.within < when <= at)
            if len(counted) >= cap.most:
                opens.append(counted[-cap.most] + cap.within)
        if max(opens) <= at:
            return at
        at = max(opens)


def _foresee_never_reached(policy: Policy, root: Field) -> None:
    """A cap on a shorter time that allows as much as one on a longer time limits nothing."""
    for name, caps in policy.caps.items():
        if not has(root, "contact", "caps", name):
            continue
        for short, long in ((short, long) for short in caps for long in caps if short.within < long.within):
            if short.most > long.most or short.most == long.most:
                locate(root, "contact", "caps", name).warn(
                    Code.NO_EFFECT,
                    f"{short.most} within {length(short.within)} limits nothing: only {long.most} are allowed within "
                    f"{length(long.within)}; remove it, or make it smaller",
                )
