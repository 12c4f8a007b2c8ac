"""Stories for tests of the rules: events as a payment platform would send them, with only what matters spelled out.

Instants are written as `03-02 10:00`, in 2026 and in UTC. What a story tells is a list of lines, in the order in which
the events were published.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from dunning.domain.events import (
    AccountStatus,
    Customer,
    Failure,
    Input,
    NoticeResult,
    Output,
    PaymentFailed,
    PaymentMethod,
    PaymentSucceeded,
    RetryRequested,
    Signal,
    StageChanged,
)
from dunning.domain.policy import Policies
from dunning.domain.policy_file import load_policies
from dunning.domain.words import Channel
from dunning_cli.simulation.processor import Processor, Scripted, ScriptedAnswer, Silent
from dunning_cli.simulation.world import World
from tests.marked import with_marks

ADA = Customer(
    id="cus_1", name="Ada", email="ada@example.com", phone="+4915112345678", timezone="UTC", country="DE",
    postal_address="1 Example Street",
)  # fmt: skip
VISA = PaymentMethod(id="pm_1", type="card", brand="visa", last4="4242", fingerprint="fp_1")
OTHER_VISA = PaymentMethod(id="pm_2", type="card", brand="visa", last4="1881", fingerprint="fp_2")
BANK_DEBIT = PaymentMethod(id="pm_3", type="sepa_debit", fingerprint="fp_3")
SOFT = Failure("insufficient_funds")
HARD = Failure("card_declined", network="visa", network_decline_code="43")
TECHNICAL = Failure("processing_error")
NEEDS_CUSTOMER = Failure("expired_card")

PAST_DUE = {"rung": "payment_failed", "at": "0d", "account": "past_due"}
WARNING = {"rung": "warning", "at": "11d", "notice": {"template": "suspension_warning", "channels": ["email"]}}
SUSPENDED = {"rung": "suspended", "at": "14d", "account": "suspended", "warned_by": "warning"}
LADDER: list[dict[str, Any]] = [
    {**PAST_DUE, "notice": {"template": "payment_failed", "channels": ["email"]}},
    {"rung": "reminder", "at": "3d", "notice": {"template": "gentle_reminder", "channels": ["email"]}},
    {"rung": "formal", "at": "7d", "notice": {"template": "formal_notice", "channels": ["email"]}},
    WARNING,
    {**SUSPENDED, "notice": {"template": "suspended", "channels": ["email"]}},
    {"rung": "final", "at": "30d", "notice": {"template": "final_notice", "channels": ["email"]}},
    {"rung": "terminated", "at": "45d", "account": "terminated", "warned_by": "final"},
]
RETRIES: dict[str, Any] = {"after": ["1d", "3d", "5d", "7d"]}


def instant(text: str) -> datetime:
    """`03-02 10:00`, with a year before it where it is not 2026."""
    full = text if text[4] == "-" else f"2026-{text}"
    return datetime.fromisoformat(full).replace(tzinfo=UTC)


def a_notice(rung: str, at: str, *channels: str, template: str = "gentle_reminder", **more: Any) -> dict[str, Any]:
    """A rung with a notice and nothing else, unless `account` or others are given."""
    notice: dict[str, Any] = {"template": template, "channels": list(channels) or ["email"]}
    if "fallback" in more:
        notice["fallback"] = more.pop("fallback")
    return {"rung": rung, "at": at, "notice": notice, **more}


def policies(*documents: Mapping[str, Any]) -> Policies:
    """Policies from what their files would say."""
    texts = [(f"policy{number}.yaml", yaml.safe_dump(dict(each)).encode()) for number, each in enumerate(documents)]
    loaded = load_policies(texts)
    assert not loaded.errors, [str(problem) for problem in loaded.errors]
    return loaded.policies


def a_policy(**keys: Any) -> dict[str, Any]:
    """The ladder of a month and a half and four retries, in UTC, with the keys that are given in their place."""
    base: dict[str, Any] = {"id": "standard", "version": 1, "timezone": "UTC", "retries": RETRIES, "ladder": LADDER}
    return {key: value for key, value in {**base, **keys}.items() if value is not None}


def only_retries(**keys: Any) -> dict[str, Any]:
    """A policy without notices, for stories of the retry track."""
    return a_policy(ladder=[PAST_DUE], retries={**RETRIES, **keys})


def failed(failed_at: str, **more: Any) -> PaymentFailed:
    """The first attempt of EUR 49.00 on invoice `in_1` of account `acc_1`, with Ada's card, for want of funds."""
    given: dict[str, Any] = {
        "account_id": "acc_1",
        "invoice_id": "in_1",
        "payment_id": "pay_1",
        "attempt_number": 1,
        "amount_due_minor": 4900,
        "amount_minor": 4900,
        "currency": "EUR",
        "failure": SOFT,
        "customer": ADA,
        "payment_method": VISA,
        **more,
    }
    return PaymentFailed(event_id=f"failed {failed_at} {sorted(more)}", failed_at=instant(failed_at), **given)


def overdue(failed_at: str, **more: Any) -> PaymentFailed:
    """A due payment that never came."""
    return failed(failed_at, failure=Failure("payment_overdue"), payment_method=None, **more)


