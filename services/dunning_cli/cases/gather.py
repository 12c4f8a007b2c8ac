"""Brings together what there is to tell of one case: its row on each track, its story, and what comes next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.contracts.topics import PAYMENT_FAILED
from dunning.domain.calendar import rfc3339
from dunning.domain.case import Case
from dunning.domain.policy import Policy
from dunning_cli.cases.expected import Expected, OpenErrand, account_expected, notice_expected, retry_expected
from dunning_cli.cases.kept import kept_signals
from dunning_cli.cases.read import TRACKS, Filter, Held, Key, Published, Reading, former_case_ids
from dunning_cli.story import Told
from notification_dispatcher.case import NoticeAccount, NoticeCase
from retry_scheduler.case import RetryCase


@dataclass(frozen=True, slots=True)
class Present:
    """How a case stands. `case` is the state of one service that knows it, for what all three know alike."""

    case: Case
    stages: Mapping[str, str]  # by track


@dataclass(frozen=True, slots=True)
class CaseStory:
    """One case, for whoever asks at night. `present` is None for a case that another one of its invoice followed."""

    case_id: str
    key: Key
    present: Present | None
    events: Sequence[Told]
    expected: Sequence[Expected]
    unpublished: int
    other_case_ids: Sequence[str]  # of the same invoice: earlier ones, or the one that followed
    unread_by: Sequence[str]  # services that do not know the case yet
    modes: Mapping[str, str]  # of the services that do not act (rule 42)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What comes next in a case."""

    case_id: str
    key: Key
    steps: Sequence[Expected]


async def gather_upcoming(reading: Reading, case_id: str, key: Key, now: datetime) -> Upcoming:
    """No more than that of a case: an account may have many."""
    return Upcoming(case_id, key, await _steps(reading, key, await _held(reading, key, case_id), now))


async def gather_case(reading: Reading, case_id: str, key: Key, now: datetime) -> CaseStory:
    """Everything about a case whose invoice is known."""
    held = await _held(reading, key, case_id)
    published = await reading.case_story(case_id)
    newest = _newest(held)
    others = await _other_cases(reading, key, case_id)
    if newest is None:
        return CaseStory(case_id, key, None, _told(published, None), (), _waiting(published), others, (), reading.modes)
    return CaseStory(
        case_id=case_id,
        key=key,
        present=Present(newest, {TRACKS[name]: each.case.stage for name, each in held.items() if each.case}),
        events=[*_told(published, newest), *kept_signals(held, newest)],
        expected=await _steps(reading, key, held, now),
        unpublished=_waiting(published),
        other_case_ids=others,
        unread_by=[name for name in reading.services if name not in held],
        modes=reading.modes,
    )


async def present_case_id(reading: Reading, key: Key) -> str | None:
    """The id of an invoice's present case."""
    rows = (await reading.rows([key]))[key]
    return next((row.case_id for row in rows.values()), None)


async def account_keys(reading: Reading, account_id: str, limit: int) -> list[Key]:
    """An account's invoices that have a case."""
    return await reading.keys(Filter(account_id=account_id), limit)


async def _held(reading: Reading, key: Key, case_id: str) -> dict[str, Held]:
    """By the services that know the case."""
    held = await reading.held(key)
    return {name: each for name, each in held.items() if each.case is not None and each.case.goes_by(case_id)}


def _newest(held: Mapping[str, Held]) -> Case | None:
    return next((each.case for each in held.values() if each.case is not None), None)


async def _steps(reading: Reading, key: Key, held: Mapping[str, Held], now: datetime) -> Sequence[Expected]:
    newest = _newest(held)
    policy = await reading.policy(newest.policy) if newest is not None and newest.policy else None
    return _expected(held, policy, await reading.errands(key), now) if policy else ()


async def _other_cases(reading: Reading, key: Key, case_id: str) -> list[str]:
    rows = (await reading.rows([key]))[key] if key.invoice_id else {}
    number = max((row.number for row in rows.values()), default=1)
    present = [row.case_id for row in rows.values() if row.number == number][:1]
    return [other for other in (*former_case_ids(key, number), *present) if other != case_id]


def _told(published: Sequence[Published], case: Case | None) -> list[Told]:
    """What was published, and the failures that it followed, as far as they are still kept."""
    told = [Told(each.topic, each.data, each.invoice_id) for each in published]
    return [*_failures(case), *told] if case is not None else told


def _failures(case: Case) -> Iterator[Told]:
    for attempt in case.book.attempts:
        data: dict[str, Any] = {
            "attempt_number": attempt.number,
            "invoice": {"id": case.invoice_id},
            "amount_minor": attempt.amount_due_minor,
            "currency": case.book.currency,
            "failed_at": rfc3339(attempt.failed_at),
            "failure": {"code": attempt.code},
        }
        yield Told(PAYMENT_FAILED, data, case.invoice_id)


def _waiting(published: Sequence[Published]) -> int:
    return sum(1 for each in published if each.published_at is None)


def _expected(
    held: Mapping[str, Held], policy: Policy, errands: Mapping[str, OpenErrand], now: datetime
) -> list[Expected]:
    found: list[Expected] = []
    for each in held.values():
        match each.account, each.case:
            case _, None:
                continue
            case _, RetryCase(open=True) as case:
                found.append(retry_expected(case, policy, now))
            case NoticeAccount() as account, NoticeCase() as case:
                found += notice_expected(account, case, policy, errands, now)
            case EnforcedAccount() as account, AccountCase(open=True) as case:
                found.append(account_expected(account, case, policy, now))
    return found
