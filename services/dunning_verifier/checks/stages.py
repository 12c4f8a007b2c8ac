"""Which steps a track may take at all: promise 3's chains are of the contract's stages, every end has its cause (1),
and each case goes by a policy that is on file and takes it (2)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from dunning_verifier.expected import OVERDUE
from dunning_verifier.history import History
from dunning_verifier.policy_file import Policy
from dunning_verifier.values import RESTRICTING, SEVERITY, Transition, Violation, either

EXACTLY_ONCE, TOGETHER, ORDER, WARNED = 1, 2, 3, 6  # promises
_RETRY = {"scheduled", "requested", "waiting_for_customer", "paused", "recovered", "exhausted", "cancelled"}
_NOTICE_ENDS = {"recovered", "closed"}
_REASONS = {  # the only ones that a step can have (rules 22, 26 and 36)
    ("account", "past_due"): {"payment_failed"},
    **{("account", stage): {"grace_period_expired", "customer_unreachable"} for stage in RESTRICTING},
    ("retry", "recovered"): {"paid", "paid_elsewhere"},
}


def check(history: History) -> Iterator[Violation]:
    """Every transition by itself, by the one before it, and by what its case's inputs say."""
    for tracks in history.by_case.values():
        for track, moves in tracks.items():
            yield from _policy_of_a_track(history, moves)
            for move in moves:
                yield from _step(history, move)
                yield from _cause_of_an_end(history, move)
            if track == "retry":
                yield from _nothing_to_charge(history, moves[0])
    yield from _steps_of_the_terminated(history)


def _step(history: History, move: Transition) -> Iterator[Violation]:
    policy = history.policies.by_ref.get(move.policy)
    if not _is_stage(move.track, move.to_stage, policy):
        yield _violation(ORDER, f"{move.to_stage} is no stage of the {move.track} track", move)
    elif (problem := _jump(history, move, policy)) is not None:
        yield _violation(ORDER, f"{move.track} goes from {move.from_stage} to {move.to_stage}{problem}", move)
    reasons = _REASONS.get((move.track, move.to_stage))
    if reasons is not None and move.reason not in reasons:
        what = f"{move.track} goes to {move.to_stage} by reason of {move.reason!r}, not of {either(reasons)}"
        yield _violation(TOGETHER, what, move)


def _is_stage(track: str, stage: str, policy: Policy | None) -> bool:
    match track:
        case "retry":
            return stage in _RETRY
        case "account":
            return stage in SEVERITY
        case "notice":
            return policy is None or stage in _NOTICE_ENDS or stage in _rungs_with_notices(policy)
    return False


def _rungs_with_notices(policy: Policy) -> list[str]:
    return [rung.name for rung in policy.rungs if rung.has_notice]


def _jump(history: History, move: Transition, policy: Policy | None) -> str | None:
    """Why a step cannot follow the stage before it."""
    if move.from_stage == move.to_stage:  # to restrict once more is a step all the same (decisions/0003)
        return None if move.track == "account" and move.to_stage in RESTRICTING else ", which is no step"
    if move.track == "retry":
        if move.to_stage == "requested" and move.from_stage != "scheduled":
            return "; only what is scheduled is requested"
        if move.from_stage == "exhausted" and move.to_stage == "cancelled":
            return ", but was finished"
    if (move.track, move.from_stage) in {("retry", "cancelled"), ("notice", "closed")} and move.to_stage != "recovered":
        return ", after its end"
    return _rungs_left_out(history, move, policy) if move.track == "notice" and policy is not None else None


def _rungs_left_out(history: History, move: Transition, policy: Policy) -> str | None:
    """The notice track enters every rung in order (rule 23). A reinstatement passes some, and what follows a case that
    should not have been begins where that stood (rules 7 and 37)."""
    names = _rungs_with_notices(policy)
    if move.to_stage not in names or move.from_stage not in ("none", *names):
        return None
    before = names.index(move.from_stage) if move.from_stage in names else -1
    if names.index(move.to_stage) < before:
        return ", a rung before it"
    case = history.ledger.cases.get(move.case_id)
    passed = any(signal.kind == "account.reinstated" for signal in history.signals_of(move.account_id))
    if passed or case is None or case.number > 1 or names.index(move.to_stage) == before + 1:
        return None
    return f" and leaves out {', '.join(names[before + 1 : names.index(move.to_stage)])}"


