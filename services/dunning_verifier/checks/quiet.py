"""Promise 8, quiet hours: nobody is contacted in them, in the customer's own zone (rule 32)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy
from dunning_verifier.values import Result, Violation

PROMISE = 8
# What was begun in time may be answered a little later: an SMTP conversation that started at 20:59:58.
_CONVERSATION = timedelta(seconds=10)


def check(history: History) -> Iterator[Violation]:
    """Every notice that went out, by the time in its result, and by its mail's arrival where there is one."""
    arrived = {mail.notice_id: mail.arrived_at for mail in history.mails or ()}
    told: set[str] = set()
    for result in history.results_once:
        if result.outcome not in ("sent", "unknown") or result.notice_id in told:
            continue
        instants = [arrived.get(result.notice_id)]
        if result.outcome == "sent":
            instants.append(result.at)
        for at in instants:
            if at is not None and _disturbs(history, result, at):
                told.add(result.notice_id)
                what = f"{result.channel} notice of {result.rung} went out at {at.isoformat()}, in quiet hours"
                yield Violation(PROMISE, what, result.where, result.account_id, result.case_ids[0])
                break


def _disturbs(history: History, result: Result, at: datetime) -> bool:
    policies = [history.policy_of(case_id) for case_id in result.case_ids]
    return any(policy is not None and _quiet(history, result, policy, at) for policy in policies)


def _quiet(history: History, result: Result, policy: Policy, at: datetime) -> bool:
    """Quiet in every zone that may have been held for the customer's present one."""
    hours = policy.quiet.get(result.channel)
    if hours is None:
        return False
    began_at = at if history.simulated else at - _CONVERSATION
    tolerance = history.tolerance
    zones = history.customers.present_zones(
        result.account_id, policy, tolerance.read_before(None, at), at + tolerance.skew
    )
    return all(hours.hold(at, zone) and hours.hold(began_at, zone) for zone in zones)
