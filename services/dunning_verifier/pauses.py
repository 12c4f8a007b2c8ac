"""When an invoice was paused or disputed, by the signals alone (rule 27)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from dunning_verifier.clock import instant
from dunning_verifier.values import Signal

_KINDS = {"case.paused", "case.resumed", "dispute.opened", "dispute.closed", "case.extended"}


@dataclass(slots=True)
class Rests:
    """The signals that pause and resume, by the account, and by the invoice where they name one."""

    by_invoice: dict[tuple[str, str | None], list[Signal]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, signals: Iterable[Signal]) -> "Rests":
        """From all signals, of whatever kind."""
        rests = cls()
        for signal in signals:
            if signal.kind in _KINDS:
                rests.by_invoice[signal.account_id, signal.invoice_id].append(signal)
        return rests

    def moved_dates(self, account_id: str, invoice_id: str) -> bool:
        """Whether dates of the invoice may have moved without a transition that says so."""
        return (account_id, None) in self.by_invoice or (account_id, invoice_id) in self.by_invoice

    def are_certain(
        self, account_id: str, invoice_id: str, at: datetime, read_before: datetime, read_at_most: datetime
    ) -> str | None:
        """Why the invoice surely rested at an instant: by what its service had to have read, and whatever else it may
        have read. None where it need not have."""
        known = [*self.by_invoice.get((account_id, None), ()), *self.by_invoice.get((account_id, invoice_id), ())]
        certain = [signal for signal in known if signal.logged_at < read_before]
        ends = [signal for signal in known if signal.logged_at <= read_at_most]
        return next((why for why in (_paused(certain, ends, at), _disputed(certain, ends, at)) if why), None)


def _paused(certain: list[Signal], possible: list[Signal], at: datetime) -> str | None:
    """Paused, with no end in sight: not by `until`, not by a resumption, not by a later pause that says it anew."""
    for begun in _begun(certain, "case.paused", at):
        until = begun.data.get("until")
        if isinstance(until, str) and instant(until) <= at:
            continue
        ended = any(_ends_pause(later, begun, at) for later in possible)
        if not ended:
            return f"paused at {begun.time.isoformat()}"
    return None


def _ends_pause(later: Signal, begun: Signal, at: datetime) -> bool:
    if not begun.time <= later.time <= at or later is begun:
        return False
    anew = later.kind == "case.paused" and later.invoice_id == begun.invoice_id
    return anew or later.kind == "case.resumed"


def _disputed(certain: list[Signal], possible: list[Signal], at: datetime) -> str | None:
    closed = [signal.time for signal in possible if signal.kind == "dispute.closed"]
    for begun in _begun(certain, "dispute.opened", at):
        if not any(begun.time <= end <= at for end in closed):
            return f"disputed at {begun.time.isoformat()}"
    return None


def _begun(signals: list[Signal], kind: str, at: datetime) -> Iterator[Signal]:
    return (signal for signal in signals if signal.kind == kind and signal.time <= at)
