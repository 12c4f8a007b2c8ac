"""What an input does: cases open, close and follow each other; facts and orders act (rules 7 to 13, 18, 31, 37)."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.model import accounts, limits, notices, policies, retries
from tests.model.asked import Request, answered
from tests.model.case import Case
from tests.model.history import ENDING_SIGNALS, FAILED, SIGNALS, Data, Fact, failure_order
from tests.model.policies import Policy
from tests.model.story import Story


def read(story: Story, topic: str, data: Data, now: datetime) -> None:
    """One line of the input; the account's status follows once (rule 35)."""
    fact = story.history.accept(topic, data, now)
    if fact is None:
        return
    was_terminated = story.terminated is not None
    of_invoice = [case for case in story.cases if case.invoice == fact.invoice]
    if of_invoice and topic != SIGNALS:
        fact.request = answered(of_invoice[-1].requests, data)
        story.history.changed()
    if fact.invoice is not None and fact.kind != "retry.now":
        settle(story, fact.invoice, fact, now)
    if fact.dead:
        return
    match fact.kind:
        case "payment_method.updated":
            for one in story.open_cases() if retries.effective_update(story) is fact else ():
                retries.urged(story, one, now)
        case "retry.now":
            named = story.open_case(fact.data["invoice_id"])
            if named is not None:
                retries.urged(story, named, now)
        case "case.paused" | "case.resumed" | "case.extended" | "dispute.opened" | "dispute.closed":
            for one in story.open_cases():
                if fact.invoice in (one.invoice, None):
                    retries.dates_moved(story, one, now)
        case "consent.changed":
            notices.withhold(story, fact.data["channel"], now)
        case "account.erased":
            notices.erase(story, now)
        case "notice.bounced":
            notice_bounced(story, fact.data, now)
        case "account.reinstated":
            reinstate(story, fact, now)
    if story.terminated is None:
        enter_waiting(story, now)
    if was_terminated and story.terminated is None:
        notices.resume(story, now)
    if retries.is_hard(fact) and retries.is_first_refusal(story, fact):  # rule 18: barred in all the account's cases
        for one in story.open_cases():
            if fact not in one.failures and one.retry_stage != "none":
                retries.go_on(story, one, now)
    if limits.says_a_country(story, fact):
        for one in story.open_cases():
            retries.urged(story, one, now)
    notices.address_changed(story, now, named="customer" in fact.data)
    notices.unmark(story)
    accounts.write_status(story, now)


def closings(story: Story, invoice: str) -> list[datetime]:
    """Rule 8: by full payment or reinstatement."""
    return [one.own_at for one in story.history.full_payments(invoice)] + story.reinstated.get(invoice, [])


def settle(story: Story, invoice: str, fact: Fact, now: datetime) -> None:
    """Which case of the invoice is open after this fact (rules 7, 8 and 10)."""
    if lifted_in_vain(story, invoice, fact):
        return
    if story.terminated is not None and story.terminated.invoice == invoice and not undone(story, fact, now):
        fact.waits = fact.kind == FAILED
        if fact in story.history.full_payments(invoice) and fact.own_at >= story.terminated.first.own_at:
            story.terminated.owed = story.amount(story.terminated)
        story.history.changed()
        return
    case = story.open_case(invoice)
    ending = story.history.ending(invoice)
    if ending is not None:
        if case is not None:
            close(story, case, ending_reason(ending), now)
        return
    closed_at = closings(story, invoice)
    live = [one for one in story.history.failures(invoice) if not closed_at or one.own_at > max(closed_at)]
    number = 1 + len(closed_at)
    if case is None:
        if live and fact.kind == FAILED and fact in live:
            open_new(story, invoice, number, live, fact, now)
    elif not live:
        close(story, case, paid_reason(fact), now)
    elif case.number != number:
        hand_over(story, case, number, live, fact, now)
    else:
        case.failures = live
        if fact.kind == FAILED and fact in live:
            retries.failure_read(story, case, fact, fact.request, now)
        elif fact.kind == FAILED and case.retry_stage != "none":  # it may have said who charges the invoice
            retries.go_on(story, case, now)
        elif fact.kind == "payment.succeeded":
            retries.part_paid(story, case, fact, now)


