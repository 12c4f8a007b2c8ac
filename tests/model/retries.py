"""The retry track: rules 14 to 19, 21 and 22."""

from dataclasses import replace
from datetime import datetime

from tests.model import ladder, limits, pauses
from tests.model.asked import Request
from tests.model.case import Attempt, Case, Plan
from tests.model.dates import Roll, Span, first_minute, later, later_on_business_day, span, written
from tests.model.declines import delay
from tests.model.history import Data, Fact, method_key
from tests.model.story import REQUEST, Story, remembered

OVERDUE = "payment_overdue"
UNFINISHED = ("scheduled", "requested", "waiting_for_customer", "paused")
NO_CURE = ("hard", "needs_customer")


def attempt_of(story: Story, failure: Fact, request: Request | None) -> Attempt:
    """`request` is what it answers in its case. 0003, rule 18: a decline that does not say what was charged is of the
    method of the request that it answers. Where that was a former case's its own case knows the method from it alone.
    An answer with our request's own method is no newer word on the method than the request."""
    data = failure.data
    method, method_at = data.get("payment_method"), failure.own_at
    if method is None and failure.request is not None:
        method = failure.request.method if request is not None else newest_form(story, failure.request)
    if request is not None and method_key(method) == method_key(request.method):
        method, method_at = request.method, min(method_at, request.method_at or request.asked_at)
    named = data.get("payment_method") is not None or (request is None and failure.request is not None)
    order = (failure.own_at, 0, data["attempt_number"], data["payment_id"])
    found = Attempt(order, failure.decline_class, method, method_at if named else None, data["failure"])
    found.fact, found.foreign = failure, request is None
    return found


def newest_form(story: Story, request: Request) -> Data | None:
    """One card may go by several ids: what was asked for, by the newest that its case knew."""
    case = next(one for one in story.cases if any(own is request for own in one.requests))
    said = [(one.method_at, one.method) for one in case.attempts]
    said += [(one.method_at, one.method) for one in case.requests]
    own = [(at, one) for at, one in said if at is not None and method_key(one) == method_key(request.method)]
    return max(own, key=lambda one: (one[0], (one[1] or {}).get("id") or ""))[1] if own else request.method


def failure_read(story: Story, case: Case, fact: Fact, answered: Request | None, now: datetime) -> None:
    """A failure of the open case, and which of its requests it answers."""
    if fact.data["failure"]["code"] == OVERDUE or not case.policy.has_retries:  # rule 21
        return
    request = case.open_request
    if request is not None and fact.own_at >= request.not_after and fact.own_at > request.asked_at:
        time_out(case, request)
    attempt = attempt_of(story, fact, answered)
    if answered is not None and answered.state == "rested":
        attempt.late = fact.own_at >= answered.not_after
        if not attempt.late:  # rule 15: else it changes class and method only
            charged_after_all(case, answered, fact.own_at)
    elif answered is not None and answered.state == "answered" and in_time(answered, fact.own_at):
        answered_again(case, answered, fact.own_at)
    elif answered is not None and answered.state != "open":
        attempt.late = True
        for other in case.attempts:
            if other.timed_out == answered.retry_id:
                other.decline_class, other.method = attempt.decline_class, attempt.method
                other.method_at = min(other.at, attempt.method_at) if attempt.method_at is not None else None
    elif answered is not None:
        answered.state, case.answered_at = "answered", max(fact.own_at, answered.asked_at)  # 0003, rule 15
    case.attempts.append(attempt)
    go_on(story, case, now)


def part_paid(story: Story, case: Case, fact: Fact, now: datetime) -> None:
    """Rule 15: a partial success that answers us leads to `scheduled` at the next distance; 0003, rule 27: also where a
    pause had revoked the request."""
    request = fact.request
    if request is None or request not in case.requests or request.state not in ("open", "rested", "answered"):
        return
    if request.state != "open" and not in_time(request, fact.own_at):
        return
    if request.state == "rested":
        charged_after_all(case, request, fact.own_at)
    elif request.state == "answered":
        answered_again(case, request, fact.own_at)
    else:
        request.state, case.answered_at = "answered", max(fact.own_at, request.asked_at)
    case.attempts.append(Attempt((fact.own_at, 2, 0, ""), "soft", request.method, None, {}))
    go_on(story, case, now)


