"""The earliest date that a rung can have had: whatever else moves it moves it later."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

from dunning_verifier.clock import instant_of
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy, Rung
from dunning_verifier.rolling import possible_dates
from dunning_verifier.values import SEVERITY


def earliest_date(history: History, account_id: str, case_id: str, rung: Rung) -> datetime | None:
    """By any of the invoice's failures, in any zone and country that the case can have pinned; None where nothing is
    known."""
    case, policy = history.ledger.cases.get(case_id), history.policy_of(case_id)
    if case is None or policy is None:
        return None
    anchors = [_anchor(policy, failure.time, failure.due_at) for failure in case.invoice.failures]
    zones = history.customers.pinned_zones(account_id, policy)
    countries = history.customers.pinned_countries(account_id)
    dates = possible_dates(rung.at, anchors, zones, countries, policy.roll)
    if policy.roll is not None and _may_be_moved(policy, rung):
        if (
            not policy.roll.forward
        ):  # a rung whose date was rolled to before the failure is late, and moves those behind
            return min(anchors, default=None)
        return min((_begins(date, zone) for date in dates for zone in zones), default=None)
    return min(dates, default=None)


def _may_be_moved(policy: Policy, rung: Rung) -> bool:
    """Whether a late rung before it may move it (rule 24): to another time of day, that may lie on the same business
    day as before, and earlier on it."""
    before = policy.rungs[: policy.rungs.index(rung)]
    return any(SEVERITY.get(each.account or "", 0) > SEVERITY["past_due"] for each in before)


def _begins(date: datetime, zone: ZoneInfo) -> datetime:
    return instant_of(date.astimezone(zone).date(), time.min, zone)


def _anchor(policy: Policy, failed_at: datetime, due_at: datetime | None) -> datetime:
    return min(failed_at, due_at) if policy.anchor == "due_date" and due_at else failed_at
