"""What comes next for a case, on each track and in words, from what the services hold.

The dates are the services' own: decided by the same functions that act on them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from account_enforcement.case import AccountCase, EnforcedAccount
from account_enforcement.decide import AccountTrack
from dunning.domain.case import Case
from dunning.domain.policy import Policies, Policy, Rung
from dunning.domain.words import RetryStage
from notification_dispatcher.case import Notice, NoticeAccount, NoticeCase, NoticeState
from notification_dispatcher.walk import next_rung_at
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


def retry_expected(case: RetryCase, policy: Policy) -> Expected:
    """The open request, the planned retry, or why there is none."""
    if case.request is not None:
        request = case.request
        what = f"attempt {request.attempt_number} was asked for; without an answer it counts as failed"
        return Expected("retry", what, request.not_after, f"retry_id {request.retry_id}")
    if case.plan is not None:
        number = case.book.highest_attempt + 1
        return Expected("retry", f"charge again, attempt {number}", case.plan.at, _kind(case, policy, case.plan.kind))
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
    account: NoticeAccount, case: NoticeCase, policy: Policy, errands: Mapping[str, OpenErrand]
) -> Iterator[Expected]:
    """Notices that are not at their end, also of a closed case; then the next rung with or without one."""
    for notice in case.notices:
        yield from _unfinished(notice, errands.get(notice.id))
    if not case.open:
        return
    if case.next_rung >= len(policy.ladder):
        yield Expected("notice", "the ladder is at its end: no further notice is planned")
        return
    rung = policy.ladder[case.next_rung]
    at = next_rung_at(case, policy, terminated=account.is_terminated)
    if at is not None:
        says = f"send {rung.name} by {_listed(rung.notice.channels)}" if rung.notice else f"rung {rung.name}"
        yield Expected("notice", says, at, _held(case, policy, rung))
    elif account.is_terminated:
        yield Expected("notice", "the account is terminated: the ladder waits for account.reinstated")
    else:
        said = f"send {rung.name}" if rung.notice else f"the rungs behind {rung.name}"
        yield Expected("notice", f"{said} when the account is {rung.account}")


def _unfinished(notice: Notice, errand: OpenErrand | None) -> Iterator[Expected]:
    said = f"{notice.rung} by {notice.channel}"
    if notice.state is NoticeState.WAITING:
        yield Expected("notice", f"send {said}", notice.due, "waits for the end of quiet hours")
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
    rung = next((rung for rung in policy.ladder[case.next_rung :] if rung.account is not None), None)
    if rung is None:
        return Expected("account", "nothing more happens to the account by itself")
    if account.is_terminated:
        return Expected("account", "the account is terminated: the ladder waits for account.reinstated")
    at = AccountTrack(lambda: Policies.of(policy)).wake_at(account, case, now)
    if at is not None:
        return Expected("account", f"account is {rung.account}", at, _warned(case, rung) or _held(case, policy, rung))
    why = f"at the earliest: {rung.warned_by} has to be delivered {rung.lead} before, and is not yet"
    return Expected("account", f"account is {rung.account}", case.date_of(rung, policy), why)


def _held(case: Case, policy: Policy, rung: Rung) -> str:
    """Why a rung comes later than its date (rule 20)."""
    hold = case.held_until(policy)
    held = hold is not None and case.date_of(rung, policy) < hold
    return "held: nothing but technical failures so far" if held else ""


def _warned(case: AccountCase, rung: Rung) -> str:
    if rung.warned_by is None:
        return ""
    delivered = [known.channel for known in case.deliveries if known.rung == rung.warned_by and known.stands]
    return f"{rung.warned_by} was delivered by {_listed(delivered)}"


def _listed(words: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, words)))
