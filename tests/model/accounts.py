"""The account track and the account's status: rules 23 to 25 and 35 to 37."""

from datetime import datetime

from tests.model import conditions, inputs, ladder, notices, pauses
from tests.model.case import Case
from tests.model.dates import later, written
from tests.model.history import Data
from tests.model.policies import Rung
from tests.model.story import STATUS, Story

ORDER = ("active", "past_due", "restricted", "suspended", "terminated")


def next_rung(story: Story, case: Case) -> Rung | None:
    """In order (23), behind every plain rung that waits (0003, rule 38), also one that the notice track passed for what
    it did behind it (37): each track walks for itself, this one up those with conditions too. Rule 37: while the
    account is terminated, ladders stop before the first warning or account rung."""
    if case.closed is not None or story.terminated is not None:
        return None
    done = {*case.happened, *case.walked_by}
    for rung in case.policy.ladder:
        if rung.name in done or ladder.is_passed(story, case, rung, done):
            continue
        if rung.account is not None:
            return rung if conditions.hold(story, case, rung) else None
        passed = ladder.is_passed(story, case, rung, case.entered)
        if rung.name not in case.entered and not (passed and conditions.hold(story, case, rung)):
            return None
        if rung.name in case.entered and rung.name in case.policy.conditions:
            case.walked_by.add(rung.name)
    return None


def ready_at(story: Story, case: Case, rung: Rung, now: datetime) -> datetime | None:
    """When a rung may happen; None while its warning was not delivered (rules 25 and 26)."""
    date = ladder.not_before(story, case, rung)
    if rung.warned_by is None:
        return date
    delivered_at = relied_on(story, case, rung, now)
    if delivered_at is not None:
        return max(date, ladder.warning_met(story, case, rung, delivered_at))
    given_up_at = unreachable_at(story, case, rung)
    return max(date, given_up_at) if given_up_at is not None else None


def relied_on(story: Story, case: Case, rung: Rung, now: datetime) -> datetime | None:
    """Rule 25: the first delivery that was not bounced since; once it is older than `lead` + 14d, the one after,
    at that very instant too where the first one's lead would end later."""
    deliveries: list[datetime | None] = [*notices.deliveries(case, case.policy.named(rung.warned_by)), None]
    first, later_ones = deliveries[0], deliveries[1:]
    if first is None:
        return None
    stale = later(first, case.policy.lead(rung).more(notices.FORTNIGHT), case.zone)
    second = next((one for one in later_ones if one is not None and one >= stale), None)
    if second is not None and ladder.warning_met(story, case, rung, first) > stale:
        return second
    return first if now <= stale else second


def unreachable_at(story: Story, case: Case, rung: Rung) -> datetime | None:
    """Rule 26: from the later of its date and the end of the last channel tried, never while a notice still waits."""
    warning = case.policy.named(rung.warned_by)
    sendings = notices.of(case, warning)
    if rung.unreachable is None or any(one.state == "waiting" for one in sendings):
        return None
    ends = []
    for channel in (*warning.channels, *warning.fallback):
        own = [one.ended_at for one in sendings if one.channel == channel and one.ended_at is not None]
        if not own:
            return None
        ends.append(max(own))
    start = max([ladder.date_of(story, case, rung), *ends])
    return pauses.moved(story, case, later(start, rung.unreachable, case.zone), start)


def due(story: Story, case: Case, now: datetime) -> datetime | None:
    if case.closed is not None:
        return None
    rung = next_rung(story, case)
    ready = ready_at(story, case, rung, now) if rung is not None else None
    return pauses.free_at(story, case.invoice, max(ready, now)) if ready is not None else None


def fire(story: Story, case: Case, now: datetime) -> None:
    """Rule 23: every account step is a transition of its own."""
    while (rung := next_rung(story, case)) is not None:
        ready = ready_at(story, case, rung, now)
        if ready is None or ready > now:
            return
        step(story, case, rung, now)
        if rung.account == "terminated":
            inputs.terminate(story, case, now)


def step(story: Story, case: Case, rung: Rung, now: datetime) -> None:
    """Rule 36: reasons."""
    ladder.happen(story, case, rung, now)
    reason = "payment_failed" if rung.account == "past_due" else "grace_period_expired"
    if rung.warned_by is not None and relied_on(story, case, rung, now) is None:
        reason = "customer_unreachable"
    assert rung.account is not None
    story.transition(now, case, "account", rung.account, reason, again=rung.restricts)
    case.stage_since = now


def worst(stages: list[str]) -> str:
    return max(stages, key=ORDER.index, default="active")


def status_of(story: Story) -> str:
    """Rule 35: the worst account stage of the open cases; rule 37: terminated until it is undone."""
    if story.terminated is not None:
        return "terminated"
    return worst([case.account_stage for case in story.open_cases()])


def write_status(story: Story, now: datetime) -> None:
    """Rule 35: once per input or timer, whenever status, open cases or what reinstates changed."""
    status = status_of(story)
    cases = sorted(story.open_cases(), key=lambda one: one.invoice)
    shown = {"status": status, "open_cases": [open_case(story, one) for one in cases], "to_reinstate": sums(story)}
    if shown == (story.status_shown or {"status": "active", "open_cases": [], "to_reinstate": []}):
        return
    previous = story.status
    if status != previous or story.status_since is None:
        story.status_since = now
    story.status, story.status_shown = status, shown
    story.statuses += 1
    data = {
        "account_id": story.account,
        "status": status,
        "previous_status": previous,
        "since": written(story.status_since),
        "open_cases": [{**open_case(story, one), "days_overdue": days_overdue(one, now)} for one in cases],
        "to_reinstate": shown["to_reinstate"],
    }
    story.publish(now, STATUS, data, story.statuses)


def open_case(story: Story, case: Case) -> Data:
    return {
        "case_id": case.id,
        "invoice_id": case.invoice,
        "amount_minor": story.amount(case),
        "currency": case.currency,
    }


def sums(story: Story) -> list[Data]:
    """What reinstates: the open cases that are not `active`, by currency."""
    totals: dict[str, int] = {}
    for case in story.open_cases():
        if case.account_stage != "active":
            totals[case.currency] = totals.get(case.currency, 0) + story.amount(case)
    return [{"currency": currency, "amount_minor": totals[currency]} for currency in sorted(totals)]


def days_overdue(case: Case, now: datetime) -> int:
    """Local days since the anchor, none before it."""
    return max(0, (now.astimezone(case.zone).date() - case.anchor().astimezone(case.zone).date()).days)
