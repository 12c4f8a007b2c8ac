"""By which names a message would be recognised if it came again (rule 1).

Parts of a key are joined with a control character that no id can hold, so that two keys are equal only where all their
parts are.
"""

from hashlib import blake2b
from typing import Any

from dunning.contracts.canonical import canonical_text
from dunning.contracts.decoded import Sighting
from dunning.contracts.payments import FailedInvoice, Failure, PaidInvoice, PaymentFailedData, PaymentSucceededData
from dunning.contracts.published import NoticeResultData, StageChangedData
from dunning.contracts.signals import model_of
from dunning.contracts.topics import PAYMENT_FAILED, PAYMENT_SUCCEEDED
from dunning.domain.events import PaymentFailed, PaymentSucceeded
from dunning.domain.ids import id_named

CLOUDEVENT = "cloudevent"


def hash64(text: str) -> int:
    """A signed 64-bit hash, the same on every machine and in every version."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def id_from(key: str) -> str:
    """The id of an event that came without one: the same thing gets the same id, in whatever form it comes again."""
    return id_named(key)


def failure_key(data: PaymentFailedData) -> str:
    """What makes two failures the same. No retry id is an empty part, which no id is."""
    return (
        f"payment.failed\x1f{data.account_id}\x1f{data.invoice.id}\x1f{data.payment_id}\x1f{data.attempt_number}"
        f"\x1f{data.retry_id or ''}"
    )


def failure_content(data: PaymentFailedData) -> int:
    """What must agree in two reports of one failure: every required field."""
    return hash64(
        f"{data.account_id}\x1f{data.invoice.id}\x1f{data.payment_id}\x1f{data.attempt_number}"
        f"\x1f{data.invoice.amount_due_minor}\x1f{data.amount_minor}\x1f{data.currency}\x1f{data.failed_at.isoformat()}"
        f"\x1f{data.failure.code}"
    )


def success_key(data: PaymentSucceededData) -> str:
    """What makes two successes the same."""
    return (
        f"payment.succeeded\x1f{data.account_id}\x1f{data.invoice.id}\x1f{data.payment_id}\x1f{data.succeeded_at.isoformat()}"
        f"\x1f{data.amount_minor}\x1f{data.invoice.amount_remaining_minor}"
    )


def success_content(data: PaymentSucceededData) -> int:
    """What must agree in two reports of one success: every required field."""
    return hash64(f"{success_key(data)}\x1f{data.currency}")


def sighting_of(event: PaymentFailed | PaymentSucceeded) -> Sighting:
    """The name of a payment event that came in no message: an answer of the simulated processor, right by itself."""
    named = {
        name: getattr(event, name) for name in ("payment_id", "account_id", "amount_minor", "currency", "retry_id")
    }
    if isinstance(event, PaymentFailed):
        failed = PaymentFailedData.model_construct(
            **named,
            attempt_number=event.attempt_number,
            invoice=FailedInvoice.model_construct(id=event.invoice_id, amount_due_minor=event.amount_due_minor),
            failed_at=event.failed_at,
            failure=Failure.model_construct(code=event.failure.code),
        )
        return business_sighting(PAYMENT_FAILED, failure_key(failed), failure_content(failed))
    invoice = PaidInvoice.model_construct(id=event.invoice_id, amount_remaining_minor=event.amount_remaining_minor)
    paid = PaymentSucceededData.model_construct(**named, invoice=invoice, succeeded_at=event.succeeded_at)
    return business_sighting(PAYMENT_SUCCEEDED, success_key(paid), success_content(paid))


def signal_key(whole: dict[str, Any]) -> str:
    """What makes two signals the same: all of their normalised data."""
    return f"dunning.signals\x1f{canonical_text(whole)}"


def signal_content(whole: dict[str, Any]) -> int:
    """What must agree in two signals of one CloudEvent: the fields that their kind requires."""
    fields = model_of(whole.get("kind")).model_fields
    required = {name: whole.get(name) for name, field in fields.items() if field.is_required()}
    return hash64(f"dunning.signals\x1f{canonical_text(required)}")


def transition_key(data: StageChangedData) -> str:
    """Tells transitions apart where they came without an envelope."""
    return (
        f"dunning.stage.changed\x1f{data.case_id}\x1f{data.track}\x1f{data.from_stage}\x1f{data.to_stage}"
        f"\x1f{data.effective_at.isoformat()}"
    )


def transition_content(data: StageChangedData) -> int:
    """What must agree in two transitions of one id."""
    return hash64(f"{transition_key(data)}\x1f{data.account_id}\x1f{data.invoice_id}\x1f{data.amount_minor}")


def notice_key(data: NoticeResultData) -> str:
    """Tells results apart where they came without an envelope (rule 2: notice id and outcome)."""
    return f"dunning.notice.result\x1f{data.notice_id}\x1f{data.channel}\x1f{data.outcome}"


def notice_content(data: NoticeResultData) -> int:
    """What must agree in two results of one id."""
    return hash64(f"{notice_key(data)}\x1f{data.account_id}\x1f{data.rung}\x1f{data.at.isoformat()}")


def business_sighting(what: str, key: str, content: int) -> Sighting:
    """The name by which the thing itself is known."""
    return Sighting(hash64(key), content, what)


def envelope_sighting(source: str, event_id: str, content: int) -> Sighting:
    """The name that the sender gave to the message."""
    return Sighting(hash64(f"{CLOUDEVENT}\x1f{source}\x1f{event_id}"), content, CLOUDEVENT)
