"""The three lanes of the picture: charges, the account, notices. Each draws at a height and says how high it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element

from dunning.domain.words import AccountStage, Outcome
from dunning_cli.picture import svg
from dunning_cli.picture.scale import Scale, levels, since, width_of
from dunning_cli.simulation.preview import Entry

LANE_NAME_X = 20
_LABEL_GAP = 8
_ACCOUNT_LEVEL, _BAND = 18, 30
_NOTICE_LEVEL = 36
_LABEL_LENGTH_MAX = 36  # what fits to the right of the last date; the whole is told to a pointer that rests on it


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is drawn on: the picture, its scale, and the words for an instant."""

    picture: Element
    scale: Scale

    def when(self, at: datetime) -> str:
        """`day 14 · Mon 16 Mar`; where days are too long to tell things apart, the time since the start."""
        if not self.scale.by_days:
            return since(at, self.scale.start)
        local = at.astimezone(self.scale.zone)
        return f"day {self.scale.day_number(at)} · {local:%a} {local.day} {local:%b}"

    def exactly(self, at: datetime) -> str:
        """For a pointer that rests on something."""
        return f"{at.astimezone(self.scale.zone):%a %Y-%m-%d %H:%M:%S}"


def charges(sheet: Sheet, entries: Sequence[Entry], y: float) -> float:
    """The failure and every charge after it as dots with their days, and how it ends."""
    scale, picture, middle = sheet.scale, sheet.picture, y + 30
    svg.text(picture, LANE_NAME_X, middle + 4, "Charges", "lane")
    svg.line(picture, scale.left, middle, scale.right, middle)
    svg.circle(picture, scale.left, middle, 5, "failed", about=f"the payment fails: {sheet.exactly(scale.start)}")
    free_from = scale.left
    svg.text(picture, scale.left, middle - 12, "fails", "small soft", anchor="middle")
    if not entries:
        svg.text(picture, scale.left + 12, middle + 16, "nothing is charged again", "small soft")
    charged = {entry.at for entry in entries if entry.attempt is not None}
    for entry in entries:
        x, about = scale.x(entry.at), f"{entry.what}, {entry.details}: {sheet.exactly(entry.at)}"
        if entry.attempt is None:
            if entry.at not in charged:
                svg.rectangle(picture, x - 5, middle - 5, 10, 10, "silent", about=about)
            svg.text(picture, x + 12, middle + 16, entry.what.replace("_", " "), "small soft", about=about)
            continue
        svg.circle(picture, x, middle, 5, "charge", about=about)
        words = sheet.when(entry.at).split(" · ")[0]
        if x - width_of(words, 11) / 2 > free_from + _LABEL_GAP + 8:
            svg.text(picture, x, middle - 12, words, "small", anchor="middle", about=about)
            free_from = x + width_of(words, 11) / 2
    return 62


def account(sheet: Sheet, entries: Sequence[Entry], y: float) -> float:
    """What the account may do, as a band that changes its colour; every step is dated above it."""
    scale, picture = sheet.scale, sheet.picture
    steps = [
        (scale.start, AccountStage.ACTIVE),
        *((each.at, AccountStage(each.stage)) for each in entries if each.stage),
    ]
    labels = [f"{stage.replace('_', ' ')} · {sheet.when(at)}" for at, stage in steps[1:]]
    spots = [(scale.x(at), width_of(label, 11) + _LABEL_GAP) for (at, _), label in zip(steps[1:], labels, strict=True)]
    heights = levels(spots)
    top = y + (max(heights, default=-1) + 1) * _ACCOUNT_LEVEL + 6
    svg.text(picture, LANE_NAME_X, top + _BAND / 2 + 4, "Account", "lane")
    ends = [at for at, _ in steps[1:]] + [scale.end]
    for (at, stage), end in zip(steps, ends, strict=True):
        x, width = scale.x(at), scale.x(end) - scale.x(at)
        if width <= 0:
            continue
        svg.rectangle(picture, x, top, width, _BAND, str(stage), about=f"{stage} from {sheet.exactly(at)}")
        words = stage.replace("_", " ")
        if width > width_of(words) + _LABEL_GAP:
            svg.text(picture, x + width / 2, top + _BAND / 2 + 4, words, "band", anchor="middle")
    for (x, _), label, height in zip(spots, labels, heights, strict=True):
        base = top - 8 - height * _ACCOUNT_LEVEL
        svg.line(picture, x, base - 8, x, top, "line strong")
        svg.text(picture, x + 5, base, label, "small")
    return top + _BAND + 18 - y


def notices(sheet: Sheet, entries: Sequence[Entry], y: float) -> float:
    """What the customer is told: a dot for every rung that speaks, and a flag that says what and how."""
    scale, picture, middle = sheet.scale, sheet.picture, y + 14
    spoken = _by_rung(entries)
    svg.text(picture, LANE_NAME_X, middle + 4, "Notices", "lane")
    svg.line(picture, scale.left, middle, scale.right, middle)
    labels = [(_short(f"{group[0].rung}"), _short(f"{sheet.when(group[0].at)} · {_ways(group)}")) for group in spoken]
    spots = [
        (scale.x(group[0].at), max(width_of(name), width_of(how, 11)) + _LABEL_GAP)
        for group, (name, how) in zip(spoken, labels, strict=True)
    ]
    depths = levels(spots)
    for group, (name, how), (x, _), depth in zip(spoken, labels, spots, depths, strict=True):
        about = f"{group[0].rung}: {sheet.exactly(group[0].at)}, {_ways(group)}"
        foot = middle + 22 + depth * _NOTICE_LEVEL
        sent = any(each.details == Outcome.SENT for each in group)
        svg.line(picture, x, middle, x, foot + 16, "line strong")
        svg.circle(picture, x, middle, 5, "notice" if sent else "silent", about=about)
        svg.text(picture, x + 6, foot, name, "" if sent else "soft", about=about)
        svg.text(picture, x + 6, foot + 14, how, "small soft", about=about)
    return 14 + (max(depths, default=-1) + 1) * _NOTICE_LEVEL + 24


def _short(words: str) -> str:
    return words if len(words) <= _LABEL_LENGTH_MAX else f"{words[: _LABEL_LENGTH_MAX - 1]}…"


def _by_rung(entries: Sequence[Entry]) -> list[list[Entry]]:
    """What one rung says at one instant belongs together."""
    groups: dict[tuple[datetime, str | None], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.at, entry.rung), []).append(entry)
    return [*groups.values()]


def _ways(group: Sequence[Entry]) -> str:
    return ", ".join(
        str(each.channel) if each.details == Outcome.SENT else f"{each.channel} ({each.details})" for each in group
    )
