"""Promise 8, consent: nobody is contacted on a channel that they said no to, nor once erased (rule 12)."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from dunning_verifier.contacts import contacts_of
from dunning_verifier.history import History
from dunning_verifier.values import Input, Result, Signal, Violation

PROMISE = 8
E = TypeVar("E", bound=Input)
_ABOUT_THE_CUSTOMER = ("name", "email", "phone", "locale", "timezone", "country", "postal_address")


def check(history: History) -> Iterator[Violation]:
    """Every notice that went out, by what the service had surely read by then."""
    said = _by_account(history)
    for account_id, contacts in contacts_of(history.results_once).items():
        for contact in contacts:
            inputs = said.get(account_id, [])
            why = _forbidden(history, inputs, contact.result, contact.at) or _erased(history, inputs, contact.at)
            if why:
                result = contact.result
                what = f"{result.channel} notice of {result.rung} went out at {contact.at.isoformat()}, {why}"
                yield Violation(PROMISE, what, result.where, account_id, result.case_ids[0])


def _by_account(history: History) -> dict[str, list[Input]]:
    found: dict[str, list[Input]] = {}
    for event in history.inputs:
        if event.livemode and event.where not in history.refused:
            found.setdefault(event.account_id, []).append(event)
    return found


def _forbidden(history: History, inputs: list[Input], result: Result, at: datetime) -> str | None:
    """Whether every word on the channel that may have been the newest known one was a no."""
    words = [
        event
        for event in inputs
        if isinstance(event, Signal) and event.kind == "consent.changed" and event.data.get("channel") == result.channel
    ]
    read, maybe_read = _read(history, words, at)
    if not read:
        return None
    newest = max(event.time for event in read)
    candidates = [event for event in maybe_read if event.time >= newest]
    allowed = any(event.data.get("allowed") is not False for event in candidates)
    return None if allowed else "without consent"


def _erased(history: History, inputs: list[Input], at: datetime) -> str | None:
    """Whether nothing was said of the customer since the last erasure that was surely read."""
    erasures = [event for event in inputs if isinstance(event, Signal) and event.kind == "account.erased"]
    read, _ = _read(history, erasures, at)
    if not read:
        return None
    erased_at = max(event.time for event in read)
    _, maybe_read = _read(history, inputs, at)
    named = (event.customer for event in maybe_read if event.time > erased_at)
    known_again = any(customer.get(name) for customer in named for name in _ABOUT_THE_CUSTOMER)
    return None if known_again else "after the account was erased"


def _read(history: History, events: list[E], at: datetime) -> tuple[list[E], list[E]]:
    """Of these events, those that were surely read by an instant, and those that may have been."""
    tolerance = history.tolerance
    surely = tolerance.read_before(None, at)
    return (
        [event for event in events if event.logged_at < surely],
        [event for event in events if event.logged_at <= at + tolerance.skew],
    )
