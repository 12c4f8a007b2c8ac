"""What a customer is told and when, and what the account may still do."""

from collections.abc import Iterator, Mapping, Sequence

from dunning.domain.policy import Policy, Rung, RungNotice
from dunning.domain.words import AccountStage
from dunning_cli.comparison.change import Change, by_channel, day, listed, long, shift, text_of, written

_ABOUT = "ladder"
_STEPS = {
    AccountStage.PAST_DUE: "the step to past due",
    AccountStage.RESTRICTED: "the restriction",
    AccountStage.SUSPENDED: "the suspension",
    AccountStage.TERMINATED: "the termination",
}


def ladder_changes(a: Policy, b: Policy) -> Iterator[Change]:
    """Rungs are the same where their names are; one that only got another name is told as such."""
    renamed = _renamed(a, b)
    for rung in a.ladder:
        after = b.rung(renamed.get(rung.name, rung.name))
        if after is None:
            yield Change(_ABOUT, f"ladder.{rung.name}", f"{subject(rung, a)} is gone{_told(rung)}", str(rung.at), None)
        elif after.name != rung.name:
            what = f"{subject(rung, a)} is called {after.name} now"
            yield Change(_ABOUT, f"ladder.{rung.name}.rung", what, rung.name, after.name)
    for rung in b.ladder:
        origin = next((old for old, new in renamed.items() if new == rung.name), rung.name)
        before = a.rung(origin)
        if before is None:
            yield Change(_ABOUT, f"ladder.{rung.name}", f"{subject(rung, b)} is new{_told(rung)}", None, str(rung.at))
        else:
            yield from _rung_changes(before, rung, b, renamed)
    yield from _order_changes(a, b)


def subject(rung: Rung, policy: Policy) -> str:
    """How a rung is spoken of: by what it does to the account where no other does, else by its name."""
    if rung.account is not None:
        alone = sum(other.account is rung.account for other in policy.ladder) == 1
        return _STEPS[rung.account] if alone else f'{_STEPS[rung.account]} "{rung.name}"'
    return f'the {_kind(rung, policy)} "{rung.name}"'


def _kind(rung: Rung, policy: Policy) -> str:
    return "warning" if policy.is_warning(rung) else "notice"


def _told(rung: Rung) -> str:
    ways = f" by {listed([by_channel(channel) for channel in rung.notice.channels])}" if rung.notice else ""
    return f" ({day(rung.at)}{ways})"


def _renamed(a: Policy, b: Policy) -> Mapping[str, str]:
    """Old names to new ones, of rungs that are the same otherwise."""
    left = [rung for rung in b.ladder if a.rung(rung.name) is None]
    found: dict[str, str] = {}
    for rung in a.ladder:
        same = next((other for other in left if b.rung(rung.name) is None and _content(other) == _content(rung)), None)
        if same is not None:
            left.remove(same)
            found[rung.name] = same.name
    return found


def _content(rung: Rung) -> tuple[object, ...]:
    return rung.at, rung.notice, rung.account, rung.lead, rung.unreachable, rung.collections


def _rung_changes(a: Rung, b: Rung, policy: Policy, renamed: Mapping[str, str]) -> Iterator[Change]:
    who, path = subject(b, policy), f"ladder.{b.name}"
    if a.at != b.at:
        what = f"{who} comes {shift(a.at, b.at)}: {day(b.at)} instead of {day(a.at)}"
        yield Change(_ABOUT, f"{path}.at", what, str(a.at), str(b.at))
    if a.account != b.account:
        what = f'the rung "{b.name}" {_leads(b.account)} instead of {_leading(a.account)}'
        yield Change(_ABOUT, f"{path}.account", what, a.account, b.account)
    yield from _notice_changes(a.notice, b.notice, f'the {_kind(b, policy)} "{b.name}"', path)
    if renamed.get(a.warned_by or "", a.warned_by) != b.warned_by:
        told = [f'"{rung.warned_by}"' if rung.warned_by else "nothing" for rung in (a, b)]
        yield Change(
            _ABOUT, f"{path}.warned_by", f"{told[1]} warns of {who} instead of {told[0]}", a.warned_by, b.warned_by
        )
    if a.lead != b.lead and a.lead is not None and b.lead is not None:
        what = f"{who} comes at least {long(b.lead)} after its warning instead of {long(a.lead)}"
        yield Change(_ABOUT, f"{path}.lead", what, str(a.lead), str(b.lead))
    if a.unreachable != b.unreachable:
        told = [f"after {long(rung.unreachable)}" if rung.unreachable else "never" for rung in (a, b)]
        what = f"where the warning reaches nobody, {who} comes {told[1]} instead of {told[0]}"
        yield Change(_ABOUT, f"{path}.unreachable", what, text_of(a.unreachable), text_of(b.unreachable))
    if a.collections != b.collections:
        what = f"{who} {'says' if b.collections else 'no longer says'} that the debt may go to collections"
        yield Change(_ABOUT, f"{path}.collections", what, str(a.collections).lower(), str(b.collections).lower())


def _notice_changes(a: RungNotice | None, b: RungNotice | None, who: str, path: str) -> Iterator[Change]:
    if a is None or b is None:
        if b is not None:
            what = f"{who} is new: it goes out by {_ways(b.channels)}"
            yield Change(_ABOUT, f"{path}.notice", what, None, b.template)
        elif a is not None:
            yield Change(_ABOUT, f"{path}.notice", f"{who} is gone; its step happens without a word", a.template, None)
        return
    if a.template != b.template:
        what = f'{who} says "{b.template}" instead of "{a.template}"'
        yield Change(_ABOUT, f"{path}.notice.template", what, a.template, b.template)
    gone = [channel for channel in a.channels if channel not in b.channels]
    new = [channel for channel in b.channels if channel not in a.channels]
    if gone or new:
        parts = [f"also goes out by {_ways(new)}"] if new else []
        parts += [f"no longer goes out by {_ways(gone)}"] if gone else []
        what = f"{who} {listed(parts)}"
        yield Change(_ABOUT, f"{path}.notice.channels", what, written(a.channels), written(b.channels))
    elif a.channels != b.channels:
        what = f"{who} goes out by the same channels in another order"
        yield Change(_ABOUT, f"{path}.notice.channels", what, written(a.channels), written(b.channels))
    if a.fallback != b.fallback:
        told = [listed([by_channel(channel) for channel in each.fallback]) or "nothing" for each in (a, b)]
        what = f"where no channel delivers, {who} tries {told[1]} instead of {told[0]}"
        yield Change(_ABOUT, f"{path}.notice.fallback", what, written(a.fallback), written(b.fallback))


def _order_changes(a: Policy, b: Policy) -> Iterator[Change]:
    """Rungs of one date happen in the order of the file (rule 23)."""
    common = [[rung.name for rung in one.ladder if other.rung(rung.name)] for one, other in ((a, b), (b, a))]
    same_dates = all((x := a.rung(name)) and (y := b.rung(name)) and x.at == y.at for name in common[0])
    if same_dates and common[0] != common[1]:
        what = "rungs of the same date happen in another order"
        yield Change(_ABOUT, "ladder", what, written(common[0]), written(common[1]))


def _ways(channels: Sequence[str]) -> str:
    return listed([by_channel(channel) for channel in channels])


def _leads(stage: AccountStage | None) -> str:
    return f"leads to {stage.replace('_', ' ')}" if stage else "leaves the account as it is"


def _leading(stage: AccountStage | None) -> str:
    return stage.replace("_", " ") if stage else "leaving the account as it is"
