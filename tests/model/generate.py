"""Random histories: a policy file, what one account's platform sends, and who answers charges. Seeded: same seed, same.

Times are drawn from a coarse grid around the dates that the policy gives, so that things meet at one instant often.
"""

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.model.dates import written
from tests.model.history import Data
from tests.model.run import Charges

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Pacific/Chatham",
)
CODES: tuple[Data, ...] = (
    {"code": "insufficient_funds"},
    {"code": "insufficient_funds"},
    {"code": "do_not_honor"},
    {"code": "never_heard_of"},
    {"code": "never_heard_of", "class": "hard"},
    {"code": "processing_error"},
    {"code": "processing_error"},
    {"code": "expired_card"},
    {"code": "lost_card"},
    {"code": "card_declined", "network": "visa", "network_decline_code": "43"},
    {"code": "card_declined", "network": "visa", "network_decline_code": "91"},
    {"code": "card_declined", "network": "visa", "network_decline_code": "54"},
    {"code": "insufficient_funds", "network": "visa", "network_decline_code": "N7"},
    {"code": "card_declined", "network": "mastercard", "network_advice_code": "28"},
    {"code": "card_declined", "network": "mastercard", "network_advice_code": "24"},
    {"code": "card_declined", "network": "mastercard", "network_advice_code": "03"},
)
CHANNELS = ("email", "sms", "in_app", "push", "letter", "call")
TEMPLATES = ("payment_failed", "gentle_reminder", "formal_notice", "suspension_warning", "suspended", "final_notice")
PAIRS = (["21:00", "08:00"], ["08:00", "20:00"], ["22:30", "06:15"], ["00:00", "07:00"], ["12:00", "13:00"])
METHODS: tuple[Data, ...] = (
    {"id": "pm_1", "type": "card", "fingerprint": "fp_1"},
    {"id": "pm_1b", "type": "card", "fingerprint": "fp_1"},
    {"id": "pm_2", "type": "card", "fingerprint": "fp_2"},
    {"id": "pm_3", "type": "sepa_debit"},
)
NO_NOTICE: Data = {"rung": "none", "notice": {"channels": ["email"]}}
CARD = "4111 1111 1111 1111"


@dataclass(frozen=True)
class Scenario:
    """What both the model and the simulator are given."""

    policies: list[Data]
    lines: list[Data]
    until: datetime
    charges: Charges
    account: str = "acc_1"


def policies(rng: random.Random) -> list[Data]:
    """One policy, now and then with a second version, another policy before it, or one that ignores."""
    found = [policy(rng)]
    if rng.random() < 0.2:
        month = rng.choice(["03", "05", "10"])
        found.append({**policy(rng), "version": 2, "valid_from": f"2026-{month}-{rng.randint(10, 28)}T06:00:00Z"})
    if rng.random() < 0.15:
        match = rng.choice([{"min_amount": {"EUR": 1000}}, {"segments": ["self_serve"]}, {"currencies": ["USD"]}])
        found.append({**policy(rng), "id": "other", "priority": 10, "match": match})
    if rng.random() < 0.05:
        found.append(
            {"id": "nothing", "version": 1, "priority": 5, "ignore": True, "match": {"segments": ["self_serve"]}}
        )
    return found


def policy(rng: random.Random) -> Data:
    found: Data = {"id": "random", "version": 1, "ladder": ladder(rng)}
    if rng.random() < 0.9:
        found["retries"] = retries(rng)
    if rng.random() < 0.3:
        found["anchor"] = rng.choice(["due_date", "first_failure"])
    if rng.random() < 0.4:
        found["timezone"] = rng.choice(ZONES)
    if rng.random() < 0.4:
        found["fallback_timezone"] = rng.choice(ZONES)
    if rng.random() < 0.5:
        found["contact"] = contact(rng)
    if rng.random() < 0.25:
        found["roll"] = roll(rng)
    if rng.random() < 0.3:
        found["conditions"] = conditions(rng, found["ladder"])
    if rng.random() < 0.1:
        found["match"] = rng.choice(
            [{"currencies": ["EUR"]}, {"segments": ["self_serve"]}, {"countries": ["DE"]}, {"payment_types": ["card"]}]
        )
    return found


