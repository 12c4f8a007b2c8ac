"""What one seed plays: a policy, a few accounts, what is sent when and into which partition, who answers charges."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from dunning.domain.policy import Policies
from tests.builders import a_notice, a_policy, policies

Data = dict[str, Any]
PARTITIONS = 2
FAILED, SUCCEEDED, SIGNALS = "payment.failed", "payment.succeeded", "dunning.signals"
LADDER = [
    {**a_notice("hello", "0d", "email"), "account": "past_due"},
    a_notice("warning", "3d", "email", "letter"),
    a_notice("suspended", "5d", "email", account="suspended", warned_by="warning", template="suspended"),
    a_notice("final", "8d", "in_app"),
    {"rung": "terminated", "at": "12d", "account": "terminated", "warned_by": "final"},
]
SHORT = [
    {**a_notice("hello", "0d", "email", "in_app"), "account": "past_due"},
    {"rung": "limited", "at": "1d12h", "account": "restricted"},
    a_notice("warning", "2d", "email"),
    {"rung": "suspended", "at": "4d", "account": "suspended", "warned_by": "warning"},
]
NO_QUIET = {"quiet_hours": "none"}
RETRIES = {
    "after": ["1d2h11m", "2d5h13m"],
    "timeout": "11h47m",
}  # never at the instant of a rung: who is first would be anybody's guess
DOCUMENTS: tuple[Data, ...] = (
    a_policy(ladder=LADDER, retries=RETRIES, contact=NO_QUIET),
    a_policy(ladder=SHORT, retries={**RETRIES, "max_retries": 3}, contact=NO_QUIET),
    a_policy(ladder=SHORT, retries={"after": ["1d7h23m"], "timeout": "5h41m", "window": "9d"}, contact=NO_QUIET),
)
CODES = ("insufficient_funds", "insufficient_funds", "do_not_honor", "processing_error", "expired_card")
POISON = (b"", b"{", b'{"account_id": 7}', b"\xff\xfe", b'{"account_id": "acc_1"}', b"[1, 2]")


@cache
def loaded(number: int) -> Policies:
    """The services' own reading of a policy."""
    return policies(DOCUMENTS[number])


@dataclass(frozen=True, slots=True)
class Sent:
    """One record that somebody else sends."""

    at: datetime
    topic: str
    partition: int
    key: str | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    poison: bool = False
    again: bool = False  # the same event once more


@dataclass
class Scenario:
    """The input of one run."""

    policy: int
    starts_at: datetime
    until: datetime
    sent: list[Sent]
    answers: Mapping[tuple[str, int], str | None]  # invoice and attempt: a code, `paid`, or None: nobody answers

    @property
    def document(self) -> Data:
        return DOCUMENTS[self.policy]


@dataclass
class _Writer:
    rng: random.Random
    starts_at: datetime
    sent: list[Sent] = field(default_factory=list)

    def moment(self, days: float) -> datetime:
        """Never on a date of anything else."""
        return self.starts_at + timedelta(minutes=self.rng.randint(1, int(days * 24)) * 60 + self.rng.randint(7, 53))

    def send(self, topic: str, account: str, own_at: datetime, data: Data) -> None:
        """Now and then late, now and then into any partition, now and then twice."""
        rng = self.rng
        at = own_at
        if rng.random() < 0.15:
            at += timedelta(minutes=rng.choice([3, 40, 300, 2000]))
        partition = sum(account.encode()) % PARTITIONS if rng.random() < 0.7 else rng.randrange(PARTITIONS)
        value = json.dumps(data).encode()
        self.sent.append(Sent(at, topic, partition, account, value))
        if rng.random() < 0.25:
            self.again(self.sent[-1], data)

    def again(self, first: Sent, data: Data) -> None:
        """The same thing in the same form or in another, in the same partition or in another."""
        rng = self.rng
        at = first.at + rng.choice([timedelta(), timedelta(seconds=2), timedelta(hours=7), timedelta(days=3)])
        if rng.random() < 0.5:
            self.sent.append(Sent(at, first.topic, first.partition, first.key, first.value, again=True))
            return
        value = json.dumps({**data, "metadata": {"again": True}} if first.topic != SIGNALS else data).encode()
        headers = tuple(
            (name, text.encode())
            for name, text in (
                ("ce_specversion", "1.0"),
                ("ce_id", f"again-{len(self.sent)}"),
                ("ce_source", "/shop"),
                ("ce_type", f"{first.topic}.v1"),
                ("content-type", "application/json"),
            )
        )
        self.sent.append(Sent(at, first.topic, rng.randrange(PARTITIONS), first.key, value, headers, again=True))


