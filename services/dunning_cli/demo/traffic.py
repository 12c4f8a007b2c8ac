"""Realistic traffic as a schedule: who fails, who pays, who never does, and what goes wrong on the way.

Pure and seeded: the same numbers give the same schedule, byte for byte. The processor's answers are not in it, since
they depend on what it is asked; and since its charges may succeed, some sendings name what must still be so (`needs`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED, SIGNALS
from dunning_cli.demo.books import Need, NeedKind
from dunning_cli.demo.chance import draw
from dunning_cli.demo.decline_mix import NEEDS_NEW_CARD, OVERDUE, draw_code
from dunning_cli.demo.events import Form, Headers, Invoice, payment_failed, payment_succeeded, signal, wrap
from dunning_cli.demo.people import Account, Place, card, make_account
from dunning_cli.demo.poison import poisons

PAYS_BY_DAY = ((0, 13.25), (3, 11.46), (7, 11.51), (15, 4.22), (20, 3.83), (30, 4.20))
"""Published recovery after an email, in percent, by the day of the email: when people act in this demo."""

INVOICES_OF_AN_ACCOUNT = ((1, 0.72), (2, 0.17), (3, 0.07), (5, 0.04))
FORMS = ((Form.BINARY, 0.60), (Form.PLAIN, 0.25), (Form.STRUCTURED, 0.15))
POISONED_ACCOUNTS = 2  # each gets one message of every kind that nobody can read


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of the invoices have each fate.

    Most are simply paid; the other shares are of those that fail. What is left over waits for its retries or is never
    paid.
    """

    fails: float = 0.35
    told_after_its_payment: float = 0.015
    pays: float = 0.16
    pays_by_transfer: float = 0.45
    pays_a_part: float = 0.03
    voided: float = 0.012
    debit_comes_back: float = 0.30
    warning_bounces: float = 0.008
    new_card_where_needed: float = 0.38
    new_card_anyway: float = 0.05
    sent_twice: float = 0.02
    sent_in_two_forms: float = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. A day of the traffic lasts as long as the policy's days do."""

    starts_at: datetime
    seed: int = 1
    invoices: int = 3000
    seconds: float = 40.0
    day_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class Sending:
    """A message at its time after the start. `data` is what it says, None where nobody can read it."""

    offset_seconds: float
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    data: Mapping[str, Any] | None = None
    needs: Need | None = None
    poison: str | None = None


def schedule(plan: Plan) -> list[Sending]:
    """Everything that the payment platform will say by itself, in the order of sending."""
    random = Random(plan.seed)
    traffic = _Traffic(plan, random)
    sendings = [sending for invoice in traffic.invoices() for sending in traffic.life_of(*invoice)]
    sendings += traffic.poison()
    sendings.sort(key=lambda sending: sending.offset_seconds)
    return sendings