def roll(rng: random.Random) -> Data:
    calendars = rng.choice([["account_country"], ["account_country", "FR"], ["DE-BY"], []])
    found: Data = {"business_days": rng.choice(["next", "next", "previous"])}
    return {**found, "calendars": calendars} if calendars else found


def conditions(rng: random.Random, rungs: list[Data]) -> Data:
    """Of one or two rungs."""
    return {
        rung["rung"]: rng.choice(
            [
                {"tags_none": ["vip"]},
                {"balance_at_least": {"EUR": rng.choice([700, 5000])}},
                {"balance_at_least": {"EUR": 5000, "USD": 4000}, "tags_none": ["vip", "court"]},
                {"unpaid_invoices_at_least": rng.choice([1, 2])},
            ]
        )
        for rung in rng.sample(rungs, k=min(len(rungs), rng.choice([1, 2])))
    }


def contact(rng: random.Random) -> Data:
    found: Data = {}
    if rng.random() < 0.5:
        found["quiet_hours"] = rng.choice(["none", *PAIRS, *PAIRS])
    elif rng.random() < 0.5:
        found["quiet_hours"] = {channel: rng.choice([*PAIRS]) for channel in rng.sample(CHANNELS, k=3)}
    if rng.random() < 0.5:
        found["caps"] = {
            name: {
                window: rng.choice([0, 1, 1, 2, 3])
                for window in rng.sample(["1d", "2d", "12h", "7d"], k=rng.randint(1, 2))
            }
            for name in rng.sample([*CHANNELS, "all"], k=rng.choice([0, 1, 1, 2]))
        }
    return found


def retries(rng: random.Random) -> Data:
    found: Data = {"after": rng.choices(["1d", "3d", "5d", "7d", "12h", "1d12h", "90m", "0d"], k=rng.randint(1, 5))}
    found["after"] = [one for one in found["after"] if one != "0d"] or ["1d"]
    if rng.random() < 0.3:
        found["max_retries"] = rng.randint(0, 7)
    if rng.random() < 0.4:
        found["window"] = rng.choice(["4d", "1w", "14d", "28d"])
    if rng.random() < 0.4:
        found["hours"] = rng.choice(PAIRS)
    if rng.random() < 0.3:
        found["technical_after"] = rng.choice([[], ["5m"], ["1h", "1d"]])
    if rng.random() < 0.15:
        found["roll"] = roll(rng)
    if rng.random() < 0.3:
        found["timeout"] = rng.choice(["6h", "2d", "5d"])
    return found


def notice(rng: random.Random) -> Data:
    channels = rng.sample(CHANNELS, k=rng.choice([1, 1, 2, 3]))
    rest = [one for one in CHANNELS if one not in channels]
    found: Data = {"template": rng.choice(TEMPLATES), "channels": channels}
    if rng.random() < 0.4:
        found["fallback"] = rng.sample(rest, k=rng.choice([1, 2]))
    return found


