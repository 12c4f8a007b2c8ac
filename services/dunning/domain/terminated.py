"""Failures of a terminated invoice (rule 37): they open no case meanwhile, and those that prove to be later than what
lifts or undoes the termination are entered then. A service reads topics side by side, so a failure of just after a
reinstatement may well be read before it, and must not be lost (rules 7 and 8).
"""

from datetime import datetime

from msgspec.structs import replace

from dunning.domain.book import Book
from dunning.domain.events import Customer, PaymentFailed

WAITING_MAX = 16  # of one invoice; the oldest are forgotten
HEARD_OF_MAX = 16  # the same


def keep(book: Book, event: PaymentFailed) -> None:
    """Keep a failure for later, without anything of the customer's but what a case pins (rule 13)."""
    said = event.customer if book.terminated_at is not None else None  # see `take`
    method = event.payment_method
    customer = Customer(timezone=said.timezone, country=said.country) if said else None
    charged = replace(method, last4=None, exp_month=None, exp_year=None) if method else None
    slim = replace(event, customer=customer, payment_method=charged, update_payment_url=None, traceparent=None)
    book.waiting = [*book.waiting, slim][-WAITING_MAX:]


def take(book: Book) -> list[PaymentFailed]:
    """Those that count now, in the order in which they were read; the others change nothing any more.

    Those that count again where a payment proves to have undone what was lifted stay, without anything of a customer's:
    an erasure does not come by here any more.
    """
    waiting, book.waiting = book.waiting, []
    for event in waiting:
        if book.is_settled(event.failed_at) and book.may_count_later(event.failed_at):
            book.waiting.append(replace(event, customer=None))
    return [event for event in waiting if not book.is_settled(event.failed_at)]


def hear_of(book: Book, case_id: str, at: datetime) -> None:
    """Keep the termination of a case for when it opens here: a peer has read what opens it (rules 8 and 39)."""
    book.heard_of = dict([*book.heard_of.items(), (case_id, at)][-HEARD_OF_MAX:])


def forget_customer(book: Book, erased_at: datetime) -> bool:
    """An erasure takes what was said of the customer up to it; says whether anything was."""
    told = [event.customer is not None and event.failed_at <= erased_at for event in book.waiting]
    if any(told):
        book.waiting = [
            replace(event, customer=None) if said else event for event, said in zip(book.waiting, told, strict=True)
        ]
    return any(told)
