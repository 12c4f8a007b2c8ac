"""The part of promise 6 for whom nothing reaches: the policy's `unreachable` time ran out (rule 26)."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from dunning_verifier.clock import Span
from dunning_verifier.dates import earliest_date
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy, Rung
from dunning_verifier.values import GRAIN, Result, Transition

UNREACHABLE = "customer_unreachable"
_WARNING_LASTS = Span(14, 0)  # beyond its lead
_ENDS = {"bounced", "failed", "unknown", "suppressed"}
_OTHERS = {"sent", "delivered"}


def not_run_out(
    history: History, move: Transition, policy: Policy, rung: Rung, results: Iterable[Result]
) -> str | None:
    """Why a rung may not say that the customer cannot be reached; None where it may. `results` are its warning's."""
    warning = policy.rung(rung.warned_by or "")
    if rung.unreachable is None or warning is None:
        return f"policy {move.policy} waits for ever, whatever the reason says"
    known = [result for result in results if result.at <= move.effective_at]
    by_notice: dict[str, list[Result]] = defaultdict(list)
    for result in known:
        by_notice[result.notice_id].append(result)
    zones = history.customers.pinned_zones(move.account_id, policy)
    ended_at: dict[str, datetime] = {}
    for told in by_notice.values():
        last = sorted(told, key=lambda result: result.at)[-1]  # of one instant, the later in the log
        if last.outcome == "delivered" and all(_too_old(rung, last, zone) < move.effective_at for zone in zones):
            continue  # it was to be sent once more
        if last.outcome in _OTHERS:
            return f"a notice of {warning.name} was {last.outcome} by {last.channel} at {last.at.isoformat()}"
        if last.outcome in _ENDS:
            ended_at[last.channel] = max(ended_at.get(last.channel, last.at), last.at)
    missing = [channel for channel in warning.channels if channel not in ended_at]
    if missing:
        return f"nothing is known of {warning.name} by {', '.join(missing)}: its notice may still wait"
    date = earliest_date(history, move.account_id, move.case_id, rung)
    start = max([*ended_at.values(), *([date] if date else [])])
    over_at = min(rung.unreachable.after(start, zone) for zone in zones)
    if move.effective_at < over_at - GRAIN:
        return f"nobody could be reached, but the time for that was not over before {over_at.isoformat()}"
    return None


def _too_old(rung: Rung, delivery: Result, zone: ZoneInfo) -> datetime:
    return _WARNING_LASTS.after(rung.lead.after(delivery.at, zone), zone)
