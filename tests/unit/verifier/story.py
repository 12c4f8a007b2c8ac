"""Builds histories by telling them: a line for each thing that happened, and nothing that does not matter.

Sequences, ids and offsets count by themselves. `without` and `changed` break a good story in one place.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from dunning_verifier import History, Violation, verify
from dunning_verifier.clock import instant
from dunning_verifier.invoices import case_id_of
from dunning_verifier.policy_file import Policies
from dunning_verifier.records import record_of
from dunning_verifier.values import Charge, Mail

_OTHERS = ["in_app", "push", "sms", "call"]
STANDARD: dict[str, Any] = {
    "id": "standard",
    "version": 1,
    "anchor": "first_failure",
    "timezone": "UTC",
    "retries": {"strategy": "ladder", "after": ["1d", "3d", "5d", "7d"]},
    "contact": {"quiet_hours": ["21:00", "08:00"]},
    "ladder": [
        {
            "rung": "payment_failed",
            "at": "0d",
            "notice": {"channels": ["email"], "fallback": _OTHERS},
            "account": "past_due",
        },
        {"rung": "suspension_warning", "at": "11d", "notice": {"channels": ["email"]}},
        {"rung": "suspended", "at": "14d", "account": "suspended", "warned_by": "suspension_warning"},
        {"rung": "final_notice", "at": "30d", "notice": {"channels": ["email"]}},
        {"rung": "terminated", "at": "45d", "account": "terminated", "warned_by": "final_notice"},
    ],
}
_REASONS = {
    "past_due": "payment_failed",
    "restricted": "grace_period_expired",
    "suspended": "grace_period_expired",
    "terminated": "grace_period_expired",
    "recovered": "paid_elsewhere",
}
Event = dict[str, Any]


class Story:
    """What happened to one account, in the order of the logs."""

    def __init__(self, account: str = "acc_1", invoice: str = "in_1", policy: Event | None = None) -> None:
        self.account, self.invoice = account, invoice
        self.case = case_id_of(account, invoice, 1)
        self.policy = policy or STANDARD
        self.events: list[Event] = []
        self.mails: list[Mail] | None = None
        self.charges: list[Charge] | None = None
        self._sequences: Counter[tuple[str, ...]] = Counter()
        self._offsets: Counter[str] = Counter()
        self._status_since = ""

    def next_case(self, number: int) -> "Story":
        """Go on with the invoice's case of this number."""
        self.case = case_id_of(self.account, self.invoice, number)
        return self

    def record(self, topic: str, at: str, **event: Any) -> "Story":
        """Any record, as it is."""
        self.events.append({"topic": topic, "at": at, "offset": self._offsets[topic], **event})
        self._offsets[topic] += 1
        return self

    def failed(self, at: str, attempt: int = 1, *, logged: str = "", **data: Any) -> "Story":
        """A `payment.failed` of 4900 EUR."""
        body = {
            "payment_id": "pay_1",
            "attempt_number": attempt,
            "account_id": self.account,
            "invoice": {"id": self.invoice, "amount_due_minor": 4900},
            "amount_minor": 4900,
            "currency": "EUR",
            "failed_at": at,
            "failure": {"code": "insufficient_funds"},
            "customer": {"timezone": "UTC", "country": "DE"},
        }
        merged = {**body, **data}
        merged["customer"] = {"email": f"{self.account}@example.com", "phone": "+491", **merged["customer"]}
        return self.record("payment.failed", logged or at, data=merged)

    def succeeded(self, at: str, remaining: int = 0, *, logged: str = "", **data: Any) -> "Story":
        """A `payment.succeeded`."""
        body = {
            "payment_id": "pay_1",
            "account_id": self.account,
            "invoice": {"id": self.invoice, "amount_remaining_minor": remaining},
            "amount_minor": 4900 - remaining,
            "currency": "EUR",
            "succeeded_at": at,
        }
        return self.record("payment.succeeded", logged or at, data={**body, **data})

    def signal(self, kind: str, at: str, **data: Any) -> "Story":
        """A `dunning.signals`."""
        return self.record("dunning.signals", at, data={"kind": kind, "account_id": self.account, "at": at, **data})

    def published(self, topic: str, service: str, counted: tuple[str, ...], at: str, data: Event) -> "Story":
        """An output with the next number of what counts it."""
        self._sequences[topic, *counted] += 1
        number = self._sequences[topic, *counted]
        event_id = "/".join((topic, *counted, str(number)))
        return self.record(topic, at, id=event_id, sequence=number, source=f"/dunning/{service}", data=data)

    def moved(
        self, track: str, at: str, from_stage: str, to_stage: str, reason: str | None = None, **data: Any
    ) -> "Story":
        """A `dunning.stage.changed`."""
        owner = {"retry": "retry_scheduler", "notice": "notification_dispatcher", "account": "account_enforcement"}
        body = {
            "case_id": self.case,
            "account_id": self.account,
            "invoice_id": self.invoice,
            "track": track,
            "from_stage": from_stage,
            "to_stage": to_stage,
            "reason": _REASONS.get(to_stage, "") if reason is None else reason,
            "effective_at": at,
            "policy": {"id": self.policy["id"], "version": self.policy["version"]},
            "next": None,
            "amount_minor": 4900,
            "currency": "EUR",
            "details": {},
        }
        return self.published("dunning.stage.changed", owner[track], (self.case, track), at, {**body, **data})

    def requested(self, at: str, attempt: int, until: str, **data: Any) -> "Story":
        """A `dunning.retry.requested` together with its transition."""
        self.moved("retry", at, "scheduled", "requested")
        body = {
            "retry_id": f"{self.case}:{attempt}",
            "case_id": self.case,
            "account_id": self.account,
            "invoice_id": self.invoice,
            "payment_id": "pay_1",
            "amount_minor": 4900,
            "currency": "EUR",
            "payment_method_id": "pm_1",
            "attempt_number": attempt,
            "not_before": at,
            "not_after": until,
            "reason": "",
            "decline_class": "soft",
        }
        return self.published("dunning.retry.requested", "retry_scheduler", (self.case,), at, {**body, **data})

    def noticed(self, at: str, rung: str, *outcomes: str, **data: Any) -> "Story":
        """One `dunning.notice.result` for each outcome, of the email notice of a rung."""
        for outcome in outcomes or ("sent", "delivered"):
            body = {
                "notice_id": f"{self.case}-{rung}",
                "case_ids": [self.case],
                "account_id": self.account,
                "rung": rung,
                "channel": "email",
                "template": rung,
                "locale": "en",
                "outcome": outcome,
                "at": at,
            }
            counted = (self.case,)
            self.published("dunning.notice.result", "notification_dispatcher", counted, at, {**body, **data})
        return self

    def status(self, at: str, previous: str, status: str, owed: int = 4900, **data: Any) -> "Story":
        """A `dunning.account.status` with this case open, or none when nothing is owed."""
        self._status_since = self._status_since if status == previous and self._status_since else at
        line = {"case_id": self.case, "invoice_id": self.invoice, "amount_minor": owed, "currency": "EUR"}
        body = {
            "account_id": self.account,
            "status": status,
            "previous_status": previous,
            "since": self._status_since,
            "reason": "",
            "open_cases": [{**line, "days_overdue": 0}] if owed else [],
            "to_reinstate": [{"currency": "EUR", "amount_minor": owed}] if owed else [],
        }
        return self.published("dunning.account.status", "account_enforcement", (self.account,), at, {**body, **data})

    def owing(self, status: str, owed: int) -> "Story":
        """The story with another amount in the first status of this kind."""
        line = {"case_id": self.case, "invoice_id": self.invoice, "amount_minor": owed, "currency": "EUR"}
        to_reinstate = [{"currency": "EUR", "amount_minor": owed}]
        return self.changed("dunning.account.status", {"status": status}, open_cases=[line], to_reinstate=to_reinstate)

    def mailed(self, rung: str, at: str | None = None, name: str = "1.eml") -> "Story":
        """A mail in the sink."""
        self.mails = [*(self.mails or []), Mail(name, f"{self.case}-{rung}", instant(at) if at else None)]
        return self

    def charged(self, attempt: int, at: str, outcome: str = "failed", amount: int = 4900) -> "Story":
        """A line of the processor's ledger."""
        known = self.charges or []
        retry_id = f"{self.case}:{attempt}"
        charge = Charge(len(known) + 1, retry_id, self.invoice, instant(at), outcome, amount, "EUR")
        self.charges = [*known, charge]
        return self

    def dead_lettered(self, at: str, topic: str, offset: int, *services: str, **event: Any) -> "Story":
        """A record set aside, by all three services unless some are named."""
        headers = {"dlq-topic": topic, "dlq-partition": 0, "dlq-offset": offset, "dlq-reason": "unreadable"}
        for service in services or ("retry_scheduler", "notification_dispatcher", "account_enforcement"):
            self.record(
                f"{topic}.{service}.dlq", at, **{"headers": headers, "value": b"{", "key": self.account, **event}
            )
        return self

    def find(self, topic: str, **data: Any) -> Event:
        """The first event of a topic with this data."""
        return next(event for event in self.events if event["topic"] == topic and _has(event, data))

    def without(self, topic: str, **data: Any) -> "Story":
        """The story with one record lost."""
        self.events.remove(self.find(topic, **data))
        return self

    def changed(self, topic: str, where: Event, **data: Any) -> "Story":
        """The story with something else said in one record."""
        event = self.find(topic, **where)
        event["data"] = {**event["data"], **data}
        return self

    def again(self, topic: str, **data: Any) -> "Story":
        """The story with a record published again, at the end of its topic."""
        event = self.find(topic, **data)
        return self.record(**{name: value for name, value in event.items() if name != "offset"})

    def with_events_of(self, *others: "Story") -> "Story":
        """Other accounts' stories, behind this one's in the same logs."""
        for other in others:
            for event in other.events:
                self.record(**{name: value for name, value in event.items() if name != "offset"})
        return self

    def history(self, **known: Any) -> History:
        """What the verifier sees of it."""
        given: dict[str, Any] = {"settled": True, "mails": self.mails, "charges": self.charges, **known}
        given.setdefault("policies", Policies.of([self.policy]))
        return History.of([record_of(event, event["offset"]) for event in self.events], **given)


