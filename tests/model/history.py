"""What was read: duplicates, dead letters, facts, and what of an invoice was paid (rules 1 to 12)."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from tests.model.asked import Request
from tests.model.dates import instant
from tests.model.declines import decline_class

Data = dict[str, Any]
P = ParamSpec("P")
R = TypeVar("R")
FAILED, SUCCEEDED, SIGNALS = "payment.failed", "payment.succeeded", "dunning.signals"
CUSTOMER_FIELDS = ("name", "email", "phone", "locale", "timezone", "country", "postal_address")
ENDING_SIGNALS = {"invoice.voided": "voided", "case.closed": "closed"}


@dataclass(eq=False)
class Fact:
    """One input that counts, with the instant at which it was read and its own."""

    topic: str
    data: Data
    read_at: datetime
    own_at: datetime
    ignored: bool = False  # a policy says that nothing shall happen; what it says of the account counts
    waits: bool = False  # a failure of a terminated invoice: counts where it is later than what ends that (37)
    dead: bool = False  # no policy matches it: a dead letter after all, which says nothing
    request: Request | None = None  # of ours that it answers, as far as it was known when it was read

    @cached_property
    def kind(self) -> str:
        return str(self.data["kind"]) if self.topic == SIGNALS else self.topic

    @cached_property
    def invoice(self) -> str | None:
        if "invoice" in self.data:
            return str(self.data["invoice"]["id"])
        return self.data.get("invoice_id")

    @cached_property
    def decline_class(self) -> str:
        """Of a failure."""
        return decline_class(self.data["failure"], self.data.get("payment_method"))


def remembered(work: Callable[Concatenate["History", P], R]) -> Callable[Concatenate["History", P], R]:
    """What follows from the facts alone is worked out once, until one more is known."""

    @wraps(work)
    def found(history: "History", /, *args: P.args, **named: P.kwargs) -> R:
        key = (work.__name__, *args, *named.items())
        if key not in history.known:
            history.known[key] = work(history, *args, **named)
        return history.known[key]  # type: ignore[no-any-return]

    return found


OWN_TIME = {FAILED: "failed_at", SUCCEEDED: "succeeded_at", SIGNALS: "at"}


@dataclass
class History:
    """One account's inputs so far."""

    facts: list[Fact] = field(default_factory=list)
    seen: dict[str, Data] = field(default_factory=dict)
    dead: list[str] = field(default_factory=list)
    known: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False)  # that follows from the facts alone

    def changed(self) -> None:
        """Another fact, or something else is known of one: what followed is worked out anew."""
        self.known.clear()

    def accept(self, topic: str, data: Data, read_at: datetime) -> Fact | None:
        """The fact, or None where the input is a duplicate, a dead letter or of no concern."""
        if data.get("livemode") is False:  # rule 4
            return None
        own_at = instant(data[OWN_TIME[topic]])
        if card_number_in(data):  # rule 6
            self.dead.append("card number")
            return None
        if own_at > read_at + timedelta(hours=1):  # rule 3
            self.dead.append("future")
            return None
        key = json.dumps([topic, *business_key(topic, data)], sort_keys=True)
        if key in self.seen:
            if required(topic, data) != required(topic, self.seen[key]):
                self.dead.append("same key, other content")
            return None
        if topic != SIGNALS and self._other_currency(data):  # rule 11
            self.dead.append("currency")
            return None
        self.seen[key] = data
        fact = Fact(topic, data, read_at, own_at)
        self.facts.append(fact)
        self.changed()
        return fact

    def forget(self, fact: Fact) -> None:
        """A failure that no policy matches is a dead letter after all."""
        self.facts.remove(fact)
        fact.dead = True
        self.seen = {key: data for key, data in self.seen.items() if data is not fact.data}
        self.dead.append("no policy")
        self.changed()

    def _other_currency(self, data: Data) -> bool:
        """The currency of an invoice is that of its failures."""
        known = {one.data["currency"] for one in self.failures(str(data["invoice"]["id"]))}
        return bool(known) and data["currency"] not in known

    @remembered
    def of(self, invoice: str, *kinds: str) -> list[Fact]:
        return [one for one in self.facts if one.invoice == invoice and one.kind in kinds]

    @remembered
    def of_kind(self, kind: str) -> list[Fact]:
        return [one for one in self.facts if one.kind == kind]

    @remembered
    def failures(self, invoice: str) -> list[Fact]:
        return [one for one in self.of(invoice, FAILED) if not one.ignored and not one.waits]

    @remembered
    def full_payments(self, invoice: str) -> list[Fact]:
        """Rule 11: adjusted to 0 is a full payment in every respect."""
        return [
            one
            for one in self.of(invoice, SUCCEEDED, "invoice.adjusted")
            if one.data["invoice"]["amount_remaining_minor"] == 0
        ]

    @remembered
    def remainders(self, invoice: str) -> list[Fact]:
        return [
            one
            for one in self.of(invoice, SUCCEEDED, "invoice.adjusted")
            if one.data["invoice"]["amount_remaining_minor"] > 0
        ]

    @remembered
    def ending(self, invoice: str) -> Fact | None:
        """Rule 10: the void or write-off after which failures of the invoice change nothing."""
        return next(iter(self.of(invoice, *ENDING_SIGNALS)), None)

    def amount(self, invoice: str, failures: list[Fact]) -> int:
        """Rule 11: the earliest failure's amount, until the latest-dated remainder decides."""
        first = min(failures, key=failure_order)
        later = [one for one in self.remainders(invoice) if one.own_at >= first.own_at]
        if later:
            latest = max(enumerate(later), key=lambda one: (one[1].own_at, one[0]))[1]
            return int(latest.data["invoice"]["amount_remaining_minor"])
        return int(first.data["invoice"]["amount_due_minor"])

    def newest(self, *path: str) -> Any:
        """Rule 12: of the facts about the account that name `path`, the one whose own time is the newest."""
        return self.newest_since(None, *path)

    @remembered
    def newest_since(self, start: datetime | None, *path: str) -> Any:
        """Of those dated after `start`."""
        found: tuple[datetime, Any] | None = None
        for fact in self.facts:
            if start is not None and fact.own_at <= start:
                continue
            value: Any = fact.data
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            if value is not None and (found is None or fact.own_at >= found[0]):
                found = (fact.own_at, value)
        return found[1] if found else None

    def customer(self, name: str) -> Any:
        """0003, rule 12: what was said of the customer up to an erasure is forgotten."""
        return self.newest_since(self.erased_at(), "customer", name)

    @remembered
    def erased_at(self) -> datetime | None:
        return max((one.own_at for one in self.facts if one.kind == "account.erased"), default=None)

    @remembered
    def is_erased(self) -> bool:
        """0003, rule 29: there is nobody to write to, until an event dated later says more of somebody than an id."""
        erased_at = self.erased_at()
        return erased_at is not None and all(
            self.newest_since(erased_at, "customer", name) is None for name in CUSTOMER_FIELDS
        )

    @remembered
    def tags(self) -> set[str]:
        """The newest word on each; at one instant the tag is there (0003, rule 38)."""
        said: dict[str, tuple[datetime, bool]] = {}
        for fact in self.facts:
            if fact.kind in ("account.tagged", "account.untagged"):
                tag, word = str(fact.data["tag"]), (fact.own_at, fact.kind == "account.tagged")
                said[tag] = max(said.get(tag, word), word)
        return {tag for tag, (_, there) in said.items() if there}

    @remembered
    def allows(self, channel: str) -> bool:
        """Consent: the newest word; who never said anything allows."""
        said = [one for one in self.facts if one.kind == "consent.changed" and one.data["channel"] == channel]
        return not said or bool(max(enumerate(said), key=lambda one: (one[1].own_at, one[0]))[1].data["allowed"])

    @remembered
    def highest_attempt(self, invoice: str) -> int:
        """A success may name one too."""
        numbers = [one.data.get("attempt_number") or 0 for one in self.of(invoice, FAILED, SUCCEEDED)]
        return max(numbers, default=0)


