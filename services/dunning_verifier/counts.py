"""What there was to look at: a verdict is worth as much as what it was reached on."""

from collections import Counter
from typing import Any

from dunning_verifier.history import History, once
from dunning_verifier.values import Failure, Signal, Success


def counts(history: History) -> dict[str, int]:
    """What there was to look at."""
    results = Counter(result.outcome for result in history.results_once)
    stages = Counter(move.to_stage for move in history.transitions_once if move.track == "account")
    outputs: tuple[list[Any], ...] = (history.transitions, history.requests, history.results, history.statuses)
    published = sum(len(records) for records in outputs)
    return {
        "failures": sum(isinstance(event, Failure) for event in history.inputs),
        "successes": sum(isinstance(event, Success) for event in history.inputs),
        "signals": sum(isinstance(event, Signal) for event in history.inputs),
        "inputs repeated": history.repeated,
        "inputs unreadable": len(history.unreadable) + len(history.conflicts),
        "dead letters": len(history.dead_letters),
        "accounts": len({event.account_id for event in history.inputs}),
        "invoices": len(history.ledger.invoices),
        "cases": len(history.by_case),
        "transitions": len(history.transitions_once),
        "suspensions and terminations": stages["suspended"] + stages["terminated"],
        "charges requested": len(history.requests_once),
        "charges made": len(history.charges or ()),
        "notices sent": results["sent"],
        "mails": len(history.mails or ()),
        "account statuses": len(history.statuses_once),
        "published again": published - sum(len(once(records)) for records in outputs),
        "policies": len(history.policies.by_ref),
    }
