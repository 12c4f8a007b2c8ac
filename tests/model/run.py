"""The simulated clock: inputs in file order, then timers one at a time, each with its answer (rule 46)."""

from collections import deque
from datetime import datetime
from typing import Any

from tests.model import accounts, inputs, notices, retries
from tests.model.asked import Request
from tests.model.case import Case
from tests.model.dates import instant, written
from tests.model.history import FAILED, SUCCEEDED, Data
from tests.model.policies import Policy
from tests.model.story import Story

TURNS_MAX = 20_000
Charges = str | list[Data] | None  # `fail`, `succeed`, or the lines of a charges file


def tell(policies: list[Policy], account: str, lines: list[Data], until: datetime, charges: Charges) -> Story:
    """What the services publish for one account."""
    story = Story(account, policies)
    waiting = deque(sorted(((instant(line["at"]), line) for line in lines), key=lambda one: one[0]))
    now = datetime.min.replace(tzinfo=until.tzinfo)
    for _ in range(TURNS_MAX):
        timers = timers_of(story, now)
        moments = [timer[0] for timer in timers]
        if waiting:
            moments.append(waiting[0][0])
        if not moments or min(moments) > until:
            story.published.sort(key=order)
            return story
        now = max(now, min(moments))
        if waiting and waiting[0][0] <= now:
            _, line = waiting.popleft()
            inputs.read(story, line["topic"], line["data"], now)
        else:
            ready = [timer for timer in timers if timer[0] <= now]
            _, service, _, place = min(ready, key=lambda timer: timer[1:])
            fire(story, service, story.cases[place], now, charges)
    raise RuntimeError(f"{account}: the model does not come to an end")


def timers_of(story: Story, now: datetime) -> list[tuple[datetime, int, str, int]]:
    """Instant, service, invoice and place of every timer; a service's timers are retry, notice, account."""
    found = []
    for place, case in enumerate(story.cases):
        moments = (retries.due(story, case, now), notices.due(story, case, now), accounts.due(story, case, now))
        for service, moment in enumerate(moments):
            if moment is not None:
                found.append((moment, service, case.invoice, place))
    return found


def fire(story: Story, service: int, case: Case, now: datetime, charges: Charges) -> None:
    if service == 0:
        request = retries.fire(story, case, now)
        if request is not None and charges is not None:
            topic, data = answer(story, case, request, now, charges)
            inputs.read(story, topic, data, now)
    elif service == 1:
        notices.fire(story, case, now)
    else:
        accounts.fire(story, case, now)
        accounts.write_status(story, now)


def answer(story: Story, case: Case, request: Request, now: datetime, charges: Charges) -> tuple[str, Data]:
    """`fail` repeats the whole `failure` of the case's last one, `succeed` pays what remains; so a file says it, and
    what it does not name fails."""
    told = {
        (line["invoice_id"], line["attempt_number"]): line for line in (charges if isinstance(charges, list) else [])
    }.get((case.invoice, request.attempt_number), {"answer": charges})
    amount = story.amount(case)
    last = max(enumerate(case.failures), key=lambda one: (one[1].own_at, one[0]))[1]
    data: dict[str, Any] = {
        "payment_id": request.payment_id,
        "account_id": case.account,
        "amount_minor": amount,
        "currency": case.currency,
        "retry_id": request.retry_id,
    }
    if told["answer"] == "succeed":
        data |= {"invoice": {"id": case.invoice, "amount_remaining_minor": 0}, "succeeded_at": written(now)}
        data["attempt_number"] = request.attempt_number
        if request.method is not None:
            data["payment_method"] = request.method
        return SUCCEEDED, data
    data |= {"invoice": {"id": case.invoice, "amount_due_minor": amount}, "failed_at": written(now)}
    due_at = last.data["invoice"].get("due_at")
    if due_at is not None:
        data["invoice"]["due_at"] = due_at
    data |= {"attempt_number": request.attempt_number, "failure": told.get("failure") or last.data["failure"]}
    if request.method is not None:
        data["payment_method"] = request.method
    return FAILED, data


def order(line: Data) -> tuple[datetime, str, str, str, str, int]:
    """Ties in the output: topic, account, case, track, sequence."""
    data = line["data"]
    case = data.get("case_id") or (data.get("case_ids") or [""])[0]
    return instant(line["at"]), line["topic"], line["key"], case, data.get("track", ""), line["sequence"]