def _has(event: Event, data: Event) -> bool:
    return all(event.get("data", {}).get(name) == value for name, value in data.items())


def assert_kept(story: Story, **known: Any) -> None:
    """No promise was broken."""
    told = "\n".join(map(str, verify(story.history(**known))))
    assert not told, told


def assert_broken(story: Story, promise: int, says: str, at: str | None = None, **known: Any) -> Violation:
    """A promise was broken, said in these words, at this place, with its case or account."""
    violations = verify(story.history(**known))
    told = "\n".join(map(str, violations)) or "nothing"
    matches: Callable[[Violation], bool] = lambda one: (  # noqa: E731
        one.promise == promise and says in one.what and (at is None or str(one.where) == at)
    )
    found = next((violation for violation in violations if matches(violation)), None)
    assert found is not None, f"expected promise {promise} {says!r} at {at}, but it says:\n{told}"
    return found


def body(data: Event) -> bytes:
    """The bytes of a JSON body."""
    return json.dumps(data).encode()


def a_recovered_case(story: Story | None = None, **failure: Any) -> Story:
    """Failed, one lost retry, paid by the customer two days later (case 2 of the worked examples, in short)."""
    return (
        (story or Story())
        .failed("2026-03-02T10:00:00Z", **failure)
        .moved("retry", "2026-03-02T10:00:01Z", "none", "scheduled")
        .moved("account", "2026-03-02T10:00:01Z", "active", "past_due", "payment_failed")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:01Z", "none", "payment_failed")
        .noticed("2026-03-02T10:00:02Z", "payment_failed")
        .requested("2026-03-03T10:00:00Z", 2, "2026-03-04T10:00:00Z")
        .failed("2026-03-03T10:00:02Z", 2, **failure)
        .moved("retry", "2026-03-03T10:00:03Z", "requested", "scheduled")
        .succeeded("2026-03-04T09:00:00Z")
        .moved("retry", "2026-03-04T09:00:01Z", "scheduled", "recovered", "paid_elsewhere")
        .moved("account", "2026-03-04T09:00:01Z", "past_due", "active", "paid")
        .status("2026-03-04T09:00:01Z", "past_due", "active", owed=0)
        .moved("notice", "2026-03-04T09:00:01Z", "payment_failed", "recovered", "paid")
    )


def a_suspended_case(warned_at: str = "2026-03-13T10:00:00Z", suspended_at: str = "2026-03-16T10:00:00Z") -> Story:
    """A due payment that never came: told, warned, suspended (case 1 of the worked examples, in short)."""
    return (
        Story()
        .failed("2026-03-02T10:00:00Z", failure={"code": "payment_overdue"})
        .moved("account", "2026-03-02T10:00:01Z", "active", "past_due", "payment_failed")
        .status("2026-03-02T10:00:01Z", "active", "past_due")
        .moved("notice", "2026-03-02T10:00:01Z", "none", "payment_failed")
        .noticed("2026-03-02T10:00:02Z", "payment_failed")
        .moved("notice", warned_at, "payment_failed", "suspension_warning")
        .noticed(warned_at, "suspension_warning")
        .moved("account", suspended_at, "past_due", "suspended", "grace_period_expired")
        .status(suspended_at, "past_due", "suspended")
    )
