"""The demo's live table, or a plain line every few seconds where there is no terminal."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dunning_cli.demo.tally import Money, Snapshot
from dunning_cli.money import money

PLAIN_SECONDS = 5.0
_RETRY_STAGES = ("scheduled", "requested", "waiting_for_customer", "recovered", "exhausted", "cancelled")
_ACCOUNT_STAGES = ("active", "past_due", "suspended", "terminated")  # of the demo's policy
_NOTICE_ENDS = ("recovered", "closed")
_OUTCOMES = ("delivered", "sent", "bounced", "failed", "unknown", "suppressed", "superseded")
_COLOURS = {
    "active": "green",
    "recovered": "green",
    "delivered": "green",
    "past_due": "yellow",
    "suspended": "red",
    "terminated": "bold red",
    "bounced": "red",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the demo is."""

    seconds: float
    sent: int
    to_send: int
    phase: str


class Screen(Protocol):
    """Where the figures go."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, take: Callable[[], Snapshot], progress: Progress) -> None:
        """Replace what was shown before. `take` makes the figures, which costs something."""


def screen_for(console: Console, rungs: Sequence[str]) -> Screen:
    """A live table on a terminal, lines elsewhere. `rungs` are the policy's, in order."""
    return LiveTable(console, rungs) if console.is_terminal else PlainLines(console)


class LiveTable:
    """Redrawn in place."""

    def __init__(self, console: Console, rungs: Sequence[str]) -> None:
        self._rungs = rungs
        self._live = Live(console=console, refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, take: Callable[[], Snapshot], progress: Progress) -> None:
        """Replace what was shown before."""
        self._live.update(live_view(take(), progress, self._rungs))


class PlainLines:
    """One line every few seconds, for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last_at = -PLAIN_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, take: Callable[[], Snapshot], progress: Progress) -> None:
        """Say it when the last line is old enough."""
        if time.monotonic() - self._last_at >= PLAIN_SECONDS:
            self._last_at = time.monotonic()
            self._console.print(plain_line(take(), progress), highlight=False, markup=False, soft_wrap=True)


def plain_line(snapshot: Snapshot, progress: Progress) -> str:
    """The most telling figures in one line."""
    accounts = ", ".join(f"{snapshot.accounts.get(stage, 0)} {stage}" for stage in _ACCOUNT_STAGES)
    delivered = sum(outcomes.get("delivered", 0) for outcomes in snapshot.notices.values())
    return (
        f"{progress.seconds:5.0f} s  {progress.phase}: sent {progress.sent} of {progress.to_send};"
        f" {snapshot.cases} cases; charges {snapshot.charges_asked} asked, {snapshot.charges_won} won;"
        f" {delivered} notices delivered; accounts: {accounts}"
    )


def live_view(snapshot: Snapshot, progress: Progress, rungs: Sequence[str]) -> RenderableType:
    """All figures under a headline; fits a terminal of 80 columns and 24 lines."""
    title = f"dunning demo  {progress.seconds:.0f} s  {progress.phase}"
    return Panel(Group(figures(snapshot, rungs), _footer(snapshot, progress)), title=title, expand=False)


def figures(snapshot: Snapshot, rungs: Sequence[str]) -> RenderableType:
    """Cases by stage of each track, charges, accounts, notices, money."""
    tracks = Table.grid(padding=(0, 3))
    tracks.add_row(
        Group(
            _counts("retry track", _of_stages(snapshot, "retry", _RETRY_STAGES)), _counts("charges", _charges(snapshot))
        ),
        _counts("notice track", _of_stages(snapshot, "notice", [*rungs, *_NOTICE_ENDS])),
        Group(
            _counts("account track", _of_stages(snapshot, "account", _ACCOUNT_STAGES)),
            Text(),
            _counts("accounts", [(stage, snapshot.accounts.get(stage, 0)) for stage in _ACCOUNT_STAGES]),
        ),
    )
    return Group(tracks, Text(), _notices(snapshot.notices), _money(snapshot.money))


def _of_stages(snapshot: Snapshot, track: str, stages: Sequence[str]) -> list[tuple[str, int]]:
    """The stages that are always shown, then any other that a case is in."""
    counts = snapshot.stages[track]
    others = [stage for stage in counts if stage not in stages]
    return [(stage, counts.get(stage, 0)) for stage in (*stages, *others)]


def _charges(snapshot: Snapshot) -> list[tuple[str, int]]:
    open_or_silent = snapshot.charges_asked - snapshot.charges_won - snapshot.charges_lost
    return [
        ("asked", snapshot.charges_asked),
        ("won", snapshot.charges_won),
        ("declined", snapshot.charges_lost),
        ("no answer (yet)", max(open_or_silent, 0)),
    ]


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table


def _counts(title: str, rows: Sequence[tuple[str, int]]) -> Table:
    table = _table(title, "")
    table.columns[1].min_width = 5  # so that nothing jumps while the figures grow
    for name, count in rows:
        table.add_row(_coloured(name, count), f"{count:,}" if count else Text("0", style="dim"))
    return table


def _coloured(name: str, count: int) -> Text:
    return Text(name, style=_COLOURS.get(name, "") if count else "dim")


def _notices(notices: Mapping[str, Mapping[str, int]]) -> Table:
    shown = [outcome for outcome in _OUTCOMES if any(counts.get(outcome) for counts in notices.values())]
    table = _table("notices", *shown)
    for channel, counts in sorted(notices.items()):
        table.add_row(channel, *(f"{counts.get(outcome, 0):,}" for outcome in shown))
    return table


def _money(amounts: Mapping[str, Money]) -> Table:
    """Each currency by itself: amounts of different currencies are never added."""
    table = _table("money", "at risk", "recovered", "terminated")
    for currency, sums in amounts.items():
        minors = (sums.at_risk_minor, sums.recovered_minor, sums.lost_minor)
        at_risk, recovered, lost = (money(minor, currency).removesuffix(f" {currency}") for minor in minors)
        table.add_row(currency, at_risk, Text(recovered, style="green"), Text(lost, style="red"))
    return table


def _footer(snapshot: Snapshot, progress: Progress) -> Text:
    read, set_aside = sum(snapshot.read.values()), snapshot.set_aside
    text = f"sent {progress.sent:,} of {progress.to_send:,}; {read:,} records in the topics, {set_aside:,} set aside"
    return Text(text, style="dim")