def paid(succeeded_at: str, remaining: int = 0, **more: Any) -> PaymentSucceeded:
    """All that was owed on `in_1` arrives, or all but what remains."""
    given: dict[str, Any] = {
        "account_id": "acc_1",
        "invoice_id": "in_1",
        "payment_id": "pay_9",
        "amount_remaining_minor": remaining,
        "amount_minor": 4900,
        "currency": "EUR",
        **more,
    }
    return PaymentSucceeded(event_id=f"paid {succeeded_at}", succeeded_at=instant(succeeded_at), **given)


def signal(kind: str, at: str, **more: Any) -> Signal:
    """A signal about `acc_1`; those that name an invoice mean `in_1` unless they say otherwise."""
    given: dict[str, Any] = {"account_id": "acc_1", **more}
    if kind in _ABOUT_AN_INVOICE:
        given.setdefault("invoice_id", "in_1")
    return Signal(event_id=f"{kind} {at}", kind=kind, at=instant(at), **given)


_ABOUT_AN_INVOICE = (
    "invoice.voided", "case.closed", "invoice.adjusted", "retry.now", "notice.bounced", "dispute.opened",
    "dispute.closed", "case.extended",
)  # fmt: skip


def new_card(at: str, method: PaymentMethod = OTHER_VISA) -> Signal:
    """The customer enters another payment method."""
    return signal("payment_method.updated", at, payment_method=method)


def bounced(at: str, rung: str, channel: Channel = Channel.EMAIL, **more: Any) -> Signal:
    """A notice of a rung comes back."""
    return signal("notice.bounced", at, rung=rung, channel=channel, **more)


def moved(at: str, **fields: Any) -> Signal:
    """The customer's address or zone changes."""
    return signal("customer.updated", at, customer=Customer(**fields))


def told(at: datetime, output: Output) -> str | None:
    """An event as a line; None for what a story does not tell: the notice track, and what goes as it should."""
    when = at.strftime("%m-%d %H:%M") + (at.strftime(":%S") if at.second else "")
    match output:
        case StageChanged() if output.track != "notice":
            return f"{when} {output.track} {output.invoice_id} {output.from_stage}>{output.to_stage}"
        case RetryRequested():
            return f"{when} charge {output.invoice_id} #{output.attempt_number} {output.amount_minor} {output.currency}"
        case NoticeResult() if output.outcome != "delivered":
            return f"{when} notice {output.rung} {output.channel} {output.outcome}"
        case AccountStatus() if output.previous_status != output.status:
            return f"{when} status {output.account_id} {output.previous_status}>{output.status}"
        case _:
            return None


class Story:
    """All three services on a simulated clock. `charges` is who answers requests: nobody, `fail`, `succeed`, or by
    attempt number a failure or None for success, the others failing.
    """

    def __init__(
        self,
        *documents: Mapping[str, Any],
        charges: str | Mapping[int, Failure | None] = "",
        world: Callable[[Policies, Processor], World] = World,
    ) -> None:
        self.world = with_marks(world(policies(*(documents or (a_policy(),))), _processor(charges)))
        self.set_aside: list[str] = []
        self.events: list[tuple[datetime, Output]] = []

    def at(self, when: str, *inputs: Input) -> "Story":
        """Let time pass up to an instant, then read these inputs."""
        now = instant(when)
        self.world.run_timers(now, inclusive=False)
        for event in inputs:
            self.set_aside += sorted(set(self.world.read(event, now).values()))
        return self

    def reads(self, *inputs: PaymentFailed | PaymentSucceeded | Signal) -> "Story":
        """Read inputs one after another, each at its own time."""
        for event in inputs:
            own = (
                getattr(event, "failed_at", None) or getattr(event, "succeeded_at", None) or getattr(event, "at", None)
            )
            assert isinstance(own, datetime)
            self.at(own.strftime("%Y-%m-%d %H:%M:%S"), event)
        return self

    def until(self, when: str) -> "Story":
        """Let time pass up to an instant, inclusive."""
        self.world.run_timers(instant(when), inclusive=True)
        self.events += [(published.at, published.output) for published in self.world.take_published()]
        return self

    def lines(self, *words: str) -> list[str]:
        """What was told up to here, or only lines with one of these words."""
        lines = [line for at, output in self.events if (line := told(at, output)) is not None]
        return [line for line in lines if not words or any(word in line.split() for word in words)]

    def since(self, when: str, *words: str) -> list[str]:
        """The lines from an instant on."""
        return [line for line in self.lines(*words) if line >= when]

    def outputs(self, kind: type[Any]) -> list[Any]:
        """The published events of a kind, whole."""
        return [output for _, output in self.events if isinstance(output, kind)]


def _processor(charges: str | Mapping[int, Failure | None]) -> Processor:
    if isinstance(charges, str):
        return Scripted(succeeds=charges == "succeed") if charges else Silent()
    told_of = {("in_1", number): ScriptedAnswer(failure is None, failure) for number, failure in charges.items()}
    return Scripted(succeeds=False, told=told_of)
