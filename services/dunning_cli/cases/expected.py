"""What comes next for a case, on each track and in words, from what the services hold.

The dates are the services' own: decided by the same functions that act on them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack
from account_enforcement.walk import next_account_rung, next_stop
from dunning.domain.calendar import rfc3339
from dunning.domain.case import Account, Case
from dunning.domain.conditions import unmet
from dunning.domain.holds import Halt, Hold, holds_of, pause_of
from dunning.domain.policy import Policies, Policy, Rung
from dunning.domain.words import RetryStage
from notification_dispatcher.case import Notice, NoticeAccount, NoticeCase, NoticeState
from notification_dispatcher.walk import next_rung, next_rung_at
from retry_scheduler.case import RetryCase, RetryKind


@dataclass(frozen=True, slots=True)
class Expected:
    """Something that a track waits for; `at` where that is known, and the text reads on from there."""

    track: str
    what: str
    at: datetime | None = None
    condition: str = ""


@dataclass(frozen=True, slots=True)
class OpenErrand:
    """A notice on its way out: whether it waits for its next try, and when that is."""

    waits: bool
    tries: int
    due_at: datetime


def retry_expected(case: RetryCase, policy: Policy, now: datetime) -> Expected:
    """The open request, the planned retry, or why there is none."""
    pause = pause_of(case, now)
    if pause is not None and case.stage == RetryStage.PAUSED:
        return Expected("retry", "nothing is charged", pause.until, _said_of(pause))
    if case.open_request is not None:
        request = case.open_request
        what = f"attempt {request.attempt_number} was asked for; without an answer it counts as failed"
        return Expected("retry", what, request.not_after, f"retry_id {request.retry_id}")
    if case.plan is not None:
        number = case.book.highest_attempt + 1
        kind, limit = _kind(case, policy, case.plan.kind), case.plan.waits_for
        why = f"{kind}; put off by a limit, {limit}" if limit else kind
        return Expected("retry", f"charge again, attempt {number}", case.plan.at, why)
    return Expected("retry", _why_no_retry(case, policy))


def _kind(case: RetryCase, policy: Policy, kind: RetryKind) -> str:
    match kind:
        case RetryKind.PLANNED if policy.retries:
            return f"planned retry {case.planned_used + 1} of {policy.retries.max_retries}"
        case RetryKind.TECHNICAL if policy.retries:
            return f"technical retry {case.technical_used + 1} of {len(policy.retries.technical_after)}"
        case RetryKind.EXTRA:
            return "out of turn: a new payment method or an operator's order"
    return str(kind)


def _why_no_retry(case: RetryCase, policy: Policy) -> str:
    match case.stage:
        case RetryStage.WAITING_FOR_CUSTOMER:
            return "nothing is charged before there is a new payment method (payment_method.updated)"
        case RetryStage.EXHAUSTED:
            return "nothing more is charged by itself; a new payment method or retry.now does"
        case RetryStage.NONE if policy.retries is None:
            return f"policy {policy.id} charges nothing"
        case RetryStage.NONE:
            return "there is nothing to charge: a payment is overdue, none was declined"
    return "nothing is planned"


def notice_expected(
    account: NoticeAccount, case: NoticeCase, policy: Policy, errands: Mapping[str, OpenErrand], now: datetime
) -> Iterator[Expected]:
    """Notices that are not at their end, also of a closed case; then the next rung with or without one."""
    pause = pause_of(case, now)
    for notice in case.notices:
        yield from _unfinished(notice, errands.get(notice.id), pause)
    if not case.open:
        return
    rung = next_rung(account, case, policy)
    if rung is None:
        yield Expected("notice", "the ladder is at its end: no further notice is planned")
        return
    at = next_rung_at(account, case, policy, now)
    says = f"send {rung.name} by {_listed(rung.notice.channels)}" if rung.notice else f"rung {rung.name}"
    if at is not None:
        yield Expected("notice", says, at, _held(account, case, policy, rung, now))
    elif account.is_terminated:
        yield Expected("notice", "the account is terminated: the ladder waits for account.reinstated")
    elif not rung.restricts:
        yield Expected("notice", says, None, _held(account, case, policy, rung, now))
    else:
        said = f"send {rung.name}" if rung.notice else f"the rungs behind {rung.name}"
        yield Expected("notice", f"{said} when the account is {rung.account}")


def _unfinished(notice: Notice, errand: OpenErrand | None, pause: Hold | None) -> Iterator[Expected]:
    said = f"{notice.rung} by {notice.channel}"
    if notice.state is NoticeState.WAITING and pause is not None:
        yield Expected("notice", f"send {said}", pause.until, _said_of(pause))
    elif notice.state is NoticeState.WAITING:
        yield Expected("notice", f"send {said}", notice.due, "waits until quiet hours and caps allow it")
    elif notice.state is NoticeState.ORDERED and notice.withdrawn_as:
        yield Expected("notice", f"{said} is being called back ({notice.withdrawn_reason})")
    elif notice.state is NoticeState.ORDERED and errand is not None and errand.waits:
        yield Expected("notice", f"send {said}", errand.due_at, _tried(errand.tries))
    elif notice.state is NoticeState.ORDERED:
        yield Expected("notice", f"{said} is being sent")


def _tried(times: int) -> str:
    return f"tried {times} {'time' if times == 1 else 'times'} so far" if times else ""


def account_expected(account: EnforcedAccount, case: AccountCase, policy: Policy, now: datetime) -> Expected:
    """The next account rung, and whether its warning allows it."""
    rung, stop = next_account_rung(account, case, policy), next_stop(account, case, policy)
    if rung is None or stop is None:
        return Expected("account", "nothing more happens to the account by itself")
    if account.is_terminated:
        return Expected("account", "the account is terminated: the ladder waits for account.reinstated")
    held = _held(account, case, policy, stop, now)
    at = AccountTrack(lambda: Policies.of(policy)).wake_at(account, case, now)
    if case.held_since is not None and at is None:
        why = "held by the brake: `dunning brake show`"
        return Expected("account", f"account is {rung.account}", case.held_since, why)
    if at is not None and stop is rung:
        return Expected("account", f"account is {rung.account}", at, held or _warned(case, rung))
    if held or stop is not rung:
        before = "" if stop is rung else f"after {stop.name}"
        why = "; ".join(part for part in (before, held) if part)
        return Expected("account", f"account is {rung.account}", case.date_of(rung, policy), f"at the earliest: {why}")
    why = f"at the earliest: {rung.warned_by} has to be delivered {rung.lead} before, and is not yet"
    return Expected("account", f"account is {rung.account}", case.date_of(rung, policy), why)


def _held(account: Account[Any], case: Case, policy: Policy, rung: Rung, now: datetime) -> str:
    """Why a rung does not come at its date (rules 20, 27, 38)."""
    date = case.date_of(rung, policy)
    for hold in holds_of(account, case, policy, rung, now):
        if hold.why is Halt.CONDITIONS:
            return f"waits for its conditions: {', '.join(unmet(account, policy.conditions[rung.name]))}"
        if hold.until is None or date < hold.until:
            return _said_of(hold)
    return ""


def _said_of(hold: Hold) -> str:
    """What stops the walk, in words."""
    match hold.why:
        case Halt.PAUSED:
            return f"paused until {rfc3339(hold.until)}" if hold.until else "paused until case.resumed"
        case Halt.DISPUTED:
            return f"disputed, paused until {rfc3339(hold.until)}" if hold.until else "disputed until dispute.closed"
        case Halt.TECHNICAL:
            return "held: nothing but technical failures so far"
        case Halt.TERMINATED:
            return "the account is terminated"
        case Halt.CONDITIONS:
            return "waits for its conditions"


def _warned(case: AccountCase, rung: Rung) -> str:
    if rung.warned_by is None:
        return ""
    delivered = [known.channel for known in case.deliveries_of(rung.warned_by) if known.stands]
    if not delivered:
        return f"{rung.warned_by} reached the customer on no channel: unreachable after {rung.unreachable}"
    return f"{rung.warned_by} was delivered by {_listed(delivered)}"


def _listed(words: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, words)))
