"""What results say of notices: by the policy's rungs, channels and templates, one outcome after the other (rules 29, 30
and 33), and never to an address that nobody gave or that bounced for good (promise 8)."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from dunning_verifier.history import History
from dunning_verifier.policy_file import Rung
from dunning_verifier.values import RESTRICTING, Result, Signal, Violation

NOTICES, CONTACTS = 5, 8  # promises
_NOTHING: frozenset[str] = frozenset()
_AFTER: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"sent", "bounced", "failed", "unknown", "suppressed", "superseded"}),
    "sent": frozenset({"delivered", "bounced", "failed", "unknown"}),
    "delivered": frozenset({"bounced"}),
    "unknown": frozenset({"delivered", "bounced"}),  # it is never sent again
}
_ADDRESS_OF = {"email": "email", "sms": "phone", "call": "phone", "letter": "postal_address"}


def check(history: History) -> Iterator[Violation]:
    """Every result by itself, the results of a notice together, and what was sent to whom."""
    results = history.results_once
    by_notice: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_notice[result.notice_id].append(result)
        yield from _of_its_rung(history, result)
    for told in by_notice.values():
        yield from _one_after_another(sorted(told, key=lambda result: result.sequence or 0))
    yield from _to_nobody(history, results)
    yield from _to_what_bounced(history, results, by_notice)


def _of_its_rung(history: History, result: Result) -> Iterator[Violation]:
    policy = history.policy_of(result.case_ids[0])
    if policy is None:
        return
    rung = policy.rung(result.rung)
    if rung is None or not rung.has_notice:
        yield _violation(NOTICES, f"{result.rung} is no rung with a notice", result)
    elif result.channel not in rung.channels:
        yield _violation(NOTICES, f"{result.rung} has no notice by {result.channel}", result)
    elif rung.template is not None and result.template != rung.template:
        told = f"notice of {result.rung} was made from {result.template}, not from {rung.template}"
        yield _violation(NOTICES, told, result)
    elif result.outcome == "sent" and rung.account in RESTRICTING and not _has_happened(history, rung, result):
        told = f"notice of {result.rung} sent at {result.at.isoformat()}, before the account was {rung.account}"
        yield _violation(NOTICES, told, result)


def _has_happened(history: History, rung: Rung, result: Result) -> bool:
    """In any of the invoice's cases: rungs of one that should not have been count as done in the next (rule 7)."""
    case = history.ledger.cases.get(result.case_ids[0])
    case_ids = {case.invoice.case_id(number) for number in case.invoice.numbers()} if case else set(result.case_ids)
    until = result.at + history.tolerance.skew
    moves = (move for case_id in case_ids for move in history.by_case.get(case_id, {}).get("account", ()))
    return any(move.to_stage == rung.account and move.effective_at <= until for move in moves)


def _one_after_another(told: Sequence[Result]) -> Iterator[Violation]:
    before: Result | None = None
    for result in told:
        if result.outcome not in _AFTER.get(before.outcome if before else None, _NOTHING):
            after = f"after it was {before.outcome} at {before.where}" if before else "before anything else"
            yield _violation(NOTICES, f"notice {result.notice_id} is {result.outcome} {after}", result)
        before = result


def _to_nobody(history: History, results: Sequence[Result]) -> Iterator[Violation]:
    for result in results:
        field = _ADDRESS_OF.get(result.channel)
        if result.outcome != "sent" or field is None or result.account_id in history.murky_accounts:
            continue
        if not _addresses(history, result.account_id, field):
            told = f"notice of {result.rung} sent by {result.channel}, though no {field} was ever said of the account"
            yield _violation(CONTACTS, told, result)


def _addresses(history: History, account_id: str, field: str) -> set[str]:
    said = (event.customer.get(field) for event in history.inputs_of(account_id))
    return {str(address) for address in said if address}


def _to_what_bounced(
    history: History, results: Sequence[Result], by_notice: Mapping[str, Sequence[Result]]
) -> Iterator[Violation]:
    """A permanent bounce marks the address until it changes (rule 30): told of those that only ever had one."""
    for bounce in _bounces_for_good(history, by_notice):
        field = _ADDRESS_OF.get(bounce.channel)
        if field is None or len(_addresses(history, bounce.account_id, field)) > 1:
            continue
        for result in results:
            same = (result.account_id, result.channel) == (bounce.account_id, bounce.channel)
            if same and result.outcome == "sent" and result.at > bounce.logged_at + history.tolerance.lag:
                told = f"notice of {result.rung} sent to the {field} that had bounced for good at {bounce.where}"
                yield _violation(CONTACTS, told, result)


def _bounces_for_good(history: History, by_notice: Mapping[str, Sequence[Result]]) -> Iterator[Result]:
    """Bounces that were published just as a signal had told of them, the only one of its notice."""
    signals: dict[str, list[Signal]] = defaultdict(list)
    for event in history.inputs:
        if isinstance(event, Signal) and event.kind == "notice.bounced":
            signals[str(event.data.get("notice_id"))].append(event)
    for notice_id, said in signals.items():
        signal = said[0]
        erased = any(each.kind == "account.erased" for each in history.signals_of(signal.account_id))
        if len(said) > 1 or signal.data.get("permanent") is not True or erased or history.is_doubtful(signal):
            continue
        told = [result for result in by_notice.get(notice_id, ()) if result.account_id == signal.account_id]
        yield from (each for each in told if each.outcome == "bounced" and each.at == signal.time)


def _violation(promise: int, what: str, result: Result) -> Violation:
    return Violation(promise, what, result.where, result.account_id, result.case_ids[0])