def failure_order(failure: Fact) -> tuple[datetime, int, str]:
    """By their own times (rule 7); at one instant the lower attempt comes first."""
    return failure.own_at, failure.data["attempt_number"], failure.data["payment_id"]


def business_key(topic: str, data: Data) -> list[Any]:
    """Rule 1."""
    if topic == FAILED:
        return [
            data["account_id"],
            data["invoice"]["id"],
            *(data.get(k) for k in ("payment_id", "attempt_number", "retry_id")),
        ]
    if topic == SUCCEEDED:
        remaining = data["invoice"]["amount_remaining_minor"]
        moment = instant(data["succeeded_at"]).isoformat()
        return [data["account_id"], data["invoice"]["id"], data["payment_id"], moment, data["amount_minor"], remaining]
    return [canonical(data)]


def required(topic: str, data: Data) -> Any:
    if topic == FAILED:
        invoice = data["invoice"]
        moment = instant(data["failed_at"])
        return invoice["amount_due_minor"], data["amount_minor"], data["currency"], moment, data["failure"]["code"]
    if topic == SUCCEEDED:
        return data["currency"]
    return None


def canonical(data: Data) -> str:
    return json.dumps({**data, "at": instant(data["at"]).isoformat()}, sort_keys=True)


def method_key(method: Data | None) -> str | None:
    """Rule 18: the fingerprint, else the id."""
    if method is None:
        return None
    return method.get("fingerprint") or method.get("id")


PASSED_OVER = ("number", "fingerprint", "phone", "last4")
DIGITS = re.compile(r"(?<!\w)[2-6](?:[ -]*\d){12,18}(?!\w)")


def card_number_in(value: Any, name: str = "") -> bool:
    """Rule 6: in strings, and integers outside `*_minor`; not in ids, PASSED_OVER and URLs."""
    if isinstance(value, dict):
        return any(card_number_in(inner, key) for key, inner in value.items())
    if isinstance(value, list):
        return any(card_number_in(inner, name) for inner in value)
    return looks_like_a_card(value, name)


@lru_cache(maxsize=10_000, typed=True)
def looks_like_a_card(value: str | int | float | bool | None, name: str) -> bool:
    if name in PASSED_OVER or name == "id" or name.endswith(("_id", "_minor", "_url")) or isinstance(value, bool):
        return False
    if not isinstance(value, str | int) or (isinstance(value, str) and "://" in value):
        return False
    return any(luhn(re.sub(r"\D", "", found.group())) for found in DIGITS.finditer(str(value)))


def luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