class _Traffic:
    def __init__(self, plan: Plan, random: Random) -> None:
        self._plan = plan
        self._random = random
        self._shares = Shares()
        self._accounts = 0

    def invoices(self) -> Iterator[tuple[Invoice, float]]:
        """Invoices with the offsets at which they are charged first."""
        made = 0
        while made < self._plan.invoices:
            self._accounts += 1
            account = make_account(self._accounts, self._random)
            wanted = draw(self._random, INVOICES_OF_AN_ACCOUNT)
            for _ in range(min(wanted, self._plan.invoices - made)):
                made += 1
                offset = self._random.uniform(0, self._plan.seconds)
                yield self._invoice(made, account, offset), offset

    def _invoice(self, number: int, account: Account, offset: float) -> Invoice:
        due_at = self._at(offset)
        return Invoice(
            id=f"in_{number:05d}",
            account=account,
            amount_minor=_amount(account.place, self._random),
            issued_at=due_at - timedelta(seconds=14 * self._plan.day_seconds),
            due_at=due_at,
        )

    def _at(self, offset: float) -> datetime:
        """The instant of an offset, to the millisecond, as platforms write them."""
        exact = self._plan.starts_at + timedelta(seconds=offset)
        return exact.replace(microsecond=exact.microsecond // 1000 * 1000)

    # --- what happens to an invoice ---------------------------------------------------------------------------------

    def life_of(self, invoice: Invoice, offset: float) -> Iterator[Sending]:
        """Paid at once, or from the first failure on whatever people do by themselves."""
        if not self._happens(self._shares.fails):
            yield self._paid_at_once(invoice, offset)
            return
        code = draw_code(self._random) if invoice.account.is_charged else OVERDUE
        data = payment_failed(invoice, self._at(offset), code)
        if self._happens(self._shares.told_after_its_payment):
            yield from self._told_late(invoice, offset, data)
            return
        failed = self._sending(offset + self._random.uniform(0.02, 0.3), PAYMENT_FAILED, data)
        yield failed
        yield from self._said_again(failed)
        yield from self._what_people_do(invoice, offset, code)

    def _paid_at_once(self, invoice: Invoice, offset: float) -> Sending:
        """Most of what a payment platform says is no news to us, and must cost nobody anything."""
        data = payment_succeeded(invoice, self._at(offset), invoice.amount_minor, 0, invoice.payment_id)
        data["initiated_by"] = "merchant"
        return self._sending(offset + 0.05, PAYMENT_SUCCEEDED, data)

    def _what_people_do(self, invoice: Invoice, offset: float, code: str) -> Iterator[Sending]:
        shares, account = self._shares, invoice.account
        if self._happens(shares.voided):
            yield self._voided(invoice, offset + self._days(self._random.uniform(2, 20)))
            return
        comes_back = account.method["type"] == "sepa_debit" and self._happens(shares.debit_comes_back)
        if comes_back and offset < self._plan.seconds - self._days(5):  # the next case starts no later than the others
            yield from self._paid_and_returned(invoice, offset)
            return
        if self._happens(shares.warning_bounces):
            yield from self._warning_bounces(invoice, offset)
            return
        if account.method["type"] == "card":
            share = shares.new_card_where_needed if code in NEEDS_NEW_CARD else shares.new_card_anyway
            if self._happens(share):
                yield self._new_card(invoice, offset + self._when_people_act())
                return
        part_minor = invoice.amount_minor // 2 if self._happens(shares.pays_a_part) else 0
        if part_minor:
            yield self._pays(invoice, offset + self._days(self._random.uniform(1, 10)), part_minor, part_minor, "part")
        if self._happens(shares.pays if account.is_charged else shares.pays_by_transfer):
            rest = max(offset + self._when_people_act(), offset + self._days(11) if part_minor else 0)
            yield self._pays(invoice, rest, invoice.amount_minor - part_minor, part_minor, "self")

    def _pays(self, invoice: Invoice, offset: float, amount_minor: int, part_minor: int, how: str) -> Sending:
        """A payment by the customer's own hand: a first part, or all that remains."""
        remaining_minor = invoice.amount_minor - part_minor if how == "part" else 0
        data = payment_succeeded(invoice, self._at(offset), amount_minor, remaining_minor, f"pay_{invoice.id}_{how}")
        return self._sending(offset + 0.05, PAYMENT_SUCCEEDED, data, _owed(invoice))

    def _told_late(self, invoice: Invoice, offset: float, failed: dict[str, Any]) -> Iterator[Sending]:
        """The success overtakes the failure: nothing may come of it (rule 7)."""
        paid_offset = offset + self._random.uniform(0.3, 1.5)
        paid = payment_succeeded(invoice, self._at(paid_offset), invoice.amount_minor, 0, f"pay_{invoice.id}_self")
        yield self._sending(paid_offset + 0.05, PAYMENT_SUCCEEDED, paid)
        yield self._sending(paid_offset + self._random.uniform(1, 5), PAYMENT_FAILED, failed)

    def _voided(self, invoice: Invoice, offset: float) -> Sending:
        data = signal("invoice.voided", invoice.account, self._at(offset), invoice_id=invoice.id)
        return self._sending(offset + 0.05, SIGNALS, data, _owed(invoice))

    def _paid_and_returned(self, invoice: Invoice, offset: float) -> Iterator[Sending]:
        """The bank takes a debit back days after it was paid: the invoice's next case."""
        paid = self._pays(invoice, offset + self._days(self._random.uniform(0.5, 1.5)), invoice.amount_minor, 0, "self")
        yield paid
        payment_id = f"pay_{invoice.id}_self"
        back_offset = paid.offset_seconds + self._days(self._random.uniform(1, 3))
        returned = payment_failed(invoice, self._at(back_offset), "insufficient_funds", payment_id=payment_id)
        needs = Need(NeedKind.PAID_BY, invoice.id, payment_id)
        yield self._sending(back_offset + 0.05, PAYMENT_FAILED, returned, needs)

    def _new_card(self, invoice: Invoice, offset: float) -> Sending:
        account = invoice.account
        number = 2 + self._random.randrange(10**6)  # an account may get several, each with an id of its own
        method = card(account.id, number, account.place, self._random)
        data = signal("payment_method.updated", account, self._at(offset), payment_method=method)
        return self._sending(offset + 0.05, SIGNALS, data, _owed(invoice))

    def _warning_bounces(self, invoice: Invoice, offset: float) -> Iterator[Sending]:
        """The warning's mail comes back, so the suspension waits; half of them get a new address later."""
        account = invoice.account
        bounced_offset = offset + self._days(12)
        told = {"invoice_id": invoice.id, "rung": "suspension_warning", "channel": "email", "permanent": True}
        bounced = signal("notice.bounced", account, self._at(bounced_offset), **told)
        yield self._sending(bounced_offset + 0.05, SIGNALS, bounced, _owed(invoice))
        if self._happens(0.5):
            moved_offset = offset + self._days(17)
            customer = {"id": account.customer["id"], "email": f"new.{account.id}@example.com"}
            moved = signal("customer.updated", account, self._at(moved_offset), customer=customer)
            yield self._sending(moved_offset + 0.05, SIGNALS, moved, _owed(invoice))

    # --- how it is told ---------------------------------------------------------------------------------------------

    def _said_again(self, failed: Sending) -> Iterator[Sending]:
        """Producers that send twice, byte for byte or in another form: it acts once (rule 1)."""
        later = failed.offset_seconds + self._random.uniform(0.05, 4)
        if self._happens(self._shares.sent_twice):
            yield replace(failed, offset_seconds=later)
        elif self._happens(self._shares.sent_in_two_forms):
            assert failed.data is not None, "only what can be read is said again"
            was_plain = not failed.headers
            form = self._random.choice((Form.BINARY, Form.STRUCTURED)) if was_plain else Form.PLAIN
            value, headers = wrap(failed.topic, failed.data, form)
            yield replace(failed, offset_seconds=later, value=value, headers=headers)

    def _sending(self, offset: float, topic: str, data: Mapping[str, Any], needs: Need | None = None) -> Sending:
        form = draw(self._random, FORMS)
        value, headers = wrap(topic, data, form)
        return Sending(offset, topic, str(data["account_id"]).encode(), value, headers, data, needs)

    def poison(self) -> Iterator[Sending]:
        """Messages that nobody can read, between all the others."""
        for _ in range(POISONED_ACCOUNTS):
            account_id = f"acc_{self._random.randint(1, self._accounts):05d}"
            for poison in poisons(account_id, self._plan.starts_at):
                offset = self._random.uniform(0, self._plan.seconds)
                yield Sending(
                    offset, poison.topic, account_id.encode(), poison.value, poison.headers, poison=poison.why
                )

    # --- chance -----------------------------------------------------------------------------------------------------

    def _happens(self, share: float) -> bool:
        return self._random.random() < share

    def _days(self, days: float) -> float:
        return days * self._plan.day_seconds

    def _when_people_act(self) -> float:
        """After one of the notices, within two days of it."""
        return self._days(draw(self._random, PAYS_BY_DAY) + self._random.uniform(0.3, 2))


def _owed(invoice: Invoice) -> Need:
    return Need(NeedKind.OWED, invoice.id)


def _amount(place: Place, random: Random) -> int:
    """Subscriptions: mostly small, some large; whole yen, and prices that end in 9 or 0 elsewhere."""
    units = min(round(random.lognormvariate(3.6, 0.8)) + 5, 2000)
    return units * 100 + (80 if place.currency == "JPY" else random.choice((0, 90, 99)))
