"""The demo's live table, or a plain line every few seconds where there is no terminal."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from dunning.domain.words import AccountStage, RetryStage
from dunning_cli.demo.tally import Snapshot
from dunning_cli.money import money

PLAIN_SECONDS = 5.0
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
    accounts = ", ".join(
        f"{snapshot.accounts.get(stage, 0)} {stage}" for stage in AccountStage if stage != "restricted"
    )
    delivered = sum(outcomes.get("delivered", 0) for outcomes in snapshot.notices.values())
    return (
        f"{progress.seconds:5.0f} s  {progress.phase}: sent {progress.sent} of {progress.to_send};"
        f" {snapshot.cases} cases; charges {snapshot.charges_asked} asked, {snapshot.charges_won} won;"
        f" {delivered} notices delivered; accounts: {accounts}"
    )


def live_view(snapshot: Snapshot, progress: Progress, rungs: Sequence[str]) -> RenderableType:
    """All tables under a headline."""
    title = f"dunning demo  {progress.seconds:.0f} s  {progress.phase}"
    return Panel(Group(Columns(figures(snapshot, rungs), padding=(0, 3)), _footer(snapshot, progress)), title=title)


def figures(snapshot: Snapshot, rungs: Sequence[str]) -> list[RenderableType]:
    """The tables: cases by stage of each track, charges, notices, accounts, money."""
    return [
        _counts("retry track", "cases", [(str(stage), snapshot.stages["retry"].get(stage, 0)) for stage in RetryStage]),
        _counts("notice track", "cases", [(name, snapshot.stages["notice"].get(name, 0)) for name in _noticed(rungs)]),
        _counts("account track", "cases", _account_stages(snapshot.stages["account"])),
        _counts("accounts by status", "accounts", _account_stages(snapshot.accounts)),
        _counts("charges", "", _charges(snapshot)),
        _notices(snapshot.notices),
        _money(snapshot),
    ]


def _noticed(rungs: Sequence[str]) -> list[str]:
    return [*rungs, *_NOTICE_ENDS]


def _account_stages(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(str(stage), counts.get(stage, 0)) for stage in AccountStage if stage != "restricted" or counts.get(stage)]


def _charges(snapshot: Snapshot) -> list[tuple[str, int]]:
    open_or_silent = snapshot.charges_asked - snapshot.charges_won - snapshot.charges_lost
    return [
        ("asked", snapshot.charges_asked),
        ("won", snapshot.charges_won),
        ("declined", snapshot.charges_lost),
        ("no answer (yet)", max(open_or_silent, 0)),
    ]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False, box=None)


def _counts(title: str, unit: str, rows: Sequence[tuple[str, int]]) -> Table:
    table = _table(title)
    table.add_column("")
    table.add_column(unit, justify="right", min_width=6)
    for name, count in rows:
        table.add_row(Text(name, style=_COLOURS.get(name, "") if count else "dim"), f"{count:,}")
    return table


def _notices(notices: Mapping[str, Mapping[str, int]]) -> Table:
    table = _table("notices by channel")
    table.add_column("")
    shown = [outcome for outcome in _OUTCOMES if any(counts.get(outcome) for counts in notices.values())]
    for outcome in shown or ["delivered"]:
        table.add_column(outcome, justify="right")
    for channel, counts in sorted(notices.items()):
        table.add_row(channel, *(f"{counts.get(outcome, 0):,}" for outcome in shown))
    return table


def _money(snapshot: Snapshot) -> Table:
    table = _table("money, each currency for itself")
    for name in ("at risk", "recovered", "terminated"):
        table.add_column(name, justify="right", min_width=14)
    for currency, amounts in snapshot.money.items():
        table.add_row(
            money(amounts.at_risk_minor, currency),
            Text(money(amounts.recovered_minor, currency), style="green"),
            Text(money(amounts.lost_minor, currency), style="red"),
        )
    return table


def _footer(snapshot: Snapshot, progress: Progress) -> Text:
    read = sum(snapshot.read.values())
    text = f"sent {progress.sent:,} of {progress.to_send:,} events; {read:,} records in the topics;"
    return Text(f"{text} {snapshot.set_aside:,} unreadable messages set aside", style="dim")
