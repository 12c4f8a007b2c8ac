"""The whole picture: heading, days, axis, lanes, and what the marks mean."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from dunning.domain.words import Track
from dunning_cli.picture import lanes, svg
from dunning_cli.picture.look import STYLE
from dunning_cli.picture.scale import Scale, since, width_of
from dunning_cli.simulation.days import DayOff
from dunning_cli.simulation.preview import Entry

_WIDTH, _LEFT, _RIGHT = 1160, 96, 950  # to the right of the last date there is room for its label
_LANES_TOP, _MARKS_APART, _DAY_WIDTH_MIN = 118, 64, 1.5
_LINE = 17


def draw(
    heading: str,
    subtitle: str,
    start: datetime,
    zone: ZoneInfo,
    entries: Sequence[Entry],
    off_among: Callable[[list[date]], Mapping[date, DayOff]],
) -> str:
    """The timeline as an SVG document that stands alone. `off_among` tells which days have no business."""
    end = max([entry.at for entry in entries], default=start)
    end += max((end - start) / 25, timedelta(seconds=1))
    scale = Scale(start, end, _LEFT, _RIGHT, zone)
    off = off_among([day for day, _, _ in scale.days()]) if scale.pixels_a_day >= _DAY_WIDTH_MIN else {}
    front = ET.Element("g")
    sheet = lanes.Sheet(front, scale)
    y: float = _LANES_TOP
    for lane, track in ((lanes.charges, Track.RETRY), (lanes.account, Track.ACCOUNT), (lanes.notices, Track.NOTICE)):
        y += lane(sheet, [entry for entry in entries if entry.track == track], y)
    notes = _notes(off)
    picture = svg.root(_WIDTH, y + 14 + _LINE * len(notes) + 8)
    ET.SubElement(picture, "title", {"id": "title"}).text = heading
    ET.SubElement(picture, "desc", {"id": "desc"}).text = _description(subtitle, sheet, entries)
    ET.SubElement(picture, "style").text = STYLE
    svg.rectangle(picture, 0, 0, _WIDTH, y + 14 + _LINE * len(notes) + 8, "ground")
    svg.text(picture, lanes.LANE_NAME_X, 34, heading, "heading")
    svg.text(picture, lanes.LANE_NAME_X, 56, subtitle, "soft")
    _shade(picture, scale, off, _LANES_TOP - 8, y)
    _axis(picture, scale, _LANES_TOP - 8, y)
    picture.append(front)
    for number, (look, words) in enumerate(notes):
        height = y + 20 + number * _LINE
        svg.rectangle(picture, lanes.LANE_NAME_X, height - 9, 12, 12, look)
        svg.text(picture, lanes.LANE_NAME_X + 20, height + 1, words, "small soft")
    ET.indent(picture)
    return ET.tostring(picture, encoding="unicode")


def _shade(picture: ET.Element, scale: Scale, off: Mapping[date, DayOff], top: float, bottom: float) -> None:
    """Days without business lie behind everything."""
    days = [(str(off.get(day, "")), left, right) for day, left, right in scale.days()]
    for about, run in groupby(days, key=lambda day: day[0]):
        if not about:
            continue
        edges = [(left, right) for _, left, right in run]
        look = "weekend" if about == str(DayOff(date.min)) else "holiday"
        svg.rectangle(picture, edges[0][0], top, edges[-1][1] - edges[0][0], bottom - top, look, about=about)


def _axis(picture: ET.Element, scale: Scale, y: float, bottom: float) -> None:
    for at in scale.marks(_MARKS_APART):
        x, local = scale.x(at), at.astimezone(scale.zone)
        svg.line(picture, x, y - 4, x, bottom)
        first = f"day {scale.day_number(at)}" if scale.by_days else since(at, scale.start)
        second = f"{local:%a} {local.day} {local:%b}" if scale.by_days else f"{local:%H:%M:%S}"
        svg.text(picture, x, y - 23, first, "small", anchor="middle")
        svg.text(picture, x, y - 9, second, "small soft", anchor="middle")


def _notes(off: Mapping[date, DayOff]) -> list[tuple[str, str]]:
    """What the shades mean, with the names of the holidays, in lines that fit."""
    notes = [("weekend", "weekend")] if any(not day.holiday for day in off.values()) else []
    line = ""
    for day in off.values():
        name = f"{day.date:%a} {day.date.day} {day.date:%b} {day.holiday}"
        if day.holiday and width_of(f"{line}, {name}", 11) > _WIDTH - 60:
            notes.append(("holiday", line))
            line = ""
        if day.holiday:
            line = f"{line}, {name}" if line else name
    return [*notes, *([("holiday", line)] if line else [])]


def _description(subtitle: str, sheet: lanes.Sheet, entries: Sequence[Entry]) -> str:
    """The same in words, for those who do not see it."""
    told = (f"{sheet.exactly(entry.at)}: {entry.what}, {entry.details}" for entry in entries)
    return ". ".join([subtitle, *told])
