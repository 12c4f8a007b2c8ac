"""Draws the dashboard's queries as a Prometheus answers them.

`python -m tests.monitoring.picture --prometheus URL FILE.svg`. It is not Grafana: a plain picture of the same panels,
in the same places, with the same queries, for the documentation and for whoever has no Grafana at hand.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from math import isfinite
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

DASHBOARD = Path(__file__).parents[2] / "deploy/grafana/dunning.json"
_UNIT, _GAP, _HEIGHT = 62, 6, 26  # pixels of a column, between panels, of a row of the grid
_COLORS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#bab0ac", "#eeca3b", "#d67195")
_LEGEND_MAX = 6


@dataclass(frozen=True)
class Series:
    """One line of a panel."""

    name: str
    points: Sequence[tuple[float, float]]


def main() -> None:
    """Ask and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", metavar="URL")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--until", type=float, default=time(), metavar="UNIX_TIME", help="[default: now]")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    until = options.until
    since = until - 60 * options.minutes
    panels = json.loads(DASHBOARD.read_text())["panels"]
    drawn = [_drawn(panel, options.prometheus, since, until) for panel in panels]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * _HEIGHT + 30
    begin, end = (datetime.fromtimestamp(each, UTC).strftime("%Y-%m-%d %H:%M") for each in (since, until))
    said = f"{begin} to {end[-5:]} UTC. The dashboard's queries as Prometheus answered them; not a picture of Grafana."
    options.file.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * _UNIT} {height}" font-family="sans-serif">\n'
        f'<rect width="100%" height="100%" fill="#f4f5f7"/>\n{_text(8, height - 10, 13, said)}\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _drawn(panel: Any, url: str, since: float, until: float) -> str:
    at = panel["gridPos"]
    x, y, width, height = at["x"] * _UNIT, at["y"] * _HEIGHT, at["w"] * _UNIT - _GAP, at["h"] * _HEIGHT - _GAP
    if panel["type"] == "row":
        return _text(x + 8, y + 18, 15, panel["title"], bold=True)
    found = [each for target in panel["targets"] for each in _asked(target, url, since, until)]
    if panel["type"] == "stat":  # asked for the instant: what ended before is not there
        inner = _stat([each for each in found if until - each.points[-1][0] < 10])
    else:
        inner = _lines(found, width, height, since, until)
    frame = f'<rect width="{width}" height="{height}" rx="3" fill="#fff" stroke="#dcdfe4"/>'
    return f'<g transform="translate({x},{y})">{frame}{_text(8, 17, 12, panel["title"], bold=True)}{inner}</g>'


def _asked(target: Any, url: str, since: float, until: float) -> list[Series]:
    query = target["expr"].replace("$__rate_interval", "30s").replace("$service", ".*")
    asked = urlencode({"query": query, "start": since, "end": until, "step": max(2.0, (until - since) / 240)})
    with urlopen(f"{url}/api/v1/query_range?{asked}", timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    found = []
    for each in result:
        metric = each["metric"]
        name = re.sub(r"\{\{(\w+)\}\}", lambda label: metric.get(label[1], ""), target["legendFormat"])  # noqa: B023
        points = [(float(at), float(value)) for at, value in each["values"] if isfinite(float(value))]
        if points:
            found.append(Series(name, points))
    return found


def _stat(found: Sequence[Series]) -> str:
    lines = [
        _text(8, 40 + 19 * n, 13, f"{each.name}: {_number(each.points[-1][1])}") for n, each in enumerate(found[:5])
    ]
    return "".join(lines) if found else _text(8, 40, 13, "nothing", color="#888")


def _lines(found: Sequence[Series], width: int, height: int, since: float, until: float) -> str:
    if not found:
        return _text(8, 40, 12, "nothing", color="#888")
    legend = found[:_LEGEND_MAX]
    top, bottom, left = 26, height - 8 - 13 * ((len(legend) + 1) // 2), 44
    values = [value for each in found for _, value in each.points]
    low, high = min(0.0, *values), max(0.0, *values)
    high = high if high > low else low + 1

    def place(at: float, value: float) -> str:
        across = left + (at - since) / (until - since) * (width - left - 8)
        return f"{across:.1f},{bottom - (value - low) / (high - low) * (bottom - top):.1f}"

    drawn = [f'<path d="M{left},{bottom}H{width - 8}M{left},{top}H{width - 8}" stroke="#e6e8eb"/>']
    drawn += [_text(4, top + 4, 10, _number(high), color="#666"), _text(4, bottom + 3, 10, _number(low), color="#666")]
    for n, each in enumerate(found):
        for stretch in _stretches(each.points, (until - since) / 60):
            points = " ".join(place(*point) for point in stretch)
            drawn.append(f'<polyline points="{points}" fill="none" stroke="{_COLORS[n % 10]}" stroke-width="1.4"/>')
    for n, each in enumerate(legend):
        more = f" (+{len(found) - _LEGEND_MAX})" if n == _LEGEND_MAX - 1 and len(found) > _LEGEND_MAX else ""
        across, down = 8 + n % 2 * width // 2, bottom + 15 + 13 * (n // 2)
        name = each.name.replace("notification_dispatcher", "notification").replace(
            "account_enforcement", "enforcement"
        )
        drawn.append(_text(across, down, 10, f"{name[:34]}{more}", color=_COLORS[n % 10]))
    return "".join(drawn)


def _stretches(points: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """Without a line over the time in which there was nothing."""
    found: list[list[tuple[float, float]]] = []
    for point in points:
        if not found or point[0] - found[-1][-1][0] > gap:
            found.append([])
        found[-1].append(point)
    return found


def _number(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):.3g}{letter}"
    return f"{value:.3g}"


def _text(x: float, y: float, size: int, text: str, *, bold: bool = False, color: str = "#22252b") -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{color}"{weight}>{escape(text)}</text>'


if __name__ == "__main__":
    main()
