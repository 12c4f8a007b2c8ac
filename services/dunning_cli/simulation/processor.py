"""A simulated processor that answers every charge request at the instant it is made (`--charges`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dunning.domain.events import Failure, PaymentFailed, PaymentMethod, PaymentSucceeded, RetryRequested

Answer = PaymentFailed | PaymentSucceeded


@dataclass(frozen=True, slots=True)
class ScriptedAnswer:
    """What a charges file says of one attempt."""

    succeeds: bool
    failure: Failure | None = None


class Processor(Protocol):
    """Answers a request, or is silent with None. `last` is the invoice's latest failure."""

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None: ...


class Silent:
    """Nobody answers."""

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None:  # noqa: ARG002
        """Nothing."""
        return None


@dataclass(frozen=True, slots=True)
class Scripted:
    """Does what it was told for an attempt, and otherwise always the same."""

    succeeds: bool
    told: Mapping[tuple[str, int], ScriptedAnswer] = field(default_factory=dict)

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None:
        """Pay what remains, or fail as told, or else as the invoice failed last."""
        told = self.told.get((request.invoice_id, request.attempt_number), ScriptedAnswer(self.succeeds))
        return succeed(request, method) if told.succeeds else fail(request, told.failure or last.failure, last, method)


@dataclass(frozen=True, slots=True)
class Noted:
    """A processor whose every answer somebody hears of before it is read."""

    processor: Processor
    note: Callable[[Answer], None]

    def answer(self, request: RetryRequested, last: PaymentFailed, method: PaymentMethod | None) -> Answer | None:
        """What the processor says."""
        answer = self.processor.answer(request, last, method)
        if answer is not None:
            self.note(answer)
        return answer


def succeed(request: RetryRequested, method: PaymentMethod | None) -> PaymentSucceeded:
    """The whole amount arrives."""
    return PaymentSucceeded(
        event_id=f"simulated/{request.retry_id}",
        account_id=request.account_id,
        invoice_id=request.invoice_id,
        payment_id=request.payment_id,
        amount_remaining_minor=0,
        amount_minor=request.amount_minor,
        currency=request.currency,
        succeeded_at=request.not_before,
        attempt_number=request.attempt_number,
        payment_method=method,
        retry_id=request.retry_id,
    )


def fail(request: RetryRequested, failure: Failure, last: PaymentFailed, method: PaymentMethod | None) -> PaymentFailed:
    """The charge is declined."""
    return PaymentFailed(
        event_id=f"simulated/{request.retry_id}",
        account_id=request.account_id,
        invoice_id=request.invoice_id,
        payment_id=request.payment_id,
        attempt_number=request.attempt_number,
        amount_due_minor=request.amount_minor,
        amount_minor=request.amount_minor,
        currency=request.currency,
        failed_at=request.not_before,
        failure=failure,
        payment_method=method,
        invoice_number=last.invoice_number,
        due_at=last.due_at,
        segment=last.segment,
        retry_id=request.retry_id,
    )