def revoked(story: Story, case: Case, request: Request, now: datetime) -> bool:
    """By a rest at any time at which it was open, also by one that was read afterwards (12)."""
    for one in pauses.rests(story, case.invoice):
        begun = one.start <= now and one.start < request.not_after
        if begun and (one.end is None or one.end > request.asked_at):
            request.state = "rested"
            count(case, request, -1)
            return True
    return False


def count(case: Case, request: Request, by: int) -> None:
    """A request uses up its distance, its order or the new method; `by` -1 gives it back."""
    if request.kind == "after":
        case.used_after += by
    elif request.kind == "technical":
        case.used_technical += by
    else:
        case.owed_since = request.asked_at if by < 0 else None


def charged_after_all(case: Case, request: Request, at: datetime) -> None:
    """0003, rule 27: it had been charged before the pause revoked it, and uses up what it had used up."""
    request.state = "answered"
    if request is case.requests[-1]:
        case.answered_at = max(at, request.asked_at)
    count(case, request, 1)


def in_time(request: Request, at: datetime) -> bool:
    """Also of the very instant at which it was made and void (0003, rule 14)."""
    return at < request.not_after or at <= request.asked_at


def answered_again(case: Case, request: Request, at: datetime) -> None:
    """0003, rule 15: each answer in time is an attempt, and the request is over since the earliest."""
    if request is case.requests[-1] and case.answered_at is not None:
        case.answered_at = min(case.answered_at, max(at, request.asked_at))


def time_out(case: Case, request: Request) -> None:
    """Rule 14: unanswered by then, it counts as a technical failure at that instant."""
    request.state, case.answered_at = "timed out", request.not_after
    order = (request.not_after, 1, 0, "")
    case.attempts.append(Attempt(order, "technical", request.method, None, {}, request.retry_id))


def latest(case: Case) -> Attempt:
    """By the events' own times (rule 7). Answers after their time are no distance's start (rule 15)."""
    counting = [one for one in case.attempts if not one.late]
    return max(counting or case.attempts, key=lambda one: one.order)


def is_hard(fact: Fact) -> bool:
    return fact.kind == "payment.failed" and fact.decline_class == "hard"


def is_first_refusal(story: Story, fact: Fact) -> bool:
    """Whether it says something new of a method: refused, or refused earlier than known."""
    method = refused_method(fact)
    return method is not None and method not in {
        refused_method(one) for one in story.history.facts if was_refused_before(one, fact)
    }


def was_refused_before(other: Fact, fact: Fact) -> bool:
    return other is not fact and is_hard(other) and other.own_at <= fact.own_at


def refused_method(fact: Fact) -> str | None:
    asked = fact.request.method if fact.request is not None else None
    return method_key(fact.data.get("payment_method") or asked)


@remembered
def barred(story: Story, before: datetime | None = None) -> set[str]:
    """Rule 18: declined hard anywhere in the account, `before` then."""
    found: set[str | None] = set()
    for fact in story.history.facts:
        if is_hard(fact) and (before is None or fact.own_at < before):
            found.add(refused_method(fact))
    return {one for one in found if one is not None}


@remembered
def effective_update(story: Story) -> Fact | None:
    """The newest `payment_method.updated`; one that names a method declined hard before is ignored (rule 18)."""
    updates = [
        one
        for one in story.history.facts
        if one.kind == "payment_method.updated"
        and method_key(one.data["payment_method"]) not in barred(story, one.own_at)
    ]
    return max(enumerate(updates), key=lambda one: (one[1].own_at, one[0]))[1] if updates else None


