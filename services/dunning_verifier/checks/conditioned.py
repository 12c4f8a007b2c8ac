"""A rung waits for its conditions (rule 38), on which promise 6 rests: no account step while a tag that its rung
excludes was surely there. What is owed on all invoices together is not reckoned here."""

from collections.abc import Iterator

from dunning_verifier.due import waits_for_the_news
from dunning_verifier.history import History
from dunning_verifier.values import Signal, Transition, Violation

PROMISE = 6
_TAGS = ("account.tagged", "account.untagged")


def check(history: History) -> Iterator[Violation]:
    """Account steps to something worse."""
    for move in history.transitions_once:
        policy = history.policies.by_ref.get(move.policy)
        if policy is None or not move.worsens or not waits_for_the_news(history, move):
            continue
        excluded = (policy.tags_none.get(rung.name) for rung in policy.rungs_to(move.to_stage))
        found = [_tag_in_the_way(history, move, tags) for tags in excluded]
        if found and all(found):
            what = f"account step to {move.to_stage}, though the account was tagged {found[0]}"
            yield Violation(PROMISE, what, move.where, move.account_id, move.case_id)


def _tag_in_the_way(history: History, move: Transition, tags: frozenset[str] | None) -> str | None:
    return next((tag for tag in sorted(tags or ()) if _is_there(history, move, tag)), None)


def _is_there(history: History, move: Transition, tag: str) -> bool:
    """Whether every word on the tag that may have been the newest known one says so."""
    at, tolerance = move.effective_at, history.tolerance
    words = [
        signal
        for signal in history.signals_of(move.account_id)
        if signal.kind in _TAGS and signal.data.get("tag") == tag and signal.logged_at <= at + tolerance.skew
    ]
    read = [word for word in words if word.logged_at < tolerance.read_before(None, at) and _is_certain(history, word)]
    if not read:
        return False
    newest = max(word.time for word in read)
    return all(word.kind == "account.tagged" for word in words if word.time >= newest)


def _is_certain(history: History, signal: Signal) -> bool:
    return signal.doubtful is None and signal.where not in history.refused and not history.is_doubtful(signal)
