"""The earliest date that a rung can have had: whatever moves it moves it later."""

from datetime import datetime

from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy, Rung


def earliest_date(history: History, account_id: str, case_id: str, rung: Rung) -> datetime | None:
    """By any of the invoice's failures, in any zone that the case can have pinned; None where nothing is known."""
    case, policy = history.ledger.cases.get(case_id), history.policy_of(case_id)
    if case is None or policy is None:
        return None
    anchors = [_anchor(policy, failure.time, failure.due_at) for failure in case.invoice.failures]
    zones = history.customers.pinned_zones(account_id, policy)
    return min((rung.at.after(anchor, zone) for anchor in anchors for zone in zones), default=None)


def _anchor(policy: Policy, failed_at: datetime, due_at: datetime | None) -> datetime:
    return min(failed_at, due_at) if policy.anchor == "due_date" and due_at else failed_at