def candidates(story: Story, case: Case) -> list[tuple[datetime, Data]]:
    """0003, rule 18: what the case was charged with, newest first, unless a `payment_method.updated` came since."""
    update = effective_update(story)
    charged = [(one.method_at, one.method) for one in case.attempts]
    charged += [(one.method_at, one.method) for one in case.requests]
    tried = [(at, method) for at, method in charged if at is not None and method is not None]
    tried.sort(key=lambda one: (one[0], method_key(one[1]) or "", one[1].get("id") or ""), reverse=True)
    found = [(at, method) for at, method in tried if update is None or at > update.own_at]
    if update is not None:
        found.append((update.own_at, update.data["payment_method"]))
    return found


def present(story: Story, case: Case, refused: str | None = None) -> tuple[datetime, Data] | None:
    """The newest that was not declined hard; where neither the case nor a signal names one, the account's newest."""
    known = candidates(story, case)
    if not known:
        newest = account_method(story)
        known = [newest] if newest else []
    barred_now = barred(story) | {refused}
    return next((one for one in known if method_key(one[1]) not in barred_now), None)


def present_method(story: Story, case: Case, refused: str | None = None) -> Data | None:
    found = present(story, case, refused)
    return found[1] if found else None


@remembered
def account_method(story: Story) -> tuple[datetime, Data] | None:
    """Rule 12: the newest that any input named, whatever the invoice."""
    found = []
    for place, fact in enumerate(story.history.facts):
        method, at = fact.data.get("payment_method"), fact.own_at
        if method is None or fact.kind == "payment_method.expiring":
            continue
        if fact.kind == "payment_method.updated" and method_key(method) in barred(story, fact.own_at):
            continue
        request = fact.request
        if request is not None and method_key(method) == method_key(request.method):
            at = min(at, request.method_at or request.asked_at)
        found.append((at, method_key(method) or "", place, method))
    if not found:
        return None
    at, _, _, newest = max(found, key=lambda one: one[:3])
    return at, newest


def all_barred(story: Story, case: Case, refused: str | None = None) -> bool:
    """No charge can succeed until a new method arrives (rule 18)."""
    last, update = latest(case), effective_update(story)
    known, barred_now = candidates(story, case), barred(story) | {refused}
    unnamed = last.decline_class == "hard" and (last.method is None or not known)
    if unnamed and (update is None or update.own_at < last.at):
        return True
    return bool(known) and all(method_key(one) in barred_now for _, one in known)


def must_wait(story: Story, case: Case, refused: str | None = None) -> bool:
    """No charge can cure it. What needs the customer does so for its own method (19)."""
    if all_barred(story, case, refused):
        return True
    last = latest(case)
    present = method_key(present_method(story, case, refused))
    return last.decline_class == "needs_customer" and (last.method is None or method_key(last.method) == present)


def pending_update(story: Story, case: Case) -> bool:
    """0003, rule 12: news for a case unless dated before its first failure or before what was charged since."""
    update = effective_update(story)
    if update is None or case.first.own_at > update.own_at:
        return False
    if case.spent_update is not None and update.own_at <= case.spent_update:
        return False
    charged = [one.method_at for one in case.attempts] + [one.method_at for one in case.requests]
    return all(at is None or at <= update.own_at for at in charged)


def newest_order(story: Story, case: Case) -> datetime | None:
    """Of `retry.now` for this invoice, read before or after its failures."""
    return max((one.own_at for one in story.history.of(case.invoice, "retry.now")), default=None)


def pending_order(story: Story, case: Case) -> bool:
    """0003, rule 18: as a new method, but any try of somebody else since counts."""
    at = newest_order(story, case)
    if at is None or case.first.own_at > at or (case.spent_order is not None and at <= case.spent_order):
        return False
    return all(one.at <= at for one in case.attempts if one.foreign)


def window_end(story: Story, case: Case, now: datetime) -> datetime | None:
    """Rule 16: without `window` there is no end. Rule 17: after the first failure."""
    if case.policy.window is None:
        return None
    end = later(case.first.own_at, case.policy.window, case.zone)
    return pauses.moved(story, case, end, case.first.own_at, now)