def ladder(rng: random.Random) -> list[Data]:
    """Rungs in order; restricting ones with the warnings that the contracts ask for."""
    hours = rng.choice([0, 0, 0, 6, 24])
    rungs: list[Data] = [{"rung": "first", "at": duration(hours), "notice": notice(rng)}]
    if rng.random() < 0.8:
        rungs[0]["account"] = "past_due"
        if rng.random() < 0.1:
            del rungs[0]["notice"]
    hours = plain(rng, rungs, hours)
    for stage in ("restricted", "suspended", "terminated"):
        if rng.random() < 0.35:
            continue
        warned = stage != "restricted" or rng.random() < 0.4
        rung: Data = {"rung": stage, "account": stage}
        if warned:
            hours = later(rng, hours)
            warned_at = hours
            rungs.append({"rung": f"warn_{stage}", "at": duration(hours), "notice": notice(rng)})
            hours = plain(rng, rungs, hours)
            rung["warned_by"] = f"warn_{stage}"
        hours = later(rng, hours, nothing=not warned)
        if warned and rng.random() < 0.3:
            rung["lead"] = duration(max(1, (hours - warned_at) // rng.choice([1, 2, 4])))
        rung["at"] = duration(hours)
        if warned and stage != "restricted" and rng.random() < 0.3:
            rung["unreachable"] = rng.choice(["2d", "12h", "10d"])
        if rng.random() < 0.6:
            rung["notice"] = notice(rng)
        rungs.append(rung)
        if stage != "terminated":
            hours = plain(rng, rungs, hours)
    return rungs


def plain(rng: random.Random, rungs: list[Data], hours: int) -> int:
    for _ in range(rng.choice([0, 1, 1, 2])):
        hours = later(rng, hours, nothing=True)
        rungs.append({"rung": f"plain_{len(rungs)}", "at": duration(hours), "notice": notice(rng)})
    return hours


def later(rng: random.Random, hours: int, nothing: bool = False) -> int:
    return hours + rng.choice([0, 24, 24, 48, 72, 96, 168, 6, 36] if nothing else [24, 48, 72, 168, 6, 480])


def duration(hours: int) -> str:
    days, rest = divmod(hours, 24)
    if days and rest:
        return f"{days}d{rest}h"
    return f"{rest}h" if rest else f"{days}d"


@dataclass
class Account:
    """Where the lines of one account come from."""

    rng: random.Random
    policy: Data
    starts_at: datetime
    charges: Charges
    lines: list[Data] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    failures: list[Data] = field(default_factory=list)
    told: set[tuple[str, str, int]] = field(default_factory=set)
    customers: int = 0
    overdue: bool = False

    def moment(self) -> datetime:
        """Often on a date of the ladder or of a retry, sometimes anywhere."""
        rng = self.rng
        base = self.starts_at
        if rng.random() < 0.5:
            return base + timedelta(
                hours=rng.choice([0, 1, 6, 12, 24, 25, 30, 48, 72, 96, 100, 120, 168, 240, 336, 400])
            )
        if rng.random() < 0.7:
            return base + timedelta(hours=rng.randint(0, 24 * 40))
        return base + timedelta(minutes=rng.randint(0, 60 * 24 * 80))

    def read_at(self, own_at: datetime) -> datetime:
        rng = self.rng
        if rng.random() < 0.75:
            return own_at
        return (
            own_at
            + rng.choice([timedelta(minutes=-30), timedelta(minutes=7), timedelta(hours=5), timedelta(days=1)])
            + timedelta(days=rng.choice([0, 0, 1, 3, 9]))
        )

    def add(self, topic: str, data: Data, own_at: datetime) -> None:
        """A method that is charged before its own time would be older than its own decline: not of this world."""
        read_at = self.read_at(own_at)
        if data.get("kind") == "payment_method.updated":
            read_at = max(read_at, own_at)
        self.lines.append({"at": written(read_at), "topic": topic, "data": data})

    def customer(self) -> Data:
        rng = self.rng
        self.customers += 1
        found: Data = {"id": "cus_1"}
        if rng.random() < 0.9:
            found["email"] = f"ada{rng.randint(1, 2)}@example.com"
        if rng.random() < 0.6:
            found["phone"] = f"+491511234567{rng.randint(1, 2)}"
        if rng.random() < 0.6:
            found["timezone"] = rng.choice([ZONES[1], ZONES[2], *ZONES, "Nowhere/Land"])
        if rng.random() < 0.6:
            found["country"] = rng.choice(["DE", "US", "IN"])
        if rng.random() < 0.3:
            found["postal_address"] = f"Street {rng.randint(1, 2)}, Berlin"
        return found

    def method(self) -> Data:
        """One of four: a card that is also known by another id, another card, and an account without a fingerprint."""
        return self.rng.choice(METHODS)

    def failure(self, invoice: str, own_at: datetime) -> None:
        rng = self.rng
        number = self.attempts.get(invoice, 0) + rng.choice([1, 1, 1, 0, 2])
        self.attempts[invoice] = number = max(number, 1)
        data: Data = {
            "payment_id": f"pay_{invoice}",
            "attempt_number": number,
            "account_id": "acc_1",
            "invoice": {"id": invoice, "amount_due_minor": rng.choice([4900, 4900, 4900, 700])},
            "amount_minor": 4900,
            "currency": "USD" if invoice == "in_3" else "EUR",
            "failed_at": written(own_at),
            "failure": {"code": "payment_overdue"} if self.overdue else rng.choice(CODES),
        }
        if rng.random() < 0.85:
            data["payment_method"] = self.method()
        if rng.random() < 0.6:
            data["customer"] = self.customer()
        if rng.random() < 0.3:
            data["invoice"]["due_at"] = written(self.starts_at + timedelta(days=rng.choice([-10, -2, 0, 1, 5])))
        if rng.random() < 0.25:
            data["payment_id"] = f"pay_{rng.randint(1, 3)}"
            data["initiated_by"] = "customer"
        elif self.charges is None and rng.random() < 0.4:
            data["retry_id"] = self.retry_id(invoice)
        if rng.random() < 0.3:
            data["segment"] = "self_serve"
        told = (data["failed_at"], data["payment_id"], data["attempt_number"])
        if told in self.told:  # two words on one attempt are the platform's mistake; of no rule's concern
            return
        self.told.add(told)
        self.failures.append(data)
        self.add("payment.failed", data, own_at)

    def retry_id(self, invoice: str) -> str:
        """What our request might be called."""
        number = self.rng.choice([1, 1, 1, 2])
        case = uuid.uuid5(uuid.NAMESPACE_URL, f"acc_1/{invoice}/{number}")
        return f"{case}:{self.rng.randint(2, 5)}"

    def again(self) -> None:
        """The same failure once more, in another form or with another content."""
        if not self.failures:
            return
        first = self.rng.choice(self.failures)
        data: Data = {**first, "metadata": {"again": True}}
        if self.rng.random() < 0.3:
            data["amount_minor"] = 4901
        self.add("payment.failed", data, datetime.fromisoformat(first["failed_at"]))

    def success(self, invoice: str, own_at: datetime, remaining: int) -> None:
        data: Data = {
            "payment_id": self.rng.choice([f"pay_{invoice}", "pay_9"]),
            "account_id": "acc_1",
            "invoice": {"id": invoice, "amount_remaining_minor": remaining},
            "amount_minor": 4900 - remaining if remaining < 4900 else 100,
            "currency": "USD" if invoice == "in_3" else "EUR",
            "succeeded_at": written(own_at),
        }
        if self.charges is None and self.rng.random() < 0.4:
            data["retry_id"] = self.retry_id(invoice)
        if self.rng.random() < 0.2:
            data["payment_method"] = self.method()
        if self.rng.random() < 0.1:
            data["customer"] = self.customer()
        self.add("payment.succeeded", data, own_at)
        if self.rng.random() < 0.15:
            self.add("payment.succeeded", {**data, "metadata": {"again": "yes"}}, own_at)

    def signal(self, kind: str, own_at: datetime, **more: Any) -> None:
        self.add("dunning.signals", {"kind": kind, "account_id": "acc_1", "at": written(own_at), **more}, own_at)

    def bounce(self, invoice: str, own_at: datetime) -> None:
        rung: Data = self.rng.choice([one for one in self.policy["ladder"] if "notice" in one] or [NO_NOTICE])
        channel = self.rng.choice([*rung["notice"]["channels"], *rung["notice"].get("fallback", [])])
        more: Data = {"permanent": True} if self.rng.random() < 0.4 else {}
        self.signal("notice.bounced", own_at, invoice_id=invoice, rung=rung["rung"], channel=channel, **more)


def scenario(seed: int, given: list[Data] | None = None) -> Scenario:
    """One account's history under `given` policies, or ones of its own."""
    rng = random.Random(seed)
    chosen = given or policies(rng)
    day = datetime(2026, rng.choice([1, 3, 3, 5, 9, 10, 10, 11]), rng.randint(1, 28), rng.randint(0, 23), tzinfo=UTC)
    invoices = [f"in_{number}" for number in range(1, rng.choice([1, 1, 2, 3]) + 1)]
    account = Account(rng, chosen[0], day, answers(rng, invoices))
    account.overdue = rng.random() < 0.1
    for invoice in invoices:
        for _ in range(rng.choice([1, 1, 2, 3])):
            account.failure(invoice, day if rng.random() < 0.5 else account.moment())
    for _ in range(rng.choice([0, 1, 2, 3, 4, 6])):
        something(account, rng.choice(invoices))
    rng.shuffle(account.lines)
    until = day + timedelta(days=rng.choice([30, 60, 100]))
    return Scenario(chosen, account.lines, until, account.charges)


def answers(rng: random.Random, invoices: list[str]) -> Charges:
    kind = rng.random()
    if kind < 0.35:
        return "fail"
    if kind < 0.45:
        return "succeed"
    if kind < 0.7:
        return None
    told = []
    for invoice in invoices:
        for number in range(2, 7):
            if rng.random() < 0.6:
                line: Data = {
                    "invoice_id": invoice,
                    "attempt_number": number,
                    "answer": "fail",
                    "failure": rng.choice(CODES),
                }
                told.append(line)
            elif rng.random() < 0.2:
                told.append({"invoice_id": invoice, "attempt_number": number, "answer": "succeed"})
    return told


def something(account: Account, invoice: str) -> None:
    """One thing that happens beside the failures."""
    rng, own_at = account.rng, account.moment()
    match rng.randint(0, 19):
        case 0 | 1:
            account.success(invoice, own_at, 0)
        case 2:
            account.success(invoice, own_at, rng.choice([100, 2000]))
        case 3:
            account.signal("payment_method.updated", own_at, payment_method=account.method())
        case 4:
            account.signal("customer.updated", own_at, customer=account.customer())
        case 5:
            account.signal(
                "invoice.adjusted", own_at, invoice={"id": invoice, "amount_remaining_minor": rng.choice([0, 50, 900])}
            )
        case 6:
            account.signal("invoice.voided", own_at, invoice_id=invoice)
        case 7:
            account.signal("case.closed", own_at, invoice_id=invoice, reason=rng.choice(["write_off", "cancelled"]))
        case 8:
            account.signal("retry.now", own_at, invoice_id=invoice)
        case 9:
            account.signal("account.reinstated", own_at, reason="agreed")
        case 10 | 11 | 12:
            account.bounce(invoice, own_at)
        case 13:
            account.again()
        case 14:
            account.failure(invoice, own_at)
        case 15:
            account.failure(invoice, own_at)
            account.lines[-1]["data"]["metadata"] = {"note": CARD if rng.random() < 0.3 else "fine"}
        case 16 | 17:
            channel, allowed = rng.choice(CHANNELS), rng.random() < 0.3
            account.signal("consent.changed", own_at, channel=channel, allowed=allowed)
        case 18 | 19:
            kind = rng.choice(["account.tagged", "account.tagged", "account.untagged"])
            account.signal(kind, own_at, tag=rng.choice(["vip", "vip", "court", "harmless"]))