def lifted_in_vain(story: Story, invoice: str, fact: Fact) -> bool:
    """0003, rule 37: a payment of before the termination that a reinstatement lifted is the closing in its place. What
    failed between the two counts then, as though it were read now."""
    case, at = story.lifted.get(invoice, (None, None))
    if case is None or at is None or fact not in story.history.full_payments(invoice):
        return False
    if case.terminated_at is None or not case.first.own_at <= fact.own_at < case.terminated_at:
        return False
    before = [one for one in closings(story, invoice) if one != fact.own_at]
    story.reinstated[invoice].remove(at)
    del story.lifted[invoice]
    story.history.changed()
    for one in story.history.failures(invoice):
        one.waits = max(closings(story, invoice)) < one.own_at <= max(before)
    story.history.changed()
    return True


def enter_waiting(story: Story, now: datetime) -> None:
    """Rule 37: failures that were read while their invoice was terminated, as though they were read now."""
    for fact in [one for one in story.history.facts if one.waits]:
        invoice = str(fact.invoice)
        fact.waits = False
        fact.request = answered([one for one in story.cases if one.invoice == invoice][-1].requests, fact.data)
        story.history.changed()
        if fact.own_at > max(closings(story, invoice), default=datetime.min.replace(tzinfo=UTC)):
            settle(story, invoice, fact, now)


def ending_reason(ending: Fact) -> str:
    return "voided" if ending.kind == "invoice.voided" else str(ending.data["reason"])


def paid_reason(fact: Fact) -> str:
    """Rule 22: `paid` where it answers our request, else `paid_elsewhere`."""
    return "paid" if fact.request is not None else "paid_elsewhere"


def is_money(reason: str) -> bool:
    return reason in ("paid", "paid_elsewhere")


def close(story: Story, case: Case, reason: str, now: datetime, sendings_go_on: bool = False) -> None:
    """By money or by a void or write-off: every track ends."""
    money = is_money(reason)
    retries.end(story, case, now, "recovered" if money else "cancelled", reason)
    if not sendings_go_on:
        notices.suppress_waiting(story, case, "paid" if money else reason, now)
    story.transition(now, case, "notice", "recovered" if money else "closed", reason)
    story.transition(now, case, "account", "active", "paid" if money else reason)
    case.closed = reason


def pick(story: Story, live: list[Fact], fact: Fact) -> Policy | None:
    first = min(live, key=lambda one: one.own_at)
    method = first.data.get("payment_method") or {}
    opening = policies.Opening(
        failed_at=first.own_at,
        segment=first.data.get("segment"),
        country=pinned(story, fact, "country"),
        currency=first.data["currency"],
        payment_type=method.get("type"),
        amount_minor=first.data["invoice"]["amount_due_minor"],
    )
    return policies.chosen(story.policies, opening)


def pinned(story: Story, fact: Fact, name: str) -> str | None:
    """0003, rule 12: where an erasure forgot it, a failure of before that is read later still pins its own."""
    known = story.history.customer(name)
    if known is None and fact.kind == FAILED and not erased_since(story, fact):
        known = (fact.data.get("customer") or {}).get(name)
    return None if known is None else str(known)


def erased_since(story: Story, fact: Fact) -> bool:
    """It waited, and an erasure that was read meanwhile took what it says."""
    behind = story.history.facts[story.history.facts.index(fact) :]
    return any(one.kind == "account.erased" and one.own_at >= fact.own_at for one in behind)