def next_plan(story: Story, case: Case, now: datetime, refused: str | None = None) -> Plan | None:
    """The next planned charge, or None where nothing is left (rules 15 to 17, 19)."""
    policy, last = case.policy, latest(case)
    if last.decline_class == "technical" and case.used_technical < len(policy.technical_after):
        kind, distance = "technical", policy.technical_after[case.used_technical]
    elif case.used_after < policy.max_retries and policy.after:
        kind, distance = "after", policy.after[min(case.used_after, len(policy.after) - 1)]
    else:
        return None
    advice = max(advised(story, case, refused), default=last.at)
    earliest = max(open_date(story, case, later(last.at, distance, case.zone), now), advice)
    due_at = allowed(case, earliest, policy.retries_roll)
    if due_at <= last.at or due_at < advice:  # 0003, rule 16
        due_at = allowed(case, earliest, onward(policy.retries_roll))
    if due_at < now:
        due_at = allowed(case, now, onward(policy.retries_roll))
    end = window_end(story, case, now)
    if end is not None and due_at > end:
        return None
    return Plan(due_at, kind)


def open_date(story: Story, case: Case, date: datetime, now: datetime) -> datetime:
    """0003, rule 27: pauses move the rolled date; `hours` come afterwards, and a network's advice does not move."""
    start = latest(case).at
    rolled = ladder.rolled(case, date, case.policy.retries_roll)
    if rolled <= start:
        rolled = ladder.rolled(case, date, onward(case.policy.retries_roll))
    found = pauses.moved(story, case, rolled, start, now)
    return date if found == rolled else found


def advised(story: Story, case: Case, refused: str | None = None) -> list[datetime]:
    """Rule 19: a network's *not before* for the present method."""
    present = method_key(present_method(story, case, refused))
    found = []
    for one in case.attempts:
        wait = delay(one.failure, one.fact.data.get("payment_method") if one.fact is not None else None)
        if wait and (one.method is None or method_key(one.method) == present):
            found.append(one.at + wait)
    return found


def onward(roll: Roll | None) -> Roll | None:
    """Never to an earlier day."""
    return roll._replace(direction="next") if roll is not None else None


def allowed(case: Case, moment: datetime, roll: Roll | None) -> datetime:
    """0003, rule 16: `retries.roll` and `hours` by turns, until an instant satisfies both."""
    for _ in range(60):
        found = later_on_business_day(moment, Span(0, 0), case.zone, roll, case.country)
        if case.policy.hours is not None:
            found = first_minute(found, case.zone, case.policy.hours, inside_it=True)
        if found == moment:
            return found
        moment = found
    raise ValueError("hours and business days never meet")


def go_on(story: Story, case: Case, now: datetime) -> None:
    """What follows now, with no request open."""
    if case.open_request is not None or not case.attempts or not case.policy.has_retries:
        return
    stage, reason, case.plan = what_follows(story, case, now)
    if stage == "exhausted" or not pauses.resting(story, case.invoice, now):
        story.transition(now, case, "retry", stage, reason)
        return
    case.plan = None  # 0003, rule 27: what urges it on waits too
    story.transition(now, case, "retry", "paused", pauses.reason(story, case.invoice, now))


def what_follows(story: Story, case: Case, now: datetime) -> tuple[str, str | None, Plan | None]:
    """Stage, reason and plan, whatever rests."""
    urged = is_urged(story, case) and not all_barred(story, case)
    case.given_up = None if urged else case.given_up
    if urged and not limits.india_forbids(story, case, present_method(story, case)):  # rule 18: charged at once
        return "scheduled", None, Plan(now, "extra")
    if case.given_up is not None:
        return "exhausted", case.given_up, None
    finished = None if urged else finished_why(story, case)
    waits = not urged and must_wait(story, case)
    if finished is None and waits:
        return "waiting_for_customer", "hard_declined", None
    if not waits and limits.india_forbids(story, case, present_method(story, case)):
        return "exhausted", "budget_exhausted", None
    plan = None if waits else next_plan(story, case, now)
    if finished is not None and (waits or plan is not None):
        return "exhausted", finished, None
    return ("scheduled", None, plan) if plan is not None else ("exhausted", "retries_exhausted", None)