def _policy_of_a_track(history: History, moves: Sequence[Transition]) -> Iterator[Violation]:
    """It is pinned when the case opens, and takes one of the invoice's failures (rule 13)."""
    for former, move in pairwise(moves):
        if move.policy != former.policy:
            told = f"goes by policy {_named(move)}, but its case had pinned {_named(former)}"
            yield _violation(TOGETHER, told, move)
    move, policies = moves[0], history.policies
    policy, case = policies.by_ref.get(move.policy), history.ledger.cases.get(move.case_id)
    if policy is None:
        if policies.by_ref:
            yield _violation(TOGETHER, f"goes by policy {_named(move)}, which is not on file", move)
    elif case is not None and not case.invoice.unsure and case.invoice.failures:
        countries = {None, *history.customers.countries.get(move.account_id, ())}
        takes = any(policy.accepts(failure, country) for failure in case.invoice.failures for country in countries)
        if policy.ignore or not takes:
            yield _violation(TOGETHER, f"goes by policy {_named(move)}, which is not for it", move)


def _named(move: Transition) -> str:
    return f"{move.policy[0]} version {move.policy[1]}"


def _nothing_to_charge(history: History, move: Transition) -> Iterator[Violation]:
    """Neither of a due payment that never came (rule 21), nor where the policy has no retries."""
    case, policy = history.ledger.cases.get(move.case_id), history.policies.by_ref.get(move.policy)
    if case is None or case.invoice.unsure or not case.invoice.failures:
        return
    if all(failure.code == OVERDUE for failure in case.invoice.failures):
        yield _violation(ORDER, "a retry track of what was never charged", move)
    elif policy is not None and not policy.has_retries:
        yield _violation(ORDER, f"a retry track under policy {_named(move)}, which has none", move)


def _cause_of_an_end(history: History, move: Transition) -> Iterator[Violation]:
    """Money, a void or write-off, a termination, or a reinstatement, which could be read by then."""
    case = history.ledger.cases.get(move.case_id)
    if case is None or case.invoice.unsure or case.invoice.reinstatements or not _is_end(move):
        return
    until = move.effective_at + history.tolerance.skew
    paid = sum(closing.logged_at <= until for closing in case.invoice.closings) >= case.number
    over = any(ending.logged_at <= until for ending in case.invoice.endings)
    if move.to_stage == "recovered":
        caused = paid
    elif move.track == "account":
        caused = over or paid or _is_reinstated(history, move)
    else:
        caused = over or _is_terminated(history, move)
    if not caused:
        told = f"{move.track} goes to {move.to_stage}, reason {move.reason!r}"
        what = f"{told}, for which nothing among the inputs is a cause"
        yield _violation(EXACTLY_ONCE, what, move)


def _is_end(move: Transition) -> bool:
    return move.to_stage in {"retry": ("recovered", "cancelled"), "account": ("active",)}.get(
        move.track, ("recovered", "closed")
    )


def _is_terminated(history: History, move: Transition) -> bool:
    """By any of the invoice's cases: one that a service opened before it heard of the termination ends as well."""
    terminated_at = history.terminated_at.get((move.account_id, move.invoice_id))
    return terminated_at is not None and terminated_at <= move.effective_at + history.tolerance.skew


def _is_reinstated(history: History, move: Transition) -> bool:
    return history.was_reinstated(move.account_id, move.effective_at + history.tolerance.skew)


def _steps_of_the_terminated(history: History) -> Iterator[Violation]:
    """Another case's ladder stops while the account is terminated (rule 37)."""
    standing: dict[str, dict[str, Transition]] = {}
    for move in history.transitions_once:
        if move.track != "account":
            continue
        ended = standing.setdefault(move.account_id, {})
        others = [each for case_id, each in ended.items() if case_id != move.case_id]
        if move.worsens and others and not _is_reinstated(history, move):
            what = f"account step to {move.to_stage}, though the account was terminated at {others[0].effective_at}"
            if not (history.simulated and others[0].effective_at == move.effective_at):
                yield _violation(WARNED, what, move)
        ended.pop(move.case_id, None)
        if move.to_stage == "terminated":
            ended[move.case_id] = move


def _violation(promise: int, what: str, move: Transition) -> Violation:
    return Violation(promise, what, move.where, move.account_id, move.case_id)
