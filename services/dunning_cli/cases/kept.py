"""The signals that a case's story tells: those that the services keep as facts, for topics forget them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from account_enforcement.case import AccountCase, EnforcedAccount
from dunning.contracts.topics import SIGNALS
from dunning.domain.calendar import rfc3339
from dunning.domain.case import Account, Case
from dunning.domain.pauses import Mark, span_at
from dunning_cli.cases.read import Held
from dunning_cli.story import Told


def kept_signals(held: Mapping[str, Held], case: Case) -> Iterator[Told]:
    """Pauses, disputes and extensions, tags, promises, plans and expiring methods, as far as they concern this case."""
    began_at = case.book.first.failed_at if case.book.attempts else case.opened_at
    for mark in case.book.marks:
        if began_at is None or mark.at >= began_at or _still_held(case, mark, began_at):
            yield _told(mark.kind, mark.at, None if mark.whole_account else case.invoice_id, **_of(mark))
    enforced = next((each for each in held.values() if isinstance(each.account, EnforcedAccount)), None)
    if enforced is not None:
        yield from _tags(enforced.account, began_at)
        yield from _noted(enforced, case, began_at)


def _still_held(case: Case, mark: Mark, began_at: datetime) -> bool:
    """Whether a pause from before the case was under way when it began."""
    span = span_at(case.book.marks, began_at)
    return span is not None and span.start <= mark.at < began_at


def _of(mark: Mark) -> dict[str, Any]:
    return {
        "until": rfc3339(mark.until) if mark.until else None,
        "by": str(mark.by) if mark.by else None,
        "reason": mark.reason or None,
    }


def _tags(account: Account[Any], began_at: datetime | None) -> Iterator[Told]:
    for tag, known in sorted(account.facts.tags.items()):
        if known.present or began_at is None or known.at >= began_at:
            yield _told("account.tagged" if known.present else "account.untagged", known.at, None, tag=tag)


def _noted(held: Held, case: Case, began_at: datetime | None) -> Iterator[Told]:
    account, own = held.account, held.case
    assert isinstance(account, EnforcedAccount), "asked of account enforcement only"
    of_the_case = own.noted if isinstance(own, AccountCase) else {}
    for kind, known in sorted({**of_the_case, **account.noted}.items()):
        if began_at is None or known.at >= began_at:
            yield _told(kind, known.at, case.invoice_id if kind in of_the_case else None, **known.said)


def _told(kind: str, at: datetime, invoice_id: str | None, **said: Any) -> Told:
    data = {"kind": kind, "at": rfc3339(at), "invoice_id": invoice_id, **said}
    return Told(SIGNALS, {name: value for name, value in data.items() if value is not None}, invoice_id)