def is_urged(story: Story, case: Case) -> bool:
    """By an order, a new method, or because a pause revoked such a charge."""
    return order_stands(story, case) or pending_update(story, case)


def order_stands(story: Story, case: Case) -> bool:
    """Whatever would be charged: until somebody else tried."""
    owed = case.owed_since is not None and not any(
        one.foreign and one.at > case.owed_since for one in case.attempts if case.owed_since
    )
    return owed or pending_order(story, case)


def dates_moved(story: Story, case: Case, now: datetime) -> None:
    """Rule 27: a pause, a dispute or an extension came or went. Rule 14: `paused` revokes an open request."""
    if case.open_request is not None and revoked(story, case, case.open_request, now):
        story.transition(now, case, "retry", "paused", pauses.reason(story, case.invoice, now))
    if case.retry_stage != "none":
        go_on(story, case, now)


def finished_why(story: Story, case: Case) -> str | None:
    """0003, rule 8: once something was asked for, a plan that was full when that was answered stays so, whatever is
    dated later and whenever that is read. None where it was not."""
    at = case.answered_at
    if at is None:
        return None
    known = replace(
        story, history=replace(story.history, facts=[one for one in story.history.facts if one.own_at <= at])
    )
    failures = [one for one in case.failures if one.own_at <= at] or case.failures
    then = replace(case, attempts=[one for one in case.attempts if one.at <= at], failures=failures)
    if not [one for one in then.attempts if not one.late]:
        return None
    last = latest(then)
    then.attempts = [  # 0003, rule 15: what a late answer told of an earlier one is news
        replace(one, method=None, method_at=None) if one.timed_out and one is not last else one for one in then.attempts
    ]
    refused = method_key(last.method) if last.decline_class == "hard" else None  # rule 15: also where that came late
    ordered = order_stands(known, then) and order_stands(story, case)  # one that is void by now finishes nothing anew
    urged_then = (ordered or pending_update(known, then)) and not all_barred(known, then, refused)
    forbidden = limits.india_forbids(known, then, present_method(known, then, refused))
    if urged_then or must_wait(known, then, refused):
        return "budget_exhausted" if urged_then and forbidden else None
    if forbidden:
        return "budget_exhausted"
    return "retries_exhausted" if next_plan(known, then, at, refused) is None else None


def urged(story: Story, case: Case, now: datetime) -> None:
    """Rule 18: from `waiting_for_customer`, `exhausted` or `scheduled`; while `requested` it is kept."""
    if case.retry_stage != "none":
        go_on(story, case, now)


def due(story: Story, case: Case, now: datetime) -> datetime | None:
    """When the retry track's timer fires: the next charge, the end of an unanswered request, a rest that begins or
    ends."""
    if case.closed is not None:
        return None
    if case.retry_stage == "exhausted":  # 0003, rule 27: nothing was asked for perhaps, so it may not be for good (8)
        begins = [one.start for one in pauses.rests(story, case.invoice)]
        return min((one for one in begins if one > now or one == now != case.rest_seen), default=None)
    if case.retry_stage not in UNFINISHED:
        return None
    if case.retry_stage == "paused":
        return pauses.free_at(story, case.invoice, now)
    moments = [pauses.next_begin(story, case.invoice, now)]
    request = case.open_request
    if case.retry_stage == "scheduled" and case.plan is not None:
        moments.append(case.plan.due_at)
    elif case.retry_stage == "requested" and request is not None:
        moments.append(request.not_after)
    return min((one for one in moments if one is not None), default=None)