def open_new(story: Story, invoice: str, number: int, live: list[Fact], fact: Fact, now: datetime) -> None:
    policy = pick(story, live, fact)
    if policy is None and fact.read_at == now:
        story.history.forget(fact)
        return
    if policy is None or policy.ignore:
        fact.ignored = True
        story.history.changed()
        return
    case = new_case(story, invoice, number, live, policy, fact)
    for former in [one for one in story.cases if one.invoice == invoice and one is not case][-1:]:
        case.spent_order, case.spent_update = former.spent_order, former.spent_update
    for one in live:  # 0003, rule 7: what one answered in the former case is no part of this one
        retries.failure_read(story, case, one, None, now)


def new_case(story: Story, invoice: str, number: int, live: list[Fact], policy: Policy, fact: Fact) -> Case:
    """Rule 13: zone, country and policy version are pinned, as known when `fact` is read."""
    zone = policies.zone_of(policy, pinned(story, fact, "timezone"))
    case = Case(story.account, invoice, number, live, policy, zone, pinned(story, fact, "country"))
    story.cases.append(case)
    return case


def hand_over(story: Story, old: Case, number: int, live: list[Fact], fact: Fact, now: datetime) -> None:
    """Rule 7: what failed after S goes to the next case, together with the open request, and with one that a pause
    revoked, as where the pause is read afterwards. Where the old one held no failure at or before S, its notices and
    rungs count as done in the next."""
    carried = len(live) == len(old.failures)
    request = old.requests[-1] if old.requests and old.requests[-1].state in ("open", "rested") else None
    if request is fact.request:  # the money answers it: it is not open any more
        request = None
    was = replace(old)
    if request is not None:
        old.requests = [one for one in old.requests if one is not request]
    close(story, old, paid_reason(fact), now, sendings_go_on=carried)
    open_next(story, old, was, number, live, fact, now, carried=carried, request=request)


def open_next(
    story: Story,
    old: Case,
    was: Case,
    number: int,
    live: list[Fact],
    fact: Fact,
    now: datetime,
    *,
    carried: bool,
    request: Request | None = None,
) -> None:
    first = min(live, key=failure_order)
    policy = old.policy if carried else policies.taken_over(story.policies, old.policy, first.own_at)
    case = new_case(story, old.invoice, number, live, policy, fact)
    case.requests = was.requests if carried else [request] if request is not None else []
    case.spent_order, case.spent_update = was.spent_order, was.spent_update
    if carried:
        carry(case, was)
        old.entered, old.sendings = [], []
    else:
        read = [one for one in live if one.data["failure"]["code"] != retries.OVERDUE and case.policy.has_retries]
        kept = sorted(read, key=story.history.facts.index)
        case.attempts = [retries.attempt_of(story, one, open_only(one, request)) for one in kept]
        going = case.open_request
        case.used_after = 1 if going is not None and going.kind == "after" else 0
        case.used_technical = 1 if going is not None and going.kind == "technical" else 0
        case.owed_since = was.owed_since
    publish_stages(story, case, was, carried, now)


def open_only(fact: Fact, request: Request | None) -> Request | None:
    """What was asked for in the former case and ended there is no part of the next one."""
    return fact.request if fact.request is request else None


def carry(case: Case, was: Case) -> None:
    case.answered_at, case.owed_since, case.given_up = was.answered_at, was.owed_since, was.given_up
    case.zone, case.country, case.stage_since = was.zone, was.country, was.stage_since
    case.attempts, case.plan = was.attempts, was.plan
    case.used_after, case.used_technical = was.used_after, was.used_technical
    case.entered, case.sendings, case.rounds = was.entered, was.sendings, was.rounds
    case.happened, case.walked_by, case.shift = was.happened, was.walked_by, was.shift


