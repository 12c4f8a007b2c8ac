"""What comes out of a trial: figures with the goals that they are held against, and the table that shows both."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should come to, at least or at most."""

    limit: float
    at_most: bool = False

    def is_met(self, measured: float) -> bool:
        return measured <= self.limit if self.at_most else measured >= self.limit

    def __str__(self) -> str:
        return f"at {'most' if self.at_most else 'least'} {number(self.limit)}"

    def verdict(self, measured: float) -> str:
        """Met, or missed and by how much."""
        if self.is_met(measured):
            return "met"
        return f"MISSED: {measured / self.limit:.2f} times that" if self.limit else "MISSED"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of one thing in each run; the median counts. The name says the size where it matters."""

    name: str
    unit: str
    runs: Sequence[float]
    goal: Goal | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def as_json(self) -> dict[str, object]:
        written: dict[str, object] = {"unit": self.unit, "median": self.median, "runs": list(self.runs)}
        if self.goal is not None:
            bound = "at most" if self.goal.at_most else "at least"
            written["goal"] = {bound: self.goal.limit, "met": self.goal.is_met(self.median)}
        return written


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of `make bench` came to: the figures, and what was measured in each run behind them."""

    figures: Sequence[Figure]
    runs: object

    def as_json(self) -> dict[str, object]:
        return {"figures": {figure.name: figure.as_json() for figure in self.figures}, "runs": self.runs}


def ratio(name: str, of: Sequence[float], to: Sequence[float], goal: Goal | None = None) -> Figure:
    """How many times one is the other: run by run, since what ran side by side had the same machine."""
    return Figure(name, "times", [one / other for one, other in zip(of, to, strict=True)], goal)


def table(figures: Iterable[Figure]) -> str:
    """A line a figure: its median, between which values the runs lay, the goal, and whether it is met."""
    rows = [("", "median", "runs", "goal", ""), *(_row(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    median = f"{number(figure.median)} {figure.unit}"
    between = f"{number(min(figure.runs))} to {number(max(figure.runs))}" if len(figure.runs) > 1 else "one"
    if figure.goal is None:
        return figure.name, median, between, "", ""
    return figure.name, median, between, str(figure.goal), figure.goal.verdict(figure.median)


def number(value: float) -> str:
    """Three digits that count, thousands apart: 2 981, 57.1, 0.94; whole numbers as they are."""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many of a hundred do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values, no percentile")
    rank = max(1, -(-len(values) * percent // 100))
    return sorted(values)[int(rank) - 1]


def growth(samples: Sequence[float]) -> float:
    """How many times the median of the first quarter the median of the last one is; they come in the order of time."""
    if len(samples) < 4:
        raise ValueError(f"{len(samples)} samples have no quarters")
    quarter = len(samples) // 4
    return statistics.median(samples[-quarter:]) / statistics.median(samples[:quarter])


def course(samples: Sequence[float], parts: int = 10) -> list[float]:
    """The median of each part of the samples, which come in the order of time: what lies between first and last."""
    bounds = [len(samples) * part // parts for part in range(parts + 1)]
    return [statistics.median(samples[start:end]) for start, end in pairwise(bounds) if start < end]


def counters(exposed: str) -> Mapping[str, float]:
    """The samples of Prometheus' text form by their names, labels summed up."""
    found: dict[str, float] = {}
    for line in exposed.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0]
            found[name] = found.get(name, 0.0) + float(value)
    return found