def fire(story: Story, case: Case, now: datetime) -> Request | None:
    """The request that goes out, or None where one timed out."""
    request = case.open_request
    if request is not None and request.not_after <= now:
        time_out(case, request)
        go_on(story, case, now)
        return None
    if case.plan is not None and case.plan.due_at <= now and not pauses.resting(story, case.invoice, now):
        return ask(story, case, now) if within_limits(story, case, case.plan, now) else None
    case.rest_seen = now
    dates_moved(story, case, now)
    return None


def within_limits(story: Story, case: Case, plan: Plan, now: datetime) -> bool:
    """Rule 18: over a network's limit it waits for the first instant that is allowed, a planned one within `hours`;
    beyond the window it is `exhausted`."""

    def open_from(moment: datetime) -> datetime:
        return moment if plan.kind == "extra" else allowed(case, moment, onward(case.policy.retries_roll))

    allowed_at = limits.wait_for(story, case, present_method(story, case), now, open_from)
    if allowed_at == now:
        return True
    end = window_end(story, case, now)
    if allowed_at is None or (end is not None and allowed_at > end):
        case.plan, case.given_up = None, "budget_exhausted"
        spend(story, case)
        story.transition(now, case, "retry", "exhausted", "budget_exhausted")
    else:
        case.plan = Plan(allowed_at, plan.kind)
    return False


def ask(story: Story, case: Case, now: datetime) -> Request:
    plan = case.plan
    assert plan is not None
    case.plan = None
    if plan.kind == "after":
        case.used_after += 1
    elif plan.kind == "technical":
        case.used_technical += 1
    found = present(story, case)
    spend(story, case)
    method = found[1] if found else None
    end = window_end(story, case, now)
    not_after = later(now, timeout(case, method), case.zone)
    if end is not None and plan.kind != "extra":
        not_after = min(not_after, end)
    attempt_number = next_attempt(story, case)
    last = case.in_order()[-1]
    retry_id = f"{case.id}:{attempt_number}"
    request = Request(retry_id, attempt_number, last.data["payment_id"], plan.kind, method, now, not_after)
    request.method_at = found[0] if found else None
    case.requests.append(request)
    case.answered_at = None
    story.transition(now, case, "retry", "requested")
    data = {
        "retry_id": request.retry_id,
        "case_id": case.id,
        "account_id": case.account,
        "invoice_id": case.invoice,
        "payment_id": request.payment_id,
        "amount_minor": story.amount(case),
        "currency": case.currency,
        "payment_method_id": method["id"] if method else None,
        "attempt_number": attempt_number,
        "not_before": written(now),
        "not_after": written(not_after),
        "decline_class": latest(case).decline_class,
    }
    story.publish(now, REQUEST, data, story.number(case, REQUEST))
    return request


def spend(story: Story, case: Case) -> None:
    """Whatever asked for a charge at once has it."""
    update = effective_update(story)
    case.spent_order, case.owed_since = newest_order(story, case), None
    case.spent_update = max((at for at in (case.spent_update, update and update.own_at) if at), default=None)


def timeout(case: Case, method: Data | None) -> Span:
    """Rule 14: 1d for cards, 14d otherwise."""
    if case.policy.timeout is not None:
        return case.policy.timeout
    return span("1d" if method is not None and method.get("type") == "card" else "14d")


def next_attempt(story: Story, case: Case) -> int:
    """Rules 7 and 15: the highest of the invoice that was seen or requested, and one more."""
    asked = [one.attempt_number for other in story.cases if other.invoice == case.invoice for one in other.requests]
    return max([story.history.highest_attempt(case.invoice), *asked]) + 1


def end(story: Story, case: Case, now: datetime, stage: str, reason: str) -> None:
    """Rule 22: money moves every stage but `none`; rule 17: other ends move the unfinished ones only."""
    for request in case.requests:
        if request.state == "open":
            request.state = "revoked"
    case.plan = None
    if case.retry_stage == "none" or (stage == "cancelled" and case.retry_stage not in UNFINISHED):
        return
    story.transition(now, case, "retry", stage, reason)
