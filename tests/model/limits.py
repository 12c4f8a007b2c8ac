"""How often networks let a card be tried: Visa's and Mastercard's caps and Stripe's rule for India (rule 18)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.model.case import Case
from tests.model.history import FAILED, SUCCEEDED, Data, Fact, method_key
from tests.model.story import Story

REATTEMPTS_MAX, WITHIN = 20, timedelta(days=30)
BEFORE, REATTEMPTS_MAX_BEFORE = datetime.fromisoformat("2025-05-24T00:00:00Z"), 15
DECLINES_MAX = ((timedelta(hours=24), 10), (timedelta(days=30), 35))  # Mastercard, since 2024-04-01


class Tried(NamedTuple):
    """An attempt on a card. One that we asked for and that nobody answered lies at the end of its time."""

    at: datetime
    open: bool
    succeeded: bool
    merchant: str | None
    network: str | None


def wait_for(
    story: Story, case: Case, method: Data | None, now: datetime, open_from: Callable[[datetime], datetime]
) -> datetime | None:
    """The first instant from `now` on at which a charge with the method is allowed; None: never."""
    key = method_key(method)
    if method is None or key is None:
        return now
    tried = on_card(story, case, key)
    if is_stripe_in_india(story, case, method) and any(not one.succeeded for one in tried):
        return None
    networks = {method.get("brand"), *(one.network for one in tried)}
    while freed := freed_at(tried, networks, now):
        now = open_from(freed)
    return now


def freed_at(tried: list[Tried], networks: set[str | None], now: datetime) -> datetime | None:
    """Where a charge now would be one too many, when the oldest that count with it count no more."""
    if "visa" in networks and is_full(tried, now):
        return min(one.at for one in tried if one.at > now - WITHIN) + WITHIN
    for within, most in DECLINES_MAX if "mastercard" in networks else ():
        declined = [one.at for one in tried if not one.succeeded and one.at > now - within]
        if len(declined) >= most:
            return min(one.at for one in tried if one.at > now - within) + within
    return None


def is_stripe_in_india(story: Story, case: Case, method: Data) -> bool:
    return country(story, method) == "IN" and (newest(story, case.invoice, "name") or "").lower() == "stripe"


def countries(story: Story, method: Data) -> list[tuple[datetime, str]]:
    """Every word on where the card was issued (12), the newest last."""
    return sorted(
        (fact.own_at, str(fact.data["payment_method"]["country"]))
        for fact in story.history.facts
        if fact.kind != "payment_method.expiring"
        and (fact.data.get("payment_method") or {}).get("country")
        and method_key(fact.data["payment_method"]) == method_key(method)
    )


def country(story: Story, method: Data) -> str | None:
    """The newest word: one that leaves it out takes nothing back."""
    said = countries(story, method)
    return said[-1][1] if said else None


def says_a_country(story: Story, fact: Fact) -> bool:
    """For the first time, or of an earlier time than was known."""
    method = fact.data.get("payment_method")
    if method is None or not method.get("country") or fact.kind == "payment_method.expiring":
        return False
    return countries(story, method)[:1] == [(fact.own_at, method["country"])]


def india_forbids(story: Story, case: Case, method: Data | None) -> bool:
    """0003: what the case itself tells counts at once: one attempt that did not succeed is the last with that card, and
    so is a request that a pause revoked, for it may have been charged."""
    methods = [one.method for one in case.attempts] + [one.method for one in case.requests]
    tried = {method_key(one) for one in methods if one is not None}
    return method is not None and is_stripe_in_india(story, case, method) and method_key(method) in tried


def is_full(tried: list[Tried], now: datetime) -> bool:
    """Whether one more would be one too many. What happened exactly 30 days ago counts no more."""
    if not any(one.at > now - WITHIN for one in tried):
        return False
    ordered = sorted(tried, key=lambda one: one.at)
    reattempts = [
        one
        for place, one in enumerate(ordered)
        if one.open or (place > 0 and ordered[place - 1].at > one.at - WITHIN)  # ours always follow a decline
    ]
    most = REATTEMPTS_MAX_BEFORE if now < BEFORE else REATTEMPTS_MAX
    return sum(one.at > now - WITHIN for one in reattempts) >= most


def on_card(story: Story, case: Case, key: str) -> list[Tried]:
    """Every attempt known, each once, at the case's merchant or where one of the two is not known."""
    found: dict[tuple[object, ...], Tried] = {}
    for one in story.cases:
        for request in one.requests:
            if method_key(request.method) == key:
                merchant = newest(story, one.invoice, "merchant_id")
                network = (request.method or {}).get("brand")
                found[(request.retry_id,)] = Tried(request.not_after, True, False, merchant, network)
    for fact in story.history.facts:
        if fact.topic in (FAILED, SUCCEEDED) and key in charged(fact) and not is_overdue(fact):
            name, told = name_of(fact), reported(story, fact)
            known = found.get(name)
            later, former = told, known
            if known is not None and not known.open and (known.at, known.succeeded) > (told.at, told.succeeded):
                later, former = known, told
            found[name] = later._replace(
                merchant=later.merchant or (former.merchant if former else None),
                network=later.network or (former.network if former else None),
            )
    own = newest(story, case.invoice, "merchant_id")
    return [one for one in found.values() if own is None or one.merchant in (None, own)]


def charged(fact: Fact) -> set[str | None]:
    """What the event names, and what our request named that it answers: it may have been either."""
    asked = fact.request.method if fact.request is not None else None
    return {method_key(fact.data.get("payment_method")), method_key(asked)}


def is_overdue(fact: Fact) -> bool:
    return bool(fact.topic == FAILED and fact.data["failure"]["code"] == "payment_overdue")


def name_of(fact: Fact) -> tuple[object, ...]:
    if fact.request is not None:
        return (fact.request.retry_id,)
    if fact.data.get("retry_id") is not None:
        return (fact.data["retry_id"],)
    return fact.invoice, fact.data["payment_id"], fact.data.get("attempt_number") or fact.own_at


def reported(story: Story, fact: Fact) -> Tried:
    failure = fact.data.get("failure") or {}
    method = fact.data.get("payment_method") or {}
    merchant = (fact.data.get("processor") or {}).get("merchant_id")
    if merchant is None:
        merchant = newest(story, str(fact.invoice), "merchant_id")
    network = failure.get("network") or method.get("brand")
    return Tried(fact.own_at, False, fact.topic == SUCCEEDED, merchant, network)


def newest(story: Story, invoice: str, name: str) -> str | None:
    """Who charges an invoice: the newest word of its failures, whatever case they belong to (0003, rule 18)."""
    said = [
        (one.own_at, place, one.data["processor"][name])
        for place, one in enumerate(story.history.of(invoice, FAILED))
        if (one.data.get("processor") or {}).get(name) is not None
    ]
    return str(max(said)[2]) if said else None
