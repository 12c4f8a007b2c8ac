"""Which ledgers an input needs, and what payments and requests add to them (rule 18, promise 7).

The kernel locks the ledgers that `card_keys` names, hands them to the account, and only these are at hand.
"""

from datetime import datetime

from dunning.domain.declines import classify, is_overdue, network_of
from dunning.domain.declines.catalogue import shipped
from dunning.domain.events import Input, PaymentFailed, PaymentSucceeded, Signal, TimerDue
from dunning.domain.facts import Known
from dunning.runtime.service import SharedRows
from retry_scheduler.case import Request, RetryAccount, RetryCase
from retry_scheduler.ledger import (
    CardLedger,
    CountedAttempt,
    Outcome,
    decode_ledger,
    encode_ledger,
    matters,
    name_of,
)
from retry_scheduler.methods import asked_of, present_key

CHANGES_MAX = 8  # of who charges an invoice, or of a card's country; the oldest are forgotten


def card_keys(account: RetryAccount, event: Input, now: datetime) -> set[str]:
    """Payments count for what they charged; a wake-up may charge the case's present method."""
    match event:
        case PaymentFailed() | PaymentSucceeded():
            return _charged_keys(account, event, now)
        case TimerDue():
            case = account.cases.get(event.invoice_id)
            return {present_key(account, case)} - {""} if case is not None and case.open else set()
        case _:
            return set()


def ledger_named(event: Input) -> str:
    """The ledger that an input may open to its account; empty for none. An account never comes to any that no input of
    its own named: what we ask to be charged with, some event has named before."""
    match event:
        case PaymentFailed() | PaymentSucceeded() | Signal():
            return event.payment_method.key if event.payment_method else ""
        case _:
            return ""


def _charged_keys(account: RetryAccount, event: PaymentFailed | PaymentSucceeded, now: datetime) -> set[str]:
    """What the event names, and what our request named that it answers: an attempt may have been either, so it is both.

    Where it names another method than we asked for, that one was charged; to count it on ours as well is the safe side.
    """
    if not matters(instant_of(event), now) or (isinstance(event, PaymentFailed) and is_overdue(event.failure)):
        return set()
    case = account.cases.get(event.invoice_id)
    asked = asked_of(case, event) if case is not None else None
    said = event.payment_method.key if event.payment_method else ""
    return {said, asked.method_key if asked else ""} - {""}


def count_payment(account: RetryAccount, event: PaymentFailed | PaymentSucceeded, now: datetime) -> None:
    """Enter an attempt that was reported. What a network said of another method is no word on the one we asked for."""
    said = event.payment_method.key if event.payment_method else ""
    for key in _charged_keys(account, event, now):
        attempt = _attempt(account, event)
        if said and key != said:
            attempt.category = ""
        _ledger(account, key).enter(attempt, now)


def count_request(account: RetryAccount, case: RetryCase, request: Request, now: datetime) -> None:
    """Enter a charge that we ask for. Until it is answered it may be made at any time up to its end."""
    if request.method is None or not request.method.key:
        return
    attempt = CountedAttempt(
        name=name_of(account.account_id, request.retry_id),
        at=request.not_after,
        outcome=Outcome.OPEN,
        merchant=case.merchant.value if case.merchant else "",
        network=network_of(None, request.method, shipped()),
        amount_minor=case.book.amount_minor,
        currency=case.book.currency,
    )
    _ledger(account, request.method.key).enter(attempt, now)


def note_origin(case: RetryCase, event: PaymentFailed) -> None:
    """Remember who charges this invoice; the newest word counts."""
    case.merchant = _newer(case.merchant, event.merchant_id, event.failed_at)
    if event.processor is not None:
        case.processors = changes([*_processors(case), Known(event.processor, event.failed_at)])
    case.processor = _newer(case.processor, event.processor, event.failed_at)


def changes(said: list[Known]) -> list[Known]:
    """Words by their times; of those in a row that say the same the first and the last, for another one that is dated
    between these may still be read."""
    kept: list[Known] = []
    for known in sorted(said, key=lambda known: (known.at, known.value)):
        if kept and known == kept[-1]:
            continue
        if len(kept) > 1 and kept[-2].value == kept[-1].value == known.value:
            kept[-1] = known
        else:
            kept.append(known)
    return kept[-CHANGES_MAX:]


def processor_as_of(case: RetryCase, at: datetime) -> Known | None:
    """Who charged the invoice at an instant, by what was said up to then."""
    known = [each for each in _processors(case) if each.at <= at]
    return known[-1] if known else None


def _processors(case: RetryCase) -> list[Known]:
    """All that were said; of a case that was saved before they were kept, the newest."""
    return case.processors or ([case.processor] if case.processor else [])


def _newer(known: Known | None, said: str | None, at: datetime) -> Known | None:
    return known if said is None or (known is not None and known.at > at) else Known(said, at)


def _attempt(account: RetryAccount, event: PaymentFailed | PaymentSucceeded) -> CountedAttempt:
    case = account.cases.get(event.invoice_id)
    failed = event if isinstance(event, PaymentFailed) else None
    known = case.merchant.value if case is not None and case.merchant else ""
    return CountedAttempt(
        name=_name(account, case, event),
        at=instant_of(event),
        outcome=Outcome.DECLINED if failed else Outcome.SUCCEEDED,
        merchant=event.merchant_id or known,
        network=network_of(failed.failure if failed else None, event.payment_method, shipped()),
        category=_category(failed) if failed else "",
        amount_minor=event.amount_minor,
        currency=event.currency,
    )


def _name(account: RetryAccount, case: RetryCase | None, event: PaymentFailed | PaymentSucceeded) -> int:
    """Our request's where it answers one, whichever way it says so; else what the platform calls it."""
    asked = asked_of(case, event) if case is not None else None
    retry_id = asked.retry_id if asked else event.retry_id
    if retry_id is not None:
        return name_of(account.account_id, retry_id)
    number = event.attempt_number if event.attempt_number is not None else instant_of(event).isoformat()
    return name_of(account.account_id, event.invoice_id, event.payment_id, number)


def _category(event: PaymentFailed) -> str:
    return classify(event.failure, event.payment_method, event.failed_at).category or ""


def instant_of(event: PaymentFailed | PaymentSucceeded) -> datetime:
    """When it happened."""
    return event.failed_at if isinstance(event, PaymentFailed) else event.succeeded_at


def _ledger(account: RetryAccount, key: str) -> CardLedger:
    """Raises KeyError where the kernel was not told of it: to count nothing would be worse."""
    ledger: CardLedger = account.shared[key]
    return ledger


CARD_LEDGERS: SharedRows[RetryAccount] = SharedRows(
    keys=card_keys,
    new=CardLedger,
    encode=encode_ledger,
    decode=decode_ledger,
    kept_until=lambda ledger: ledger.kept_until,
)
