"""Promise 6: nobody is suspended or terminated who was not warned in time (rules 25 and 26)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from dunning_verifier.checks.unreachable import UNREACHABLE, not_run_out
from dunning_verifier.clock import Span
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy, Rung
from dunning_verifier.rolling import possible_dates
from dunning_verifier.values import GRAIN, Result, Signal, Transition, Violation

PROMISE = 6
_WARNING_LASTS = Span(14, 0)  # beyond its lead; then it has to be sent once more


@dataclass(slots=True)
class _Warnings:
    """What became of the notices of one rung of one case."""

    all: list[Result] = field(default_factory=list)
    delivered: list[Result] = field(default_factory=list)
    bounced: list[tuple[datetime, datetime, str | None, str | None]] = field(default_factory=list)

    def stood(self, delivery: Result, read_before: datetime) -> bool:
        """Whether a delivery had not bounced since, by what had to be known."""
        return not any(
            logged_at < read_before
            and at >= delivery.at
            and notice_id in (None, delivery.notice_id)
            and channel in (None, delivery.channel)
            for at, logged_at, notice_id, channel in self.bounced
        )


def check(history: History) -> Iterator[Violation]:
    """Every step to a worse account stage whose rung names a warning."""
    warnings = _warnings(history)
    for move in history.transitions_once:
        if not move.worsens:
            continue
        policy = history.policies.by_ref.get(move.policy)
        if policy is None:
            if move.to_stage in ("suspended", "terminated"):
                yield _violation(f"{move.to_stage} under policy {move.policy}, which is not on file", move)
            continue
        rungs = list(policy.rungs_to(move.to_stage))
        if not rungs or any(rung.warned_by is None for rung in rungs):
            if move.to_stage in ("suspended", "terminated"):
                yield _violation(f"{move.to_stage}, for which policy {move.policy} names no warning", move)
            continue
        problems = [_problem(history, move, policy, rung, warnings) for rung in rungs]
        if all(problems):
            yield _violation(f"{move.to_stage} without a warning in time: {problems[0]}", move)


def _warnings(history: History) -> dict[tuple[str, str], _Warnings]:
    found: dict[tuple[str, str], _Warnings] = defaultdict(_Warnings)
    places: dict[str, list[tuple[str, str]]] = {}
    for result in history.results_once:
        places[result.notice_id] = [(case_id, result.rung) for case_id in result.case_ids]
        for place in places[result.notice_id]:
            found[place].all.append(result)
            if result.outcome == "delivered":
                found[place].delivered.append(result)
            elif result.outcome == "bounced":
                found[place].bounced.append((result.at, result.logged_at, result.notice_id, None))
    for event in history.inputs:
        if isinstance(event, Signal) and event.kind == "notice.bounced" and event.where not in history.refused:
            for place in _places_of(history, event, places):
                notice_id, channel = event.data.get("notice_id"), event.data.get("channel")
                found[place].bounced.append((event.time, event.logged_at, notice_id, channel))
    return found


def _places_of(history: History, signal: Signal, places: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Which cases and rungs a bounce is about: by the notice's id, or by invoice and rung."""
    notice_id, rung = signal.data.get("notice_id"), signal.data.get("rung")
    if isinstance(notice_id, str):
        return places.get(notice_id, [])
    if signal.invoice_id is None or not isinstance(rung, str):
        return []
    invoice = history.ledger.invoices.get((signal.account_id, signal.invoice_id))
    return [(invoice.case_id(number), rung) for number in invoice.numbers()] if invoice else []


def _problem(
    history: History, move: Transition, policy: Policy, rung: Rung, warnings: dict[tuple[str, str], _Warnings]
) -> str | None:
    """Why a rung's warning does not count; None when it does."""
    assert rung.warned_by is not None
    if move.reason == UNREACHABLE:
        results = [
            result
            for case_id in _cases_that_count(history, move.case_id)
            for result in warnings.get((case_id, rung.warned_by), _Warnings()).all
        ]
        return not_run_out(history, move, policy, rung, results)
    read_before = history.tolerance.read_before(None, move.effective_at)
    nearest = f"{rung.warned_by} was never delivered"
    for case_id in _cases_that_count(history, move.case_id):
        notices = warnings.get((case_id, rung.warned_by), _Warnings())
        for delivery in sorted(notices.delivered, key=lambda result: result.at):
            if delivery.at > move.effective_at:
                continue
            if delivery.logged_at > move.effective_at + history.tolerance.lag:
                nearest = f"of {rung.warned_by} nobody had said yet that it was delivered at {delivery.at.isoformat()}"
                continue
            if not notices.stood(delivery, read_before):
                nearest = f"{rung.warned_by} bounced after its delivery at {delivery.at.isoformat()}"
                continue
            again = any(_was_too_old(history, move, policy, rung, former, delivery) for former in notices.delivered)
            said = _too_near(history, move, policy, rung, delivery)
            if said is None and not again:
                said = _too_old(history, move, policy, rung, delivery)
            if said is None:
                return None
            nearest = said
    return nearest


def _too_near(history: History, move: Transition, policy: Policy, rung: Rung, delivery: Result) -> str | None:
    """A business day is waited for also where a `previous` would come before delivered + lead (rule 25)."""
    zones = history.customers.pinned_zones(move.account_id, policy)
    countries = history.customers.pinned_countries(move.account_id)
    roll = policy.roll.never_earlier if policy.roll else None
    met_at = min(possible_dates(rung.lead, [delivery.at], zones, countries, roll))
    if move.effective_at >= met_at - GRAIN:
        return None
    told = f"{rung.warned_by} was delivered at {delivery.at.isoformat()}"
    lead = f"its lead time of {rung.lead.days}d {rung.lead.seconds}s"
    if any(move.effective_at >= rung.lead.after(delivery.at, zone) - GRAIN for zone in zones):
        return f"{told}, and {lead} ends on {met_at.isoformat()}, the next business day"
    return f"{told}, less than {lead} before"


def _too_old(history: History, move: Transition, policy: Policy, rung: Rung, delivery: Result) -> str | None:
    zones = history.customers.pinned_zones(move.account_id, policy)
    ends_at = max(_WARNING_LASTS.after(rung.lead.after(delivery.at, zone), zone) for zone in zones)
    if move.effective_at <= ends_at + history.tolerance.lag + GRAIN:
        return None
    return f"{rung.warned_by} was delivered at {delivery.at.isoformat()}, so long ago that it had to be sent once more"


def _was_too_old(
    history: History, move: Transition, policy: Policy, rung: Rung, former: Result, delivery: Result
) -> bool:
    """Whether a delivery is of a warning that was sent once more: that one counts for good (decisions/0003)."""
    zones = history.customers.pinned_zones(move.account_id, policy)
    ends_at = min(_WARNING_LASTS.after(rung.lead.after(former.at, zone), zone) for zone in zones)
    return delivery.at >= ends_at


def _cases_that_count(history: History, case_id: str) -> list[str]:
    """The case, and those before it whose rungs count as done in it (rule 7)."""
    case = history.ledger.cases.get(case_id)
    if case is None:
        return [case_id]
    return [case.invoice.case_id(number) for number in case.invoice.empty_before(case.number)]


def _violation(what: str, move: Transition) -> Violation:
    return Violation(PROMISE, what, move.where, move.account_id, move.case_id)