def publish_stages(story: Story, case: Case, was: Case, carried: bool, now: datetime) -> None:
    """Rule 7: the next case publishes its stages without a second request."""
    if case.open_request is not None:
        story.transition(now, case, "retry", "scheduled")
        story.transition(now, case, "retry", "requested")
    else:
        retries.go_on(story, case, now)
    if carried:
        story.transition(now, case, "notice", was.notice_stage)
        reason = "payment_failed" if was.account_stage == "past_due" else "grace_period_expired"
        story.transition(now, case, "account", was.account_stage, reason)


def undone(story: Story, fact: Fact, now: datetime) -> bool:
    """Rule 37: only a closing dated before the termination undoes it, of money one that closed what had failed."""
    case = story.terminated
    assert case is not None
    assert case.terminated_at is not None
    ending = fact.kind in ENDING_SIGNALS
    if not ending and (fact not in story.history.full_payments(case.invoice) or fact.own_at < case.first.own_at):
        return False
    if fact.own_at >= case.terminated_at:
        return False
    story.terminated = None
    if ending:
        notices.suppress_waiting(story, case, ending_reason(fact), now)
        story.transition(now, case, "account", "active", ending_reason(fact))
        return True
    later = [one for one in case.failures if one.own_at > max(closings(story, case.invoice))]
    was = replace(case)
    close(story, case, paid_reason(fact), now)
    if later and story.history.ending(case.invoice) is None:
        open_next(story, case, was, 1 + len(closings(story, case.invoice)), later, fact, now, carried=False)
    return True


def terminate(story: Story, case: Case, now: datetime) -> None:
    """Rule 37: termination closes its case; rule 32: the terminating rung's own notice still goes out."""
    notices.enter(story, case, notices.due_rungs(story, case, now), now)
    notices.send_what_waits(story, case, now)
    case.closed, case.terminated_at, story.terminated = "terminated", now, case
    retries.end(story, case, now, "cancelled", "terminated")
    notices.suppress_waiting(story, case, "terminated", now)
    story.transition(now, case, "notice", "closed", "terminated")
    for signal in story.reinstatements():  # 0003: of the same instant, it wins, also where it was read before
        if signal.own_at >= now and story.terminated is case:
            lift(story, case, signal, now)


def lift(story: Story, case: Case, signal: Fact, now: datetime) -> None:
    """Nothing is terminated any more; 0003, rule 32: nor does its own notice, where that waits, say so."""
    notices.suppress_waiting(story, case, "reinstated", now)
    story.reinstated.setdefault(case.invoice, []).append(signal.own_at)
    story.lifted[case.invoice] = case, signal.own_at
    story.terminated = None
    last = max(closings(story, case.invoice))
    later = [one for one in case.failures if one.own_at > last]
    if later and story.history.ending(case.invoice) is None:
        number = 1 + len(closings(story, case.invoice))
        open_next(story, case, replace(case), number, later, signal, now, carried=False)


def reinstate(story: Story, signal: Fact, now: datetime) -> None:
    """Rule 37. 0003: the terminated case is closed and its stage stays; a stage reached after it stays too."""
    terminated = story.terminated
    if terminated is not None and terminated.terminated_at is not None and terminated.terminated_at <= signal.own_at:
        lift(story, terminated, signal, now)
    for case in story.open_cases():
        if case.stage_since is None or case.stage_since <= signal.own_at:
            story.transition(now, case, "account", "active", "reinstated")


def notice_bounced(story: Story, signal: Data, now: datetime) -> None:
    """The newest case of the invoice that sent the notice; else a permanent one marks the present address. 0003, rule
    30: not where it names an invoice beside a notice that nobody knows, and histories know no notice's id."""
    if "notice_id" in signal and "invoice_id" in signal:
        return
    of_invoice = [case for case in story.cases if case.invoice == signal.get("invoice_id")]
    if of_invoice and notices.meant(of_invoice[-1], signal):
        notices.bounced(story, of_invoice[-1], signal, now)
        return
    where = notices.address(story, signal["channel"])
    if signal.get("permanent") and where is not None:
        story.marks[signal["channel"]] = where