def scenario(rng: random.Random, min_poison: int = 0) -> Scenario:
    """A small world, with at least so many records that nobody can read."""
    starts_at = datetime(2026, 3, rng.randint(1, 20), rng.randint(0, 23), tzinfo=UTC)
    writer = _Writer(rng, starts_at)
    accounts = [f"acc_{number}" for number in range(1, rng.choice([1, 2, 2, 3]) + 1)]
    answers: dict[tuple[str, int], str | None] = {}
    for account in accounts:
        for number in range(rng.choice([1, 1, 2])):
            _invoice(writer, account, f"in_{account}_{number}", answers)
    for _ in range(max(min_poison, rng.choice([0, 0, 1, 2]))):
        poison = rng.choice(POISON)
        topic = rng.choice([FAILED, SUCCEEDED, SIGNALS])
        writer.sent.append(
            Sent(writer.moment(8), topic, rng.randrange(PARTITIONS), rng.choice([None, "acc_1"]), poison, poison=True)
        )
    writer.sent.sort(key=lambda each: each.at)
    until = starts_at + timedelta(days=20, seconds=30)  # nothing is due just then: all else is at whole minutes
    return Scenario(rng.randrange(len(DOCUMENTS)), starts_at, until, writer.sent, answers)


def _invoice(writer: _Writer, account: str, invoice: str, answers: dict[tuple[str, int], str | None]) -> None:
    """It fails; perhaps it is paid, in part or in full, perhaps something is said of it."""
    rng = writer.rng
    # Never two of an account at one instant: whichever is terminated first keeps the other open (rule 37).
    failed_at = writer.starts_at + timedelta(minutes=rng.choice([0, 0, 61, 1507]) + 17 * int(invoice[-1]))
    writer.send(FAILED, account, failed_at, failure(account, invoice, 1, failed_at, rng.choice(CODES)))
    for attempt in range(2, 8):
        answers[invoice, attempt] = rng.choice(
            ["insufficient_funds", "do_not_honor", "insufficient_funds", "paid", None]
        )
    fate = rng.random()
    if fate < 0.45:
        paid_at = writer.moment(7)
        writer.send(SUCCEEDED, account, paid_at, success(account, invoice, paid_at, 0))
        if rng.random() < 0.3:
            again_at = paid_at + timedelta(hours=rng.randint(1, 60), minutes=11)
            code = rng.choice(CODES)
            writer.send(FAILED, account, again_at, failure(account, invoice, 9, again_at, code, payment="pay_again"))
    elif fate < 0.6:
        partly_at = writer.moment(4)
        writer.send(SUCCEEDED, account, partly_at, success(account, invoice, partly_at, 1900))
    for _ in range(rng.choice([0, 0, 1])):
        at = writer.moment(6)
        writer.send(SIGNALS, account, at, _signal(rng, account, invoice, at))


def _signal(rng: random.Random, account: str, invoice: str, at: datetime) -> Data:
    more: Data = rng.choice(
        [
            {"kind": "invoice.voided", "invoice_id": invoice},
            {"kind": "payment_method.updated", "payment_method": card_of(account, "new")},
            {"kind": "invoice.adjusted", "invoice": {"id": invoice, "amount_remaining_minor": 1200}},
            {"kind": "customer.updated", "customer": {"id": f"cus_{account}", "email": f"new-{account}@example.com"}},
            {"kind": "account.tagged", "tag": "vip"},
        ]
    )
    return {**more, "account_id": account, "at": at.isoformat()}


def card_of(account: str, which: str) -> Data:
    """Each account has its own: over all of them one card would soon be at its network's limit (rule 18)."""
    return {"id": f"{account}/{which}", "type": "card", "fingerprint": f"fp-{account}-{which}", "brand": "visa"}


def failure(
    account: str, invoice: str, attempt: int, at: datetime, code: str, *, payment: str = "pay", **more: Any
) -> Data:
    """The body of a failed payment."""
    return {
        "payment_id": f"{payment}_{invoice}",
        "attempt_number": attempt,
        "account_id": account,
        "invoice": {"id": invoice, "amount_due_minor": 4900},
        "amount_minor": 4900,
        "currency": "EUR",
        "failed_at": at.isoformat(),
        "failure": {"code": code},
        "payment_method": card_of(account, "first"),
        "customer": {
            "id": f"cus_{account}",
            "email": f"{account}@example.com",
            "country": "DE",
            "timezone": "UTC",
            "postal_address": "1 Example Street",
        },
        **more,
    }


def success(account: str, invoice: str, at: datetime, remaining: int, **more: Any) -> Data:
    """The body of money."""
    return {
        "payment_id": f"paid_{invoice}",
        "account_id": account,
        "invoice": {"id": invoice, "amount_remaining_minor": remaining},
        "amount_minor": 4900 - remaining,
        "currency": "EUR",
        "succeeded_at": at.isoformat(),
        **more,
    }
