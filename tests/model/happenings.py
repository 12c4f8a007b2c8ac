"""What may happen beside the failures: every kind of signal and payment, the frequent ones more often."""

from collections.abc import Callable
from datetime import datetime, timedelta

from tests.model.dates import written
from tests.model.history import Data
from tests.model.random_account import CARD, Account
from tests.model.random_policies import CHANNELS

Happening = Callable[[Account, str, datetime], None]


def paid(account: Account, invoice: str, own_at: datetime) -> None:
    account.success(invoice, own_at, 0)


def part_paid(account: Account, invoice: str, own_at: datetime) -> None:
    account.success(invoice, own_at, account.rng.choice([100, 2000]))


def new_method(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    account.signal("payment_method.updated", own_at, payment_method=account.method())


def method_expiring(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    account.signal("payment_method.expiring", own_at, payment_method=account.method())


def new_customer(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    account.signal("customer.updated", own_at, customer=account.customer())


def adjusted(account: Account, invoice: str, own_at: datetime) -> None:
    left = account.rng.choice([0, 50, 900])
    account.signal("invoice.adjusted", own_at, invoice={"id": invoice, "amount_remaining_minor": left})


def voided(account: Account, invoice: str, own_at: datetime) -> None:
    account.signal("invoice.voided", own_at, invoice_id=invoice)


def written_off(account: Account, invoice: str, own_at: datetime) -> None:
    account.signal("case.closed", own_at, invoice_id=invoice, reason=account.rng.choice(["write_off", "cancelled"]))


def charge_now(account: Account, invoice: str, own_at: datetime) -> None:
    account.signal("retry.now", own_at, invoice_id=invoice)


def reinstated(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    account.signal("account.reinstated", own_at, reason="agreed")


def bounced(account: Account, invoice: str, own_at: datetime) -> None:
    account.notice_news("notice.bounced", invoice, own_at)


def delivered(account: Account, invoice: str, own_at: datetime) -> None:
    account.notice_news("notice.delivered", invoice, own_at)


def once_more(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice, own_at
    account.again()


def failed(account: Account, invoice: str, own_at: datetime) -> None:
    account.failure(invoice, own_at)


def with_note(account: Account, invoice: str, own_at: datetime) -> None:
    """Perhaps with a card number where none belongs."""
    account.failure(invoice, own_at)
    account.lines[-1]["data"]["metadata"] = {"note": CARD if account.rng.random() < 0.3 else "fine"}


def consent(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    channel, allowed = account.rng.choice(CHANNELS), account.rng.random() < 0.3
    account.signal("consent.changed", own_at, channel=channel, allowed=allowed)


def tagged(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    kind = account.rng.choice(["account.tagged", "account.tagged", "account.untagged"])
    account.signal(kind, own_at, tag=account.rng.choice(["vip", "vip", "court", "harmless"]))


def paused(account: Account, invoice: str, own_at: datetime) -> None:
    """Of the invoice or of all; mostly with an end, of its own or by a signal."""
    rng = account.rng
    scope: Data = {"invoice_id": invoice} if rng.random() < 0.6 else {}
    until: Data = {"until": written(own_at + length(account))} if rng.random() < 0.4 else {}
    account.signal("case.paused", own_at, **scope, **until, reason="asked for time")
    if rng.random() < 0.6:
        scope = {"invoice_id": invoice} if rng.random() < 0.5 else {}
        account.signal("case.resumed", own_at + length(account), **scope)


def disputed(account: Account, invoice: str, own_at: datetime) -> None:
    account.signal("dispute.opened", own_at, invoice_id=invoice)
    if account.rng.random() < 0.7:
        account.signal("dispute.closed", own_at + length(account), invoice_id=invoice)


def extended(account: Account, invoice: str, own_at: datetime) -> None:
    account.signal("case.extended", own_at, invoice_id=invoice, by=account.rng.choice(["3d", "12h", "1d12h", "2w"]))


def length(account: Account) -> timedelta:
    return timedelta(hours=account.rng.choice([0, 6, 24, 24, 72, 100, 240, 480]))


def erased(account: Account, invoice: str, own_at: datetime) -> None:
    del invoice
    account.signal("account.erased", own_at)


def promised(account: Account, invoice: str, own_at: datetime) -> None:
    """Facts that change nothing yet, and a kind that nobody knows."""
    pay_by = written(own_at + timedelta(days=3))
    if account.rng.random() < 0.4:
        account.signal("promise.made", own_at, invoice_id=invoice, pay_by=pay_by)
    elif account.rng.random() < 0.7:
        account.signal("plan.agreed", own_at, invoice_id=invoice, installments=[{"due_at": pay_by, "amount_minor": 9}])
    else:
        account.signal("planet.aligned", own_at, invoice_id=invoice)


def tried_often(account: Account, invoice: str, own_at: datetime) -> None:
    """The customer tries with one card again and again: a network's limit comes near."""
    method, step = account.method(), account.rng.choice([1, 5, 24])
    for number in range(account.rng.choice([3, 15, 18, 21, 25])):
        before = len(account.failures)
        account.failure(invoice, own_at + timedelta(hours=number * step))
        for data in account.failures[before:]:
            data["payment_method"] = method


HAPPENINGS: dict[Happening, int] = {
    paid: 4,
    part_paid: 2,
    new_method: 3,
    method_expiring: 1,
    new_customer: 3,
    adjusted: 2,
    voided: 1,
    written_off: 1,
    charge_now: 3,
    reinstated: 2,
    bounced: 6,
    delivered: 2,
    once_more: 2,
    failed: 2,
    with_note: 2,
    consent: 3,
    tagged: 3,
    paused: 5,
    disputed: 3,
    extended: 3,
    erased: 1,
    promised: 2,
    tried_often: 1,
}


def something(account: Account, invoice: str) -> None:
    """One thing that happens beside the failures."""
    happening = account.rng.choices(list(HAPPENINGS), weights=list(HAPPENINGS.values()))[0]
    happening(account, invoice, account.moment())
