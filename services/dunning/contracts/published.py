"""What the services publish: `dunning.stage.changed`, `.retry.requested`, `.account.status` and `.notice.result`."""

from typing import Annotated, Any

from pydantic import Field

from dunning.contracts.fields import (
    OPEN_CASES_MAX,
    Count,
    Currency,
    Id,
    Instant,
    Known,
    Line,
    Minor,
    Number,
    Text,
    Wire,
)
from dunning.domain.words import AccountStage, Channel, DeclineClass, Outcome, Track

TrackWord = Annotated[str, Known(word.value for word in Track)]
StatusWord = Annotated[str, Known(word.value for word in AccountStage)]
ChannelWord = Annotated[str, Known(word.value for word in Channel)]
OutcomeWord = Annotated[str, Known(word.value for word in Outcome if word is not Outcome.OTHER)]
DeclineClassWord = Annotated[str, Known(word.value for word in DeclineClass)]


class Policy(Wire):
    """A policy version, as the case pinned it when it opened."""

    id: Id = Field(description="The policy's id.")
    version: Count = Field(description="Its version.")


class Next(Wire):
    """What comes next on the track, as far as it is known now."""

    stage: Line = Field(description="The stage that would follow.")
    due_at: Instant = Field(description="When it is due.")


class StageChangedData(Wire):
    """One track of a case went from one stage to another. Every transition is published, in order, without gaps."""

    case_id: Id = Field(description="The case: one invoice's recovery.")
    account_id: Id = Field(description="Who owes. Also the message key.")
    invoice_id: Id = Field(description="The invoice. Also the event's subject.")
    track: TrackWord = Field(description="`retry`, `notice` or `account`; each is written by one service only.")
    from_stage: Line = Field(
        description="The stage before. Of `retry`: none, scheduled, requested, waiting_for_customer, paused, recovered,"
        " exhausted, cancelled. Of `notice`: none, the names of the rungs that have a notice, recovered, closed. Of"
        " `account`: active, past_due, restricted, suspended, terminated."
    )
    to_stage: Line = Field(description="The stage now.")
    reason: Text = Field(description="Why, in one word such as `grace_period_expired`, or an operator's words.")
    effective_at: Instant = Field(description="When it took effect. Also the event's time.")
    policy: Policy = Field(description="The policy that decided.")
    next: Next | None = Field(None, description="What comes next, or null.")
    amount_minor: Minor = Field(description="What is owed on the invoice, in the currency's minor unit.")
    currency: Currency = Field(description="ISO 4217 code of the amount.")
    details: dict[str, Any] = Field(default_factory=dict, description="Further facts; their names may change.")


class RetryRequestedData(Wire):
    """Please charge again: after `not_before`, before `not_after`, and only while `amount_minor` is still owed."""

    retry_id: Id = Field(description="Idempotency key of the charge, `<case_id>:<attempt_number>`. Answers repeat it.")
    case_id: Id = Field(description="The case.")
    account_id: Id = Field(description="Who owes. Also the message key.")
    invoice_id: Id = Field(description="The invoice. Also the event's subject.")
    payment_id: Id = Field(description="The payment that failed before.")
    amount_minor: Minor = Field(description="What remains to be paid, in the currency's minor unit.")
    currency: Currency = Field(description="ISO 4217 code of the amount.")
    payment_method_id: Id | None = Field(None, description="What to charge; null: the account's default.")
    attempt_number: Number = Field(description="The number that the attempt will have.")
    not_before: Instant = Field(description="Charge at or after this instant.")
    not_after: Instant = Field(description="Charge before this instant; afterwards the request is void.")
    reason: Text = Field(description="Why now.")
    decline_class: DeclineClassWord = Field(description="What the last refusal meant.")


class OpenCase(Wire):
    """One open case of an account."""

    case_id: Id = Field(description="The case.")
    invoice_id: Id = Field(description="Its invoice.")
    amount_minor: Minor = Field(description="What is owed, in the currency's minor unit.")
    currency: Currency = Field(description="ISO 4217 code of the amount.")
    days_overdue: Count = Field(description="Local calendar days since the case's anchor.")


class Owed(Wire):
    """An amount in one currency; amounts of different currencies are never added."""

    currency: Currency = Field(description="ISO 4217 code.")
    amount_minor: Minor = Field(description="Amount in the currency's minor unit.")


class AccountStatusData(Wire):
    """The latest status of an account. The topic is compacted: the last message of a key is the truth."""

    account_id: Id = Field(description="Who owes. Also the message key.")
    status: StatusWord = Field(description="What the account may do: that of its worst open case.")
    previous_status: StatusWord = Field(description="The status before; equal to `status` when only the cases changed.")
    since: Instant = Field(description="Since when `status` holds.")
    reason: Text = Field(description="Why the status is what it is.")
    open_cases: list[OpenCase] = Field(
        max_length=OPEN_CASES_MAX, description="Every open case of the account; of more than 1000 the worst."
    )
    open_cases_total: Count | None = Field(None, description="How many there are, where not all are listed.")
    to_reinstate: list[Owed] = Field(max_length=200, description="What must be paid to be `active` again.")
    policy: Policy | None = Field(
        None,
        description="The policy of the case that decides the status; where none is open any more, of the one that was"
        " closed, terminated or reinstated.",
    )


class NoticeResultData(Wire):
    """How a notice ended on one channel. A bounce may follow a delivery."""

    notice_id: Id = Field(description="The notice.")
    case_ids: list[Id] = Field(max_length=OPEN_CASES_MAX, description="The cases that it was about.")
    account_id: Id = Field(description="Who owes. Also the message key.")
    rung: Line = Field(description="The rung whose notice it was.")
    channel: ChannelWord = Field(description="The way that it took.")
    template: Line = Field(description="The template that it was made from.")
    locale: Line = Field(description="The language that it was written in.")
    outcome: OutcomeWord = Field(description="What became of it.")
    reason: Text | None = Field(None, description="Why, where the outcome alone does not say.")
    provider: Line | None = Field(None, description="Who carried it.")
    provider_message_id: Line | None = Field(None, description="The carrier's id of it.")
    at: Instant = Field(description="When the outcome was known. Also the event's time.")
